// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Gated DeltaNet-2, K(alpha_j, b * k, k, w * v) of (22), after: an erase gate b and a write gate w,
///     S~ = S_{t-1} diag(alpha),   S_t = S~ + (w * v - S~ (b * k)) k^T                                 (32)
/// a decay of the keys' channels, then a step on 1/2 |w * v - S (b * k)|^2 in the metric diag(b), on no loss in the
/// Euclidean one unless b is constant where k is not zero.
/// Shapes  as `MatrixMemory`; alpha, b (Keys), w (Values)
/// Source  Hatamizadeh, Choi, Kautz, arXiv:2605.22791        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class GatedDeltaNet2 : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, Keys, 1> alpha;  ///< decays
    MatrixIn<Storage, Keys, 1> b;      ///< erase gate
    MatrixIn<Storage, Values, 1> w;    ///< write gate

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"alpha"}, self.alpha...);
      visitor(Name{"b"}, self.b...);
      visitor(Name{"w"}, self.w...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), this->template key<Storage>(), this->template key<Storage>(),
            this->template value<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    product(x.b, x.k, ws.p);
    product(x.w, x.v, ws.y);
    core_after(KeyDecay{x.alpha}, ws.p, x.k, ws.y, state.memory, ws);
  }
  /// VJP of `step`: (23), then k_bar += b * p_bar + kappa_bar, b_bar += k * p_bar, v_bar += w * y_bar, w_bar += v *
  /// y_bar, alpha_bar_j += sum_i D_bar_ij.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    product(x.b, x.k, ws.p);
    product(x.w, x.v, ws.y);
    core_after_vjp(KeyDecay{x.alpha}, ws.p, x.k, ws.y, before.memory, state_bar.memory, KeyDecay{x_bar.alpha}, ws);
    add_product(x.b, ws.p_bar, x_bar.k);
    add(ws.kappa_bar, x_bar.k);
    add_product(x.k, ws.p_bar, x_bar.b);
    add_product(x.w, ws.y_bar, x_bar.v);
    add_product(x.v, ws.y_bar, x_bar.w);
  }
};

}  // namespace gdssm::recurrences
