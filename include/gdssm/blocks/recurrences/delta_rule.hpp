// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// The delta rule, K(1, k, beta k, v) of (22),
///     S_t = S_{t-1} + beta (v - S_{t-1} k) k^T                                                        (29)
/// a step of size beta on 1/2 |v - S k|^2 at S_{t-1}. It answers k with v exactly where beta |k|^2 = 1, and its error
/// never grows while 0 <= beta |k|^2 <= 2. On the paper's tasks the best constant beta is that of (46).
/// Shapes  as `MatrixMemory`; beta one number
/// Source  Schlag et al., arXiv:2102.11174; Yang et al., arXiv:2406.06484        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class DeltaRule : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = RatedKeyValue<Storage, Keys, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return this->template rated_key_value<Storage>();
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_after(NoDecay(), x.k, ws.kappa, x.v, state.memory, ws);
  }
  /// VJP of `step`: (23), then k_bar += p_bar + beta kappa_bar, beta_bar += <k, kappa_bar>, v_bar += y_bar.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    scaled(x.beta[0], x.k, ws.kappa);
    core_after_vjp(NoDecay(), x.k, ws.kappa, x.v, before.memory, state_bar.memory, NoDecay(), ws);
    add_rated(x.k, x.beta, x_bar.k, x_bar.v, x_bar.beta, ws);
  }
};

}  // namespace gdssm::recurrences
