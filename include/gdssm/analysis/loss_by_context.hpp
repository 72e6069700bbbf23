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
        for (Index l = 0; l < used; ++l) {
          double sum = 0;
          for (Index i = first; i < outputs; ++i) {
            const double error =
                static_cast<double>(lane(predictions(i, t), l)) - static_cast<double>(lane(group.targets(i, t), l));
            sum += error * error;
          }
          losses[static_cast<std::size_t>(t)].add(sum / static_cast<double>(2 * (outputs - first)));
        }
    };
  };
  const auto merge = [](std::vector<Sample>& whole, const std::vector<Sample>& part) {
    for (std::size_t t = 0; t < whole.size(); ++t) whole[t].merge(part[t]);
  };
  return detail::measure_tasks<S>(model, tasks, range, windows, std::vector<Sample>(static_cast<std::size_t>(windows)),
                                  make, merge, pool);
}

}  // namespace gdssm
