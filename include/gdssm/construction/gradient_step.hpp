// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/tokens.hpp"

namespace gdssm {

namespace detail {

// The parameters with which L = 1, whatever the step: Lambda = 0 under (5) and (6), Lambda = 1 where it is L itself.
template <Index Rows, Index Cols, class Discretization, class Parameters>
void set_unit_decay(const DiagonalRecurrence<Rows, Cols, Discretization>&, Parameters& p) {
  using T = typename decltype(p.Lambda)::Scalar;
  p.Lambda.setConstant(T(Discretization::has_step ? 0 : 1));
}

}  // namespace detail

/// The layer whose state is minus the gradient of ell(W) = 1/2 sum_i |y_i - W x_i|^2 at W_0 = 0, and whose prediction
/// is that of one gradient step of size a:
///     A = e_0 e_1^T,   L = 1,   d = e_2,   C = -a I                                                (7)
/// so that Z_t^T = sum_{i<=t} y_i x_i^T and yhat_t = W_1 x_{t+1}, W_1 = a Z_t^T, at every t. The paper's learning rate
/// is eta = a f. A preconditioned gate gets P = I.
/// Errors  a window of fewer than three tokens: static_assert; slots of other kinds don't match
/// Source  arXiv:2410.11687v1
template <class T, Index F, Index Width, Index Stride, class Discretization, class Gate>
auto gradient_step(const AugmentedSsm<LocalAttention<F, Width, Stride>, DiagonalRecurrence<F, F, Discretization>,
                                      Readout<F>, Gate>& layer,
                   const T& step) {
  static_assert(Width >= 3, "gradient_step: the window must hold a pair and the next input, three tokens");
  auto p = layer.template parameters<T>();
  p.attention.A(0, 1) = T(1);
  detail::set_unit_decay(layer.recurrence(), p.recurrence);
  for (Index i = 0; i < layer.output_count(); ++i) p.readout.C(i, i) = -step;
  p.gate.d[2] = T(1);
  if constexpr (requires { p.gate.P; })
    for (Index i = 0; i < layer.row_count(); ++i) p.gate.P(i, i) = T(1);
  return p;
}

/// The same with an input-side preconditioner, W_1 = M P: the gate's P is the given one and C = -I.
/// Shapes  P (f x f), e.g. `best_preconditioner`, (8a)
template <Index F, Index Width, Index Stride, class Discretization, class Derived>
auto preconditioned_step(const AugmentedSsm<LocalAttention<F, Width, Stride>, DiagonalRecurrence<F, F, Discretization>,
                                            Readout<F>, PreconditionedGate<F, Width>>& layer,
                         const Eigen::MatrixBase<Derived>& P) {
  expect_equal("preconditioned_step", "the number of rows of P", P.rows(), layer.row_count());
  expect_equal("preconditioned_step", "the number of columns of P", P.cols(), layer.row_count());
  auto p = gradient_step(layer, typename Derived::Scalar(1));
  p.gate.P = P;
  return p;
}

/// The plain diagonal layer on constructed tokens: a state that is a vector, one output.
template <Index F = Dynamic, class Discretization = ZeroOrderHold>
using ConstructedLayer =
    AugmentedSsm<TokenProjection<F, F == Dynamic ? Dynamic : 2 * F>, DiagonalRecurrence<F, 1, Discretization>,
                 Readout<1>, ProjectionGate<F, F == Dynamic ? Dynamic : 2 * F>>;

/// A constructed layer for a number of features known at run time.
template <class Discretization = ZeroOrderHold>
ConstructedLayer<Dynamic, Discretization> constructed_layer(Index features) {
  return {TokenProjection<>(features, 2 * features), DiagonalRecurrence<Dynamic, 1, Discretization>(features, 1),
          Readout<1>(), ProjectionGate<>(features, 2 * features)};
}

/// One gradient step of size a on constructed tokens c_t = [x_t * y_t; x_{t+1}]:
///     Z_t = Z_{t-1} + a [I 0] c_t,   yhat_t = Z_t . [0 I] c_t
/// with the step in B and C = -1.
/// Source  arXiv:2410.11687v1; docs/theory.md, closed form
template <class T, Index F, Index Tokens, class Discretization>
auto gradient_step(const AugmentedSsm<TokenProjection<F, Tokens>, DiagonalRecurrence<F, 1, Discretization>, Readout<1>,
                                      ProjectionGate<F, Tokens>>& layer,
                   const T& step) {
  const Index f = layer.row_count();
  expect_equal("gradient_step", "the size of a constructed token", layer.feature_count(), 2 * f);
  auto p = layer.template parameters<T>();
  for (Index i = 0; i < f; ++i) p.attention.B(i, i) = step;
  detail::set_unit_decay(layer.recurrence(), p.recurrence);
  p.readout.C(0, 0) = T(-1);
  for (Index i = 0; i < f; ++i) p.gate.D(i, f + i) = T(1);
  return p;
}

/// Predictions of one gradient step from a start W_0 other than zero, by a layer constructed for W_0 = 0: a shift of
/// the targets, undone on the predictions, yhat_t = W_0 x_{t+1} + (the layer on y_i - W_0 x_i).
/// Shapes  tokens (f x (2N+1)), W_0 (f x f)  ->  (f x N)
/// Errors  std::invalid_argument: sizes that don't fit, an even number of tokens, entries that aren't finite
template <class Layer, class P, class Tokens, class Start>
auto predict_from(const Layer& layer, const P& parameters, const Eigen::MatrixBase<Tokens>& tokens,
                  const Eigen::MatrixBase<Start>& W_0) {
  static_assert(Layer::Window::stride == 2, "predict_from: the layer must read normal tokens, two a pair");
  auto predictions = layer.predict(parameters, residual_tokens(tokens, W_0));
  for (Index t = 0; t < predictions.cols(); ++t) predictions.col(t) += W_0 * tokens.col(2 * t + 2);
  return predictions;
}

}  // namespace gdssm
