// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// The gated Oja rule, which tells keys by values,
///     S~ = diag(alpha) S_{t-1},   S_t = S~ + beta v (k - S~^T v)^T                                    (37)
/// a decay of the values' channels, then a step of size beta on 1/2 |k - S^T v|^2: (31) of S^T with keys and values
/// exchanged. Oja's own rule, v = S k, is no gradient.
/// Shapes  as `MatrixMemory`; beta one number, alpha (Values)
/// Source  github.com/fla-org/flash-linear-attention, fla/ops/oja        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class GatedOja : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = DecayedKeyValue<Storage, Keys, Values, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return {this->template rated_key_value<Storage>(), this->template value<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = LeftFactor<T, Values>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    decay(ValueDecay{x.alpha}, state.memory);
    key_error(state.memory, x, ws.p);
    scaled(x.beta[0], x.v, ws.y);
    write(ws.y, ws.p, state.memory);
  }
  /// VJP of `step`: with u = k - S~^T v,
  ///     k_bar += u_bar = beta R^T v,   beta_bar += v^T R u,   v_bar += beta R u - S~ u_bar,
  ///     R~ = R - v u_bar^T,   alpha_bar_i += sum_j (R~ * S)_ij,   R <- diag(alpha) R~
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    const auto& decayed_memory = decayed(ValueDecay{x.alpha}, before.memory, ws.decayed);
    key_error(decayed_memory, x, ws.p);
    scaled(x.beta[0], x.v, ws.y);
    write_vjp(ws.y, ws.p, state_bar.memory, ws.y_bar, ws.kappa_bar);
    add(ws.kappa_bar, x_bar.k);
    add_dot(x.v, ws.y_bar, x_bar.beta);
    add_scaled(x.beta[0], ws.y_bar, x_bar.v);
    scaled(S(-1), ws.kappa_bar, ws.p_bar);
    kernels::multiply(detail::seen(decayed_memory), detail::seen(ws.p_bar), ws.e.view());
    add(ws.e, x_bar.v);
    write(x.v, ws.p_bar, state_bar.memory);
    decay_vjp(ValueDecay{x.alpha}, before.memory, ValueDecay{x_bar.alpha}, state_bar.memory);
  }

 private:
  /// u = k - S^T v.
  template <class S>
  static void key_error(const Array<S, Values, Keys>& memory, const Token<InViews<const S>>& x, Array<S, Keys, 1>& u) {
    kernels::multiply_transposed(memory.view(), x.v, u.view());
    for (Index j = 0; j < u.size(); ++j) u[j] = x.k[j] - u[j];
  }
};

}  // namespace gdssm::recurrences
