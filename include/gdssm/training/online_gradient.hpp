// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// A layer that carries the sensitivities of its state along. The exact gradient of a loss at window t is then known at
/// window t, without a pass back over the tokens:
///     Y_t = L * Y_{t-1} + Z_{t-1}                                 L_bar    = sum_t R_t^loc * Y_t             (12)
///     V^ab_t = L * V^ab_{t-1} + x_a x_b^T, Z_t = sum_ab A_ab V^ab_t   A_bar_ab = sum_t <R_t^loc, V^ab_t>     (13)
/// with R_t^loc = o_t v_t^T, v_t = -C^T g_t. Memory does not depend on the length of the stream. The gradient is exact
/// from Z_0 = 0 while the parameters do not change. After a change, the sensitivities still contain earlier windows at
/// the earlier parameters.
/// Shapes  Y and each of the Width^2 matrices V^ab (f x f), held transposed as the state is
/// Source  Zucchet et al., Online learning of long-range dependencies, 2305.15947; docs/theory.md, exact gradients
template <class Layer>
class OnlineGradient;

template <Index F, Index Width, Index Stride, class Discretization, class Gate>
class OnlineGradient<
    AugmentedSsm<LocalAttention<F, Width, Stride>, DiagonalRecurrence<F, F, Discretization>, Readout<F>, Gate>> {
 public:
  /// The layer to train.
  using Layer =
      AugmentedSsm<LocalAttention<F, Width, Stride>, DiagonalRecurrence<F, F, Discretization>, Readout<F>, Gate>;

  explicit OnlineGradient(Layer layer) : layer_(std::move(layer)) {}

  const Layer& layer() const { return layer_; }

  /// The layer's state, its sensitivities, and the last complete window, which `pull` reads. A value.
  template <class T>
  struct State {
    typename Layer::template State<T> layer;
    Array<T, F, F> by_decay;         ///< Y_t^T
    Array<T, F> by_attention;        ///< V^ab_t^T side by side, number a Width + b
    Array<T, F, Width> last_window;  ///< X_t^T

    friend bool operator==(const State&, const State&) = default;
  };

  template <class T>
  struct Workspace {
    typename Layer::template Workspace<T> layer;
    Array<T, F, 1> o_bar, u;
  };

  template <class T>
  State<T> initial_state() const {
    const Index f = layer_.row_count();
    return {layer_.template initial_state<T>(), Array<T, F, F>(f, f), Array<T, F>(f, f * Width * Width),
            Array<T, F, Width>(f, Width)};
  }
  template <class T>
  Workspace<T> workspace() const {
    const Index f = layer_.row_count();
    return {layer_.template workspace<T>(), Array<T, F, 1>(f, 1), Array<T, F, 1>(f, 1)};
  }

  /// `Layer::step` with sensitivities. Returns true if the token completes a window.
  /// Errors  std::invalid_argument: a token or a prediction of another length
  template <class P, class S>
  bool step(const typename Layer::template Coefficients<P>& c, View<const S, F, 1> token, State<S>& state,
            View<S, F, 1> prediction, Workspace<S>& ws) const {
    expect_equal("OnlineGradient", "the number of features of a token", token.size(), layer_.row_count());
    expect_equal("OnlineGradient", "the length of the prediction", prediction.size(), layer_.row_count());
    auto& window = state.layer.window;
    const bool complete = layer_.window().push(token, window);
    if (!complete) return false;
    const View<const S, F, Width> X = window.tokens.view();
    layer_.recurrence().sensitivity_step(c.recurrence, state.layer.recurrence, static_cast<const S*>(nullptr),
                                         state.by_decay.view(), ws.layer.recurrence);
    for (Index a = 0; a < Width; ++a)
      for (Index b = 0; b < Width; ++b)
        kernels::decayed_outer_sum(c.recurrence.decay.view(), X.column(a), X.column(b), by_attention(state, a, b));
    layer_.absorb(c, X, static_cast<const S*>(nullptr), state.layer.recurrence, ws.layer);
    layer_.gate().step(c.gate, X, ws.layer.o.view(), ws.layer.gate);
    layer_.apply(c, state.layer.recurrence, View<const S, F, 1>(ws.layer.o.view()), prediction, ws.layer);
    detail::copy(X, state.last_window.view());
    layer_.window().slide(window);
    return true;
  }

  /// Adds to `c_bar` the gradient of a loss at the last complete window, with g = d loss / d yhat_t. Call it before the
  /// next window is complete: in a stream of pairs, after y_{t+1} and before x_{t+2}.
  /// Errors  std::invalid_argument: a g of another length
  template <class P, class S>
  void pull(const typename Layer::template Coefficients<P>& c, const State<S>& state, View<const S, F, 1> g,
            typename Layer::template Coefficients<S>& c_bar, Workspace<S>& ws) const {
    expect_equal("OnlineGradient", "the length of the loss's derivative", g.size(), layer_.row_count());
    const View<const S, F, Width> X = state.last_window.view();
    const View<const S, F, F> memory = state.layer.recurrence.memory.view();
    layer_.gate().step(c.gate, X, ws.layer.o.view(), ws.layer.gate);
    const View<const S, F, 1> o = ws.layer.o.view();
    kernels::multiply(memory, o, ws.layer.readout.u.view());
    layer_.readout().step_vjp(c.readout, memory, g, c_bar.readout, ws.o_bar.view(), ws.layer.readout);
    layer_.gate().step_vjp(c.gate, X, View<const S, F, 1>(ws.o_bar.view()), c_bar.gate, View<S, F, Width>::absent(),
                           ws.layer.gate);
    const View<const S, F, 1> v = ws.layer.readout.v.view();
    kernels::add_weighted_outer(v, o, state.by_decay.view(), c_bar.recurrence.decay.view());
    // <o v^T, V> = v . (V^T o)
    for (Index a = 0; a < Width; ++a)
      for (Index b = 0; b < Width; ++b) {
        kernels::multiply(by_attention(state, a, b), o, ws.u.view());
        for (Index j = 0; j < v.size(); ++j)
          c_bar.attention.A(a, b) = multiply_add(v[j], ws.u[j], c_bar.attention.A(a, b));
      }
  }

 private:
  template <class S>
  View<S, F, F> by_attention(State<S>& state, Index a, Index b) const {
    const Index f = layer_.row_count();
    return state.by_attention.view().template columns<F>((a * Width + b) * f, f);
  }
  template <class S>
  View<const S, F, F> by_attention(const State<S>& state, Index a, Index b) const {
    const Index f = layer_.row_count();
    return state.by_attention.view().template columns<F>((a * Width + b) * f, f);
  }

  Layer layer_;
};

template <class Layer>
OnlineGradient(Layer) -> OnlineGradient<Layer>;

}  // namespace gdssm
