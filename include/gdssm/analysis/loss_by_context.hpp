// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
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

/// What a kind of targets loses, of one lane in column t: per output for vector targets, of the last output for scalar
/// ones, the cross-entropy (13a) for classes.
template <class Kind>
struct LaneLoss {
  template <class S, Index Outputs>
  double operator()(const View<S, Outputs>& predictions, const View<const S>& targets, Index t, Index l) const {
    return squared_error(predictions, targets, t, l,
                         std::is_same_v<Kind, ScalarTargets> ? predictions.rows() - 1 : Index(0));
  }
};
template <Index Classes>
struct LaneLoss<ClassTargets<Classes>> {
  template <class S, Index Outputs>
  double operator()(const View<S, Outputs>& predictions, const View<const S>& targets, Index t, Index l) const {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0, expected = 0;
    const auto logit = [&](Index k) { return static_cast<double>(lane(predictions(k, t), l)); };
    for (Index k = 0; k < Classes; ++k) largest = (std::max)(largest, logit(k));
    for (Index k = 0; k < Classes; ++k) {
      sum += std::exp(logit(k) - largest);
      expected += static_cast<double>(lane(targets(k, t), l)) * (logit(k) - largest);
    }
    return std::log(sum) - expected;
  }
};

/// Whether the largest logit is that of the most probable class, 1 or 0; the first of equal ones counts.
template <Index Classes>
struct LaneHit {
  template <class S, Index Outputs>
  double operator()(const View<S, Outputs>& predictions, const View<const S>& targets, Index t, Index l) const {
    Index predicted = 0, expected = 0;
    for (Index k = 1; k < Classes; ++k) {
      if (lane(predictions(k, t), l) > lane(predictions(predicted, t), l)) predicted = k;
      if (lane(targets(k, t), l) > lane(targets(expected, t), l)) expected = k;
    }
    return predicted == expected ? 1 : 0;
  }
};

/// The mean over tasks of score(predictions, targets, t, lane), t the window.
template <class S, class Model, class Tasks, class Score>
std::vector<Sample> score_by_context(const Model& model,
                                     const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                     const Tasks& tasks, const TaskRange& range, const Score& score, ThreadPool& pool) {
  const auto c = model.prepare(parameters);
  const Index windows = model.window().windows(tasks.length(), model.window().template initial_state<LaneScalar<S>>());
  const auto make = [&] {
    return [&, state = model.template initial_state<S>(), ws = model.template workspace<S>(),
            predictions = Array<S, Model::outputs>(model.output_count(), windows)](
               const LaneGroup<S>& group, Index used, std::vector<Sample>& scores) mutable {
      state = model.template initial_state<S>();
      model.forward(c, Sequence<S, Model::features>{group.tokens.view()}, state, predictions.view(), ws);
      for (Index t = 0; t < windows; ++t)
        for (Index l = 0; l < used; ++l)
          scores[static_cast<std::size_t>(t)].add(score(predictions.view(), group.targets.view(), t, l));
    };
  };
  const auto merge = [](std::vector<Sample>& whole, const std::vector<Sample>& part) {
    for (std::size_t t = 0; t < whole.size(); ++t) whole[t].merge(part[t]);
  };
  return measure_tasks<S>(model, tasks, range, windows, std::vector<Sample>(static_cast<std::size_t>(windows)), make,
                          merge, pool);
}

}  // namespace detail

/// The loss a model makes after t = 1..N pairs: 1/2 |yhat_t - y_{t+1}|^2, per output for vector targets, of the last
/// output for scalar ones, targets being free of noise; for classes the cross-entropy (13a). Entry t - 1 is to be held
/// against (9) for a context of t pairs; the last is the query's loss. Same bits for any number of threads.
///     `S`     what tasks run in, such as Lanes<float>; the parameters are its lanes' scalar
///     `Kind`  VectorTargets, ScalarTargets or ClassTargets
/// Errors  std::invalid_argument: an empty range, tasks that don't fit the model
template <class S, class Kind, class Model, class Tasks>
std::vector<Sample> loss_by_context(const Model& model,
                                    const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                    const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::score_by_context<S>(model, parameters, tasks, range, detail::LaneLoss<Kind>(), pool);
}

/// The share of tasks whose label a model gets right after t = 1..N pairs, by its largest logit.
/// Errors  std::invalid_argument: an empty range, tasks that don't fit the model
template <class S, Index Classes, class Model, class Tasks>
std::vector<Sample> accuracy_by_context(const Model& model,
                                        const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                        const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::score_by_context<S>(model, parameters, tasks, range, detail::LaneHit<Classes>(), pool);
}

/// The query's loss task by task, in the order of the range: the same losses of which `loss_by_context`'s last entry is
/// the mean. Two models' losses on the same tasks can be compared in pairs.
/// Errors  std::invalid_argument: an empty range, tasks that don't fit the model
template <class S, class Kind, class Model, class Tasks>
std::vector<double> query_losses(const Model& model,
                                 const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                 const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  const auto c = model.prepare(parameters);
  const auto make = [&] {
    return [&, ws = model.template workspace<S>(), prediction = Array<S, Model::outputs>(model.output_count(), 1)](
               const LaneGroup<S>& group, Index used, std::vector<double>& losses) mutable {
      auto state = model.template initial_state<S>();
      model.forward(c, Sequence<S, Model::features>{group.tokens.view()}, state, prediction.view(), ws);
      for (Index l = 0; l < used; ++l)
        losses.push_back(detail::LaneLoss<Kind>()(prediction.view(), group.targets.view(), 0, l));
    };
  };
  const auto append = [](std::vector<double>& whole, const std::vector<double>& part) {
    whole.insert(whole.end(), part.begin(), part.end());
  };
  return detail::measure_tasks<S>(model, tasks, range, 1, std::vector<double>(), make, append, pool);
}

}  // namespace gdssm
