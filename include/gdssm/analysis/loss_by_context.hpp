// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "gdssm/analysis/sample.hpp"
#include "gdssm/analysis/task_range.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

namespace detail {

/// 1/2 |yhat - y|^2 of one lane in column t, per row, over the rows from `first`.
template <class S, Index Outputs>
double squared_error(const View<S, Outputs>& predictions, const View<const S>& targets, Index t, Index l, Index first) {
  double sum = 0;
  for (Index i = first; i < predictions.rows(); ++i) {
    const double error = static_cast<double>(lane(predictions(i, t), l)) - static_cast<double>(lane(targets(i, t), l));
    sum += error * error;
  }
  return sum / static_cast<double>(2 * (predictions.rows() - first));
}

}  // namespace detail

/// The loss 1/2 |yhat_t - y_{t+1}|^2 a model makes after t = 1..N pairs, per output for vector targets, of the last
/// output for scalar ones; targets are free of noise. Entry t - 1 is to be held against (9) for a context of t pairs;
/// the last is the query's loss. Same bits for any number of threads.
///     `S`     what tasks run in, such as Lanes<float>; the parameters are its lanes' scalar
///     `Kind`  VectorTargets or ScalarTargets
/// Errors  std::invalid_argument: an empty range, tasks that don't fit the model
template <class S, class Kind, class Model, class Tasks>
std::vector<Sample> loss_by_context(const Model& model,
                                    const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                    const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  const auto c = model.prepare(parameters);
  const Index windows = model.window().windows(tasks.length(), model.window().template initial_state<LaneScalar<S>>());
  const Index outputs = model.output_count(), first = std::is_same_v<Kind, ScalarTargets> ? outputs - 1 : 0;
  const auto make = [&] {
    return [&, state = model.template initial_state<S>(), ws = model.template workspace<S>(),
            predictions = Array<S, Model::outputs>(outputs, windows)](const LaneGroup<S>& group, Index used,
                                                                      std::vector<Sample>& losses) mutable {
      state = model.template initial_state<S>();
      model.forward(c, Sequence<S, Model::features>{group.tokens.view()}, state, predictions.view(), ws);
      for (Index t = 0; t < windows; ++t)
        for (Index l = 0; l < used; ++l)
          losses[static_cast<std::size_t>(t)].add(
              detail::squared_error(predictions.view(), group.targets.view(), t, l, first));
    };
  };
  const auto merge = [](std::vector<Sample>& whole, const std::vector<Sample>& part) {
    for (std::size_t t = 0; t < whole.size(); ++t) whole[t].merge(part[t]);
  };
  return detail::measure_tasks<S>(model, tasks, range, windows, std::vector<Sample>(static_cast<std::size_t>(windows)),
                                  make, merge, pool);
}

/// The query's loss task by task, in the order of the range: the same losses of which `loss_by_context`'s last entry is
/// the mean. Two models' losses on the same tasks can be compared in pairs.
/// Errors  std::invalid_argument: an empty range, tasks that don't fit the model
template <class S, class Kind, class Model, class Tasks>
std::vector<double> query_losses(const Model& model,
                                 const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                 const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  const auto c = model.prepare(parameters);
  const Index outputs = model.output_count(), first = std::is_same_v<Kind, ScalarTargets> ? outputs - 1 : 0;
  const auto make = [&] {
    return [&, ws = model.template workspace<S>(), prediction = Array<S, Model::outputs>(outputs, 1)](
               const LaneGroup<S>& group, Index used, std::vector<double>& losses) mutable {
      auto state = model.template initial_state<S>();
      model.forward(c, Sequence<S, Model::features>{group.tokens.view()}, state, prediction.view(), ws);
      for (Index l = 0; l < used; ++l)
        losses.push_back(detail::squared_error(prediction.view(), group.targets.view(), 0, l, first));
    };
  };
  const auto append = [](std::vector<double>& whole, const std::vector<double>& part) {
    whole.insert(whole.end(), part.begin(), part.end());
  };
  return detail::measure_tasks<S>(model, tasks, range, 1, std::vector<double>(), make, append, pool);
}

}  // namespace gdssm
