// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/models/predictor.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

namespace detail {

/// The loss of one lane in column t: the mean of 1/2 |yhat - y|^2 over the coordinates that count, or the cross-entropy
/// (13a) for classes.
template <class S>
double lane_loss(const Targets& kind, const View<S>& predictions, const View<const S>& targets, Index t, Index l) {
  const Index m = predictions.rows(), counted = kind.counted(m, "loss_by_context");
  const auto predicted = [&](Index i) { return static_cast<double>(lane(predictions(i, t), l)); };
  const auto expected = [&](Index i) { return static_cast<double>(lane(targets(i, t), l)); };
  double sum = 0;
  if (kind.loss == Targets::Loss::squared_error) {
    for (Index i = m - counted; i < m; ++i) sum += (predicted(i) - expected(i)) * (predicted(i) - expected(i));
    return sum / static_cast<double>(2 * counted);
  }
  double largest = -std::numeric_limits<double>::infinity(), weighed = 0;
  for (Index k = 0; k < counted; ++k) largest = (std::max)(largest, predicted(k));
  for (Index k = 0; k < counted; ++k) {
    sum += std::exp(predicted(k) - largest);
    weighed += expected(k) * (predicted(k) - largest);
  }
  return std::log(sum) - weighed;
}

/// 1 if the largest logit is that of the most probable class, else 0. Of equal logits the first counts.
template <class S>
double lane_hit(const Targets& kind, const View<S>& predictions, const View<const S>& targets, Index t, Index l) {
  Index predicted = 0, expected = 0;
  for (Index k = 1; k < kind.counted(predictions.rows(), "accuracy_by_context"); ++k) {
    if (lane(predictions(k, t), l) > lane(predictions(predicted, t), l)) predicted = k;
    if (lane(targets(k, t), l) > lane(targets(expected, t), l)) expected = k;
  }
  return predicted == expected ? 1 : 0;
}

/// A score of one lane's prediction in column t.
template <class S>
using LaneScore = double (*)(const Targets&, const View<S>&, const View<const S>&, Index, Index);

/// Calls add(found, t, score) for each task in order and each of its last k windows.
template <class S, class Found>
Found score_tasks(const Predictor<S>& predictor, const TaskSource<S>& source, const TaskRange& range, Index k,
                  LaneScore<S> score, const Targets& kind, const Found& nothing, void (*add)(Found&, Index, double),
                  void (*merge)(Found&, const Found&), ThreadPool& pool) {
  const Index outputs = predictor.output_count();
  kind.counted(outputs, "loss_by_context");
  const auto make = [&] {
    return [&, predict = predictor, predictions = Array<S>(outputs, k)](const LaneGroup<S>& group, Index used,
                                                                        Found& found) mutable {
      predict({group.tokens.view(), source.ragged() ? group.mask.view() : View<const S>::absent()}, predictions.view());
      for (Index t = 0; t < k; ++t)
        for (Index l = 0; l < used; ++l) add(found, t, score(kind, predictions.view(), group.targets.view(), t, l));
    };
  };
  return measure_tasks<S, Found>(predictor.window(), outputs, source, range, k, nothing, make, merge, pool);
}

/// The mean score over tasks at every window.
template <class S>
std::vector<Sample> score_by_context(const Predictor<S>& predictor, const TaskSource<S>& source, const TaskRange& range,
                                     LaneScore<S> score, const Targets& kind, ThreadPool& pool) {
  using Samples = std::vector<Sample>;
  const Index windows = predictor.window().windows(source.length());
  return score_tasks<S, Samples>(
      predictor, source, range, windows, score, kind, Samples(static_cast<std::size_t>(windows)),
      [](Samples& found, Index t, double value) { found[static_cast<std::size_t>(t)].add(value); },
      [](Samples& whole, const Samples& part) {
        for (std::size_t t = 0; t < whole.size(); ++t) whole[t].merge(part[t]);
      },
      pool);
}

/// The query's score for each task.
template <class S>
std::vector<double> query_scores(const Predictor<S>& predictor, const TaskSource<S>& source, const TaskRange& range,
                                 LaneScore<S> score, const Targets& kind, ThreadPool& pool) {
  using Scores = std::vector<double>;
  return score_tasks<S, Scores>(
      predictor, source, range, 1, score, kind, Scores(),
      [](Scores& found, Index, double value) { found.push_back(value); },
      [](Scores& whole, const Scores& part) { whole.insert(whole.end(), part.begin(), part.end()); }, pool);
}

}  // namespace detail

/// A model's loss after t = 1..N pairs: the mean of 1/2 |yhat_t - y_{t+1}|^2 over the coordinates that count, against
/// targets without noise; or the cross-entropy (13a) for classes. The tasks say which coordinates count. Entry t - 1
/// corresponds to (9) for a context of t pairs; the last entry is the query's loss. Gives the same bits on any number
/// of threads.
/// Errors  std::invalid_argument: an empty range, tasks that do not fit the model
template <class Model, class Parameters, class Tasks>
std::vector<Sample> loss_by_context(const Model& model, const Parameters& parameters, const Tasks& tasks,
                                    const TaskRange& range, ThreadPool& pool) {
  using S = Lanes<detail::ScalarOf<Model, Parameters>>;
  return detail::score_by_context<S>(Predictor<S>(model, parameters), TaskSource<S>(tasks, model.window(), 1), range,
                                     detail::lane_loss<S>, targets_of(tasks), pool);
}

/// The same for a type-erased model and tasks. `kind` says which coordinates of a target count.
template <class S>
std::vector<Sample> loss_by_context(const Predictor<S>& predictor, const TaskSource<S>& tasks, const TaskRange& range,
                                    const Targets& kind, ThreadPool& pool) {
  return detail::score_by_context<S>(predictor, tasks, range, detail::lane_loss<S>, kind, pool);
}

/// The same in scalars or lanes S, for targets of the given kind: VectorTargets, ScalarTargets or ClassTargets.
template <class S, class Kind, class Model, class Tasks>
std::vector<Sample> loss_by_context(const Model& model,
                                    const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                    const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::score_by_context<S>(Predictor<S>(model, parameters), TaskSource<S>(tasks, model.window(), 1), range,
                                     detail::lane_loss<S>, Kind(), pool);
}

/// The share of tasks for which a model's largest logit is that of the label, after t = 1..N pairs.
/// Errors  std::invalid_argument: an empty range, tasks that do not fit the model
template <class S, Index Classes, class Model, class Tasks>
std::vector<Sample> accuracy_by_context(const Model& model,
                                        const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                        const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::score_by_context<S>(Predictor<S>(model, parameters), TaskSource<S>(tasks, model.window(), 1), range,
                                     detail::lane_hit<S>, ClassTargets<Classes>(), pool);
}

/// The same for a type-erased model and tasks.
template <class S>
std::vector<Sample> accuracy_by_context(const Predictor<S>& predictor, const TaskSource<S>& tasks,
                                        const TaskRange& range, const Targets& kind, ThreadPool& pool) {
  return detail::score_by_context<S>(predictor, tasks, range, detail::lane_hit<S>, kind, pool);
}

/// The query's loss for each task, in the order of the range. Their mean is the last entry of `loss_by_context`. The
/// losses of two models on the same range can be compared in pairs.
/// Errors  std::invalid_argument: an empty range, tasks that do not fit the model
template <class Model, class Parameters, class Tasks>
std::vector<double> query_losses(const Model& model, const Parameters& parameters, const Tasks& tasks,
                                 const TaskRange& range, ThreadPool& pool) {
  using S = Lanes<detail::ScalarOf<Model, Parameters>>;
  return detail::query_scores<S>(Predictor<S>(model, parameters), TaskSource<S>(tasks, model.window(), 1), range,
                                 detail::lane_loss<S>, targets_of(tasks), pool);
}

/// The same for a type-erased model and tasks. `kind` says which coordinates of a target count.
template <class S>
std::vector<double> query_losses(const Predictor<S>& predictor, const TaskSource<S>& tasks, const TaskRange& range,
                                 const Targets& kind, ThreadPool& pool) {
  return detail::query_scores<S>(predictor, tasks, range, detail::lane_loss<S>, kind, pool);
}

/// The same in scalars or lanes S, for targets of the given kind.
template <class S, class Kind, class Model, class Tasks>
std::vector<double> query_losses(const Model& model,
                                 const typename Model::template Parameters<LaneScalar<S>>& parameters,
                                 const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::query_scores<S>(Predictor<S>(model, parameters), TaskSource<S>(tasks, model.window(), 1), range,
                                 detail::lane_loss<S>, Kind(), pool);
}

}  // namespace gdssm
