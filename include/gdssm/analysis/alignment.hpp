// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/predictor.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// The last prediction of a sequence and its exact derivative by the last token, the query: J = d yhat_N / d x_{N+1},
/// every path included (through G_N too, where A lets the query in).
/// Shapes  prediction (m), jacobian (m x f)
template <class Model, class S>
class QueryDerivative {
  using P = LaneScalar<S>;

 public:
  QueryDerivative(const Model& model, const typename Model::template Parameters<P>& parameters)
      : model_(model),
        c_(model.prepare(parameters)),
        c_bar_(model.template coefficients<S>()),
        workspace_(model.template workspace<S>()),
        gradient_workspace_(model.template gradient_workspace<S>(1, 1)),
        prediction_(model.output_count(), 1),
        jacobian_(model.output_count(), model.feature_count()) {}

  /// Rows first_row, ..., m - 1 of the derivative; rows above keep what they held.
  /// Errors  std::invalid_argument: a sequence that does not end with a window, tokens of another height, no such row
  void operator()(const View<const S, Model::features>& tokens, Index first_row = 0) {
    const Index f = model_.feature_count(), m = model_.output_count();
    expect_equal("QueryDerivative", "the number of features of a token", tokens.rows(), f);
    if (first_row < 0 || first_row >= m)
      refuse("QueryDerivative", "the first row is ", first_row, ", expected 0 to ", m - 1);
    auto before = model_.template initial_state<S>();
    const Index windows = model_.window().windows(tokens.cols(), before.window);
    const Index head = tokens.cols() - (windows > 1 ? Model::Window::stride : tokens.cols());
    if (head > 0)
      model_.forward(c_, Sequence<S, Model::features>{tokens.columns(0, head)}, before,
                     View<S, Model::outputs>(nullptr, m, 0), workspace_);
    const Sequence<S, Model::features> last{tokens.columns(head, tokens.cols() - head)};
    Array<S, Model::features> tokens_bar(f, last.tokens.cols());
    for (Index row = first_row; row < m; ++row) {
      auto state = before, state_bar = model_.template initial_state<S>();
      tokens_bar.fill(S(0));
      const auto pick = [&](Index, View<const S, Model::outputs, 1> yhat, View<S, Model::outputs, 1> g) {
        for (Index i = 0; i < m; ++i) {
          prediction_[i] = yhat[i];
          g[i] = S(P(i == row ? 1 : 0));
        }
      };
      model_.vjp(c_, last, state, 1, pick, c_bar_, state_bar, tokens_bar.view(), gradient_workspace_);
      for (Index j = 0; j < f; ++j) jacobian_(row, j) = tokens_bar(j, tokens_bar.cols() - 1);
    }
  }

  const Array<S>& prediction() const { return prediction_; }  ///< yhat_N of the last sequence
  const Array<S>& jacobian() const { return jacobian_; }      ///< J, its derivative with respect to the query

 private:
  const Model& model_;
  typename Model::template Coefficients<P> c_;
  typename Model::template Coefficients<S> c_bar_;
  typename Model::template Workspace<S> workspace_;
  typename Model::template GradientWorkspace<S> gradient_workspace_;
  Array<S> prediction_, jacobian_;
};

/// How alike two models act, over tasks, in the derivative J and the prediction of the query:
///     cosine                 of J's rows, averaged over outputs         scalar targets: of the one row
///     model_difference       |J_j - J'_j| over outputs, averaged over   |J - J'| over inputs
///                            the inputs j
///     prediction_difference  |yhat - yhat'| over outputs                |yhat - yhat'|
/// Source  arXiv:2410.11687v1; docs/theory.md, training and alignment
struct Alignment {
  Sample cosine;                 ///< of rows of J, averaged over outputs
  Sample model_difference;       ///< of columns of J, averaged
  Sample prediction_difference;  ///< norm over the outputs
};

namespace detail {

/// Adds how alike two models act on the first `used` lanes of a group, in the outputs from `first`; `scalar` says that
/// there is one.
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

template <class S, class One, class Other, class Tasks>
Alignment align(const One& one, const typename One::template Parameters<LaneScalar<S>>& one_parameters,
                const Other& other, const typename Other::template Parameters<LaneScalar<S>>& other_parameters,
                const Tasks& tasks, const TaskRange& range, const Targets& kind, ThreadPool& pool) {
  expect_equal("align", "the number of features", other.feature_count(), one.feature_count());
  expect_equal("align", "the number of outputs", other.output_count(), one.output_count());
  const Index m = one.output_count(), first = m - kind.counted(m, "align");
  const auto make = [&] {
    return
        [&, a = QueryDerivative<One, S>(one, one_parameters), b = QueryDerivative<Other, S>(other, other_parameters)](
            const LaneGroup<S>& group, Index used, Alignment& found) mutable {
          a(group.tokens.view(), first);
          b(group.tokens.view(), first);
          compare_derivatives(a.prediction(), a.jacobian(), b.prediction(), b.jacobian(), first, kind.count == 1, used,
                              found);
        };
  };
  const auto merge = [](Alignment& whole, const Alignment& part) {
    whole.cosine.merge(part.cosine);
    whole.model_difference.merge(part.model_difference);
    whole.prediction_difference.merge(part.prediction_difference);
  };
  return measure_tasks<S>(one, tasks, range, 1, Alignment{}, make, merge, pool);
}

}  // namespace detail

/// The alignment of two models with the same tokens and outputs, such as trained weights and `gradient_step`, in the
/// coordinates that count as the tasks say. Same bits for any number of threads.
/// Errors  std::invalid_argument: an empty range, tasks that don't fit the models
template <class One, class OneParameters, class Other, class OtherParameters, class Tasks>
Alignment align(const One& one, const OneParameters& one_parameters, const Other& other,
                const OtherParameters& other_parameters, const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::align<Lanes<detail::ScalarOf<One, OneParameters>>>(one, one_parameters, other, other_parameters, tasks,
                                                                    range, targets_of(tasks), pool);
}

/// The same in other scalars or lanes S, and with targets of a kind that is given: VectorTargets or ScalarTargets.
template <class S, class Kind, class One, class Other, class Tasks>
Alignment align(const One& one, const typename One::template Parameters<LaneScalar<S>>& one_parameters,
                const Other& other, const typename Other::template Parameters<LaneScalar<S>>& other_parameters,
                const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  return detail::align<S>(one, one_parameters, other, other_parameters, tasks, range, Kind(), pool);
}

}  // namespace gdssm
