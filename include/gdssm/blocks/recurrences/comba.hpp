// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Comba, K(alpha, p, beta k, v) of (22), before: it reads with a key of its own,
///     S_t = alpha S_{t-1} + beta (v - S_{t-1} p) k^T                                                  (34)
/// for p = c k a step of size 1 on (1 - alpha)/2 |S|^2 + (c beta/2) |v/c - S k|^2; else one in a metric P^-1, P p = k,
/// if <p, k> > 0, and on no loss if <p, k> = 0. Published with p = d * k.
/// Shapes  as `MatrixMemory`; p (Keys), beta, alpha one number each
/// Source  Hu et al., arXiv:2506.02475        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Comba : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  struct Token : DecayedKeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, Keys, 1> p;  ///< key that is read

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      DecayedKeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"p"}, self.p...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template decayed_key_value<Storage>(), this->template key<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_before(Decay{x.alpha}, x.p, ws.kappa, x.v, state.memory, ws);
  }
  /// VJP of `step`: (23), then p's is p_bar, k_bar += beta kappa_bar, beta_bar += <k, kappa_bar>, v_bar += y_bar,
  /// alpha_bar += sum D_bar.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_before_vjp(Decay{x.alpha}, x.p, ws.kappa, x.v, before.memory, state_bar.memory, Decay{x_bar.alpha}, ws);
    add_scaled(x.beta[0], ws.kappa_bar, x_bar.k);
    add_dot(x.k, ws.kappa_bar, x_bar.beta);
    add(ws.p_bar, x_bar.p);
    add(ws.y_bar, x_bar.v);
  }
};

}  // namespace gdssm::recurrences
