// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gdssm/training/gradient.hpp"

namespace gdssm {

/// The gradient of `BatchGradient` with a loss at each context's end, in memory that does not grow with the context.
/// Tokens are drawn when they are read: once on the way forward, and again on the way back. Only tasks with distractors
/// store one number for each pair.
///     `Tasks`  draws any run of a context by itself, by the members check, workspace, begin, run, target, features and
///              context of `LinearRegression`
///     `Model`  a model that `TakesRuns`, such as `PaperLayer`
/// Errors  std::invalid_argument: tasks that do not fit the model, options that the tasks refuse, no task
/// Source  docs/theory.md, exact gradients, (11) and (12)
template <class Model, class S, class Tasks, class Kind = VectorTargets>
class RedrawnGradient {
  using P = LaneScalar<S>;
  using Sum = detail::GradientSum<Model, S, ForwardSensitivity>;

 public:
  using Parameters = typename Model::template Parameters<P>;

  RedrawnGradient(const Model& model, const Tasks& tasks)
      : tasks_(checked(tasks)),
        sum_(model, tasks.context, 1),
        drawn_(static_cast<std::size_t>(Sum::shares),
               Drawn{tasks.template workspace<S>(),
                     Array<S>(model.feature_count(), 2 * RunGradient<Model, S>::longest_run + 1),
                     Array<S>(model.output_count(), 1), Array<S>(1, 1)}) {
    expect_equal("RedrawnGradient", "the number of features of the tasks", tasks.features, model.feature_count());
    expect_equal("RedrawnGradient", "the number of outputs of the model", model.output_count(), model.feature_count());
  }

  /// Returns the loss over tasks first, ..., first + count - 1 of a seed and writes its gradient to `gradient`.
  P operator()(const Parameters& parameters, std::uint64_t seed, std::uint64_t first, Index count, Parameters& gradient,
               ThreadPool& pool) {
    if (count < 1) refuse("RedrawnGradient", "there are ", count, " tasks, expected at least 1");
    const P scale = P(1) / (P(count) * P(Loss<S>::averaged_over(Kind(), sum_.model().output_count())));
    return sum_(parameters, (count + lane_count<S> - 1) / lane_count<S>, gradient, pool,
                [&](Index g, Index s, typename Sum::Share& share) {
                  const Index begin = g * lane_count<S>;
                  return group_gradient(seed, first + static_cast<std::uint64_t>(begin),
                                        (std::min)(lane_count<S>, count - begin), scale,
                                        drawn_[static_cast<std::size_t>(s)], share);
                });
  }

 private:
  static const Tasks& checked(const Tasks& tasks) {
    tasks.check();
    return tasks;
  }

  struct Drawn {
    typename Tasks::template Workspace<S> task;
    Array<S> tokens, target, present;
  };

  P group_gradient(std::uint64_t seed, std::uint64_t index, Index lanes, P scale, Drawn& drawn,
                   typename Sum::Share& share) const {
    tasks_.begin(seed, index, drawn.task);
    for (Index l = 0; l < lane_count<S>; ++l) set_lane(drawn.present[0], l, l < lanes ? P(1) : P(0));
    const auto run = [&](Index t, Index count) {
      const View<S> tokens = drawn.tokens.view().columns(0, 2 * count + 1);
      tasks_.run(seed, index, t, tokens, drawn.task);
      if (t + count == tasks_.context)
        tasks_.target(View<const S, Dynamic, 1>(tokens.column(2 * count)), drawn.target.view().column(0), drawn.task);
      return View<const S>(tokens);
    };
    Loss<S> loss(Kind(), drawn.target.view(), scale, drawn.present.view());
    sum_.pull_runs(tasks_.context, run, loss, share);
    return sum_lanes(loss.value());
  }

  Tasks tasks_;
  Sum sum_;
  std::vector<Drawn> drawn_;
};

}  // namespace gdssm
