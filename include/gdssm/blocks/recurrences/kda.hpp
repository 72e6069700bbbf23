// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Kimi delta attention, KDA, K(alpha_j, k, beta k, v) of (22), after,
///     S~ = S_{t-1} diag(alpha),   S_t = S~ + beta (v - S~ k) k^T                                      (31)
/// a decay of the keys' channels, then a step of size beta on 1/2 |v - S k|^2. In one stage it is a step on
/// 1/2 tr S D (I - D) S^T + (beta/2) |v - S D k|^2, D = diag(alpha), in the metric D, and on no loss in the Euclidean
/// one unless alpha is constant where k is not zero.
/// Shapes  as `MatrixMemory`; beta one number, alpha (Keys)
/// Source  Kimi Team, arXiv:2510.26692        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Kda : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = DecayedKeyValue<Storage, Keys, Values, Keys>;
  template <class Storage>
  Token<Storage> token() const {
    return {this->template rated_key_value<Storage>(), this->template key<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_after(KeyDecay{x.alpha}, x.k, ws.kappa, x.v, state.memory, ws);
  }
  /// VJP of `step`: that of `DeltaRule`, and alpha_bar_j += sum_i D_bar_ij.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_after_vjp(KeyDecay{x.alpha}, x.k, ws.kappa, x.v, before.memory, state_bar.memory, KeyDecay{x_bar.alpha}, ws);
    add_rated(x.k, x.beta, x_bar.k, x_bar.v, x_bar.beta, ws);
  }
};

}  // namespace gdssm::recurrences
