// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/models/predictor.hpp"
#include "gdssm/models/query_derivative.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// The similarity of two models over tasks, in the prediction yhat of the query and its derivative J by the query:
///                            vector targets                             scalar targets
///     cosine                 between rows of J, mean over outputs       between the one row
///     model_difference       |J_j - J'_j| of column j, mean over j      |J - J'| of the one row
///     prediction_difference  |yhat - yhat'|                             |yhat - yhat'|
/// Source  arXiv:2410.11687v1; docs/theory.md, training and alignment
struct Alignment {
  Sample cosine;                 ///< between rows of J
  Sample model_difference;       ///< distance of J
  Sample prediction_difference;  ///< distance of yhat
};

namespace detail {

/// Adds the similarity of two models on the first `used` lanes of a group, in the outputs from `first` on. `scalar`
/// says that this is one output.
template <class S>
void compare_derivatives(const Array<S>& prediction, const Array<S>& jacobian, const Array<S>& other_prediction,
                         const Array<S>& other_jacobian, Index first, bool scalar, Index used, Alignment& found) {
  const Index m = jacobian.rows(), f = jacobian.cols();
  for (Index l = 0; l < used; ++l) {
    const auto J_a = [&](Index i, Index j) { return static_cast<double>(lane(jacobian(i, j), l)); };
    const auto J_b = [&](Index i, Index j) { return static_cast<double>(lane(other_jacobian(i, j), l)); };
    double cosine = 0, columns = 0, whole = 0, predictions = 0;
    for (Index i = first; i < m; ++i) {
      double ab = 0, aa = 0, bb = 0;
      for (Index j = 0; j < f; ++j) {
        ab += J_a(i, j) * J_b(i, j);
        aa += J_a(i, j) * J_a(i, j);
        bb += J_b(i, j) * J_b(i, j);
      }
      cosine += ab / std::sqrt(aa * bb);
      const double apart =
          static_cast<double>(lane(prediction[i], l)) - static_cast<double>(lane(other_prediction[i], l));
      predictions += apart * apart;
    }
    for (Index j = 0; j < f; ++j) {
      double column = 0;
      for (Index i = first; i < m; ++i) column += (J_a(i, j) - J_b(i, j)) * (J_a(i, j) - J_b(i, j));
      columns += std::sqrt(column);
      whole += column;
    }
    found.cosine.add(cosine / static_cast<double>(m - first));
    found.model_difference.add(scalar ? std::sqrt(whole) : columns / static_cast<double>(f));
    found.prediction_difference.add(std::sqrt(predictions));
  }
}

}  // namespace detail

/// The alignment of two type-erased models. `kind` says which coordinates of a target count.
/// Errors  as the forms below
template <class S>
Alignment align(const QueryDerivative<S>& one, const QueryDerivative<S>& other, const TaskSource<S>& tasks,
                const TaskRange& range, const Targets& kind, ThreadPool& pool) {
  expect_equal("align", "the number of features", other.feature_count(), one.feature_count());
  expect_equal("align", "the number of outputs", other.output_count(), one.output_count());
  const Index m = one.output_count(), first = m - kind.counted(m, "align");
  const auto make = [&] {
    return [&, a = one, b = other](const LaneGroup<S>& group, Index used, Alignment& found) mutable {
      a(group.tokens.view(), first);
      b(group.tokens.view(), first);
      detail::compare_derivatives(a.prediction(), a.jacobian(), b.prediction(), b.jacobian(), first, kind.count == 1,
                                  used, found);
    };
  };
  const auto merge = [](Alignment& whole, const Alignment& part) {
    whole.cosine.merge(part.cosine);
    whole.model_difference.merge(part.model_difference);
    whole.prediction_difference.merge(part.prediction_difference);
  };
  return detail::measure_tasks<S, Alignment>(one.window(), m, tasks, range, 1, Alignment{}, make, merge, pool);
}

/// The alignment of two models with the same tokens and outputs, such as trained weights and those of `gradient_step`.
/// The tasks say which coordinates count. Gives the same bits on any number of threads.
/// Errors  std::invalid_argument: an empty range, tasks that do not fit the models
template <class One, class OneParameters, class Other, class OtherParameters, class Tasks>
Alignment align(const One& one, const OneParameters& one_parameters, const Other& other,
                const OtherParameters& other_parameters, const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  using S = Lanes<detail::ScalarOf<One, OneParameters>>;
  return align<S>(QueryDerivative<S>(one, one_parameters), QueryDerivative<S>(other, other_parameters),
                  TaskSource<S>(tasks, one.window(), 1), range, targets_of(tasks), pool);
}

/// The same in scalars or lanes S, for targets of the given kind: VectorTargets or ScalarTargets.
template <class S, class Kind, class One, class Other, class Tasks>
Alignment align(const One& one, const typename One::template Parameters<LaneScalar<S>>& one_parameters,
                const Other& other, const typename Other::template Parameters<LaneScalar<S>>& other_parameters,
                const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return align<S>(QueryDerivative<S>(one, one_parameters), QueryDerivative<S>(other, other_parameters),
                  TaskSource<S>(tasks, one.window(), 1), range, Kind(), pool);
}

}  // namespace gdssm
