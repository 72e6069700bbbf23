// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/tokens.hpp"

namespace gdssm {

/// Parameters of the layer whose state is minus the gradient of ell(W) = 1/2 sum_i |y_i - W x_i|^2 at W_0 = 0, and
/// whose prediction is that of one gradient step of size a:
///     A = e_0 e_1^T,   L = 1,   d = e_2,   C = -a I                                                (7)
/// so that Z_t^T = sum_{i<=t} y_i x_i^T and yhat_t = W_1 x_{t+1}, W_1 = a Z_t^T, at every t. The paper's learning rate
/// is eta = a f. A preconditioned gate gets P = I. Works for every layer whose slots are `ConstructedBlock`s.
/// Errors  a slot that is not a `ConstructedBlock`, a window of fewer than three tokens: static_assert
/// Source  arXiv:2410.11687v1
template <class T, class Attention, class Recurrence, class Readout, class Gate>
auto gradient_step(const AugmentedSsm<Attention, Recurrence, Readout, Gate>& layer, const T& step) {
  static_assert(!std::is_integral_v<T>, "gradient_step: the step must be of the weights' scalar type, 1.0 and not 1");
  auto p = layer.template parameters<T>();
  layer.construct(p, step);
  return p;
}

/// The same with an input-side preconditioner, W_1 = M P: the gate's P is the given matrix, and C = -I.
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

/// The plain diagonal layer on constructed tokens c_t = [x_t * y_t; x_{t+1}], with a vector for a state and one output.
/// With the parameters of `gradient_step` it computes
///     Z_t = Z_{t-1} + [I 0] c_t,   yhat_t = a Z_t . [0 I] c_t
/// Source  arXiv:2410.11687v1; docs/theory.md, closed form
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

/// Predictions of one gradient step from a start W_0 other than zero, by a layer constructed for W_0 = 0. Shifts the
/// targets and undoes the shift in the predictions: yhat_t = W_0 x_{t+1} + (the layer on y_i - W_0 x_i).
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
