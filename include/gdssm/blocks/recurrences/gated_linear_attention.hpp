// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Gated linear attention, GLA, whose decays are the keys' channels' own,
///     S_t = S_{t-1} diag(alpha) + v_t k_t^T                                                           (27)
/// a step of size 1 on -<v, S k> + 1/2 sum_ij (1 - alpha_j) S_ij^2.
/// Shapes  as `MatrixMemory`; alpha (Keys)
/// Source  Yang et al., arXiv:2312.06635        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class GatedLinearAttention : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, Keys, 1> alpha;  ///< decays

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"alpha"}, self.alpha...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), this->template key<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = KeyFactors<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>&) const {
    decay(KeyDecay{x.alpha}, state.memory);
    write(x.v, x.k, state.memory);
  }
  /// VJP of `step`: v_bar += R k, k_bar += R^T v, alpha_bar_j += sum_i (R * S)_ij, R <- R diag(alpha).
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    add_write_vjp(x.v, x.k, state_bar.memory, x_bar.v, x_bar.k, ws);
    decay_vjp(KeyDecay{x.alpha}, before.memory, KeyDecay{x_bar.alpha}, state_bar.memory);
  }
};

}  // namespace gdssm::recurrences
