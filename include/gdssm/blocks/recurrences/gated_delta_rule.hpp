// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// The gated delta rule, K(alpha, k, beta k, v) of (22), after,
///     S~ = alpha S_{t-1},   S_t = S~ + beta (v - S~ k) k^T                                            (30)
/// a decay, then a step of size beta on 1/2 |v - S k|^2; in one stage a step of size 1 at S_{t-1} on
/// (1 - alpha)/2 |S|^2 + (alpha beta/2) |v/alpha - S k|^2.
/// Shapes  as `MatrixMemory`; beta, alpha one number each
/// Source  Yang, Kautz, Hatamizadeh, arXiv:2412.06464        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class GatedDeltaRule : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = DecayedKeyValue<Storage, Keys, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return this->template decayed_key_value<Storage>();
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_after(Decay{x.alpha}, x.k, ws.kappa, x.v, state.memory, ws);
  }
  /// VJP of `step`: that of `DeltaRule`, and alpha_bar += sum D_bar.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_after_vjp(Decay{x.alpha}, x.k, ws.kappa, x.v, before.memory, state_bar.memory, Decay{x_bar.alpha}, ws);
    add_rated(x.k, x.beta, x_bar.k, x_bar.v, x_bar.beta, ws);
  }
};

}  // namespace gdssm::recurrences
