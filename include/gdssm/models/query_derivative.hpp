// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/predictor.hpp"

namespace gdssm {

/// Satisfied by a model whose `vjp` also returns the gradients of the tokens and of the first state.
template <class Model, class S>
concept DifferentiatesInputs =
    requires(const Model& model, const typename Model::template Coefficients<LaneScalar<S>>& c,
             const Sequence<S, Model::features>& sequence, typename Model::template State<S>& state,
             void (*cotangent)(Index, View<const S, Model::outputs, 1>, View<S, Model::outputs, 1>),
             typename Model::template Coefficients<S>& c_bar, View<S, Model::features> tokens_bar,
             typename Model::template GradientWorkspace<S>& ws) {
  model.vjp(c, sequence, state, 1, cotangent, c_bar, state, tokens_bar, ws);
};

/// The last prediction of a sequence and its exact derivative by the query, J = d yhat_N / d x_{N+1}. The derivative
/// includes every path, also that through G_N if A reads the query. A run-time value: copies share the weights but not
/// the scratch. Keeps the model by reference.
/// Shapes  prediction (m), jacobian (m x f)
template <class S>
class QueryDerivative {
  using P = LaneScalar<S>;

 public:
  template <class Model>
  requires DifferentiatesInputs<Model, S> QueryDerivative(const Model& model,
                                                          const typename Model::template Parameters<P>& parameters)
      : window_(model.window()),
        prediction_(model.output_count(), 1),
        jacobian_(model.output_count(), model.feature_count()),
        start_([&model, c = std::make_shared<const typename Model::template Coefficients<P>>(detail::prepared(
                            "QueryDerivative", model, parameters))] { return Pull(PullOf<Model>(model, c)); }),
        pull_(start_()) {}
  QueryDerivative(const QueryDerivative& other)
      : window_(other.window_),
        prediction_(other.prediction_),
        jacobian_(other.jacobian_),
        start_(other.start_),
        pull_(start_()) {}
  QueryDerivative& operator=(const QueryDerivative&) = delete;

  Index feature_count() const { return jacobian_.cols(); }  ///< f
  Index output_count() const { return jacobian_.rows(); }   ///< m
  const WindowSizes& window() const { return window_; }     ///< which tokens are neighbours

  /// Computes the prediction and rows first_row, ..., m - 1 of the derivative. Other rows do not change.
  /// Errors  std::invalid_argument: a sequence that does not end with a window, tokens of another height, no such row
  void operator()(const View<const S>& tokens, Index first_row = 0) {
    expect_equal("QueryDerivative", "the number of features of a token", tokens.rows(), feature_count());
    if (first_row < 0 || first_row >= output_count())
      refuse("QueryDerivative", "the first row is ", first_row, ", expected 0 to ", output_count() - 1);
    pull_(tokens, first_row, prediction_, jacobian_);
  }

  const Array<S>& prediction() const { return prediction_; }  ///< yhat_N of the last sequence
  const Array<S>& jacobian() const { return jacobian_; }      ///< J, its derivative with respect to the query

 private:
  using Pull = std::function<void(View<const S>, Index, Array<S>&, Array<S>&)>;

  template <class Model>
  class PullOf {
   public:
    PullOf(const Model& model, std::shared_ptr<const typename Model::template Coefficients<P>> c)
        : model_(model),
          c_(std::move(c)),
          c_bar_(model.template coefficients<S>()),
          workspace_(model.template workspace<S>()),
          gradient_workspace_(model.template gradient_workspace<S>(1, 1)) {}

    void operator()(View<const S> all, Index first_row, Array<S>& prediction, Array<S>& jacobian) {
      const View<const S, Model::features> tokens(all);
      const Index f = jacobian.cols(), m = jacobian.rows();
      auto before = model_.template initial_state<S>();
      const Index windows = WindowSizes(model_.window()).windows(tokens.cols());
      const Index head = tokens.cols() - (windows > 1 ? Model::Window::stride : tokens.cols());
      if (head > 0)
        model_.forward(*c_, Sequence<S, Model::features>{tokens.columns(0, head)}, before,
                       View<S, Model::outputs>(nullptr, m, 0), workspace_);
      const Sequence<S, Model::features> last{tokens.columns(head, tokens.cols() - head)};
      Array<S, Model::features> tokens_bar(f, last.tokens.cols());
      for (Index row = first_row; row < m; ++row) {
        auto state = before, state_bar = model_.template initial_state<S>();
        tokens_bar.fill(S(0));
        const auto pick = [&](Index, View<const S, Model::outputs, 1> yhat, View<S, Model::outputs, 1> g) {
          for (Index i = 0; i < m; ++i) {
            prediction[i] = yhat[i];
            g[i] = S(P(i == row ? 1 : 0));
          }
        };
        model_.vjp(*c_, last, state, 1, pick, c_bar_, state_bar, tokens_bar.view(), gradient_workspace_);
        for (Index j = 0; j < f; ++j) jacobian(row, j) = tokens_bar(j, tokens_bar.cols() - 1);
      }
    }

   private:
    const Model& model_;
    std::shared_ptr<const typename Model::template Coefficients<P>> c_;
    typename Model::template Coefficients<S> c_bar_;
    typename Model::template Workspace<S> workspace_;
    typename Model::template GradientWorkspace<S> gradient_workspace_;
  };

  WindowSizes window_;
  Array<S> prediction_, jacobian_;
  std::function<Pull()> start_;
  Pull pull_;
};

}  // namespace gdssm
