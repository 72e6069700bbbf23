// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// RetNet's retention,
///     S_t = gamma S_{t-1} + v_t k_t^T                                                                 (25)
/// a step of size 1 on -<v, S k> + (1 - gamma)/2 |S|^2. Its rotation of queries and keys is not part of it.
/// Shapes  as `MatrixMemory`; gamma one number for the sequence
/// Source  Sun et al., arXiv:2307.08621        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class RetNet : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = KeyValue<Storage, Keys, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return this->template key_value<Storage>();
  }
  template <class Storage>
  struct Constants {
    MatrixIn<Storage, 1, 1> gamma;  ///< decay

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"gamma"}, self.gamma...);
    }
  };
  template <class Storage>
  Constants<Storage> constants() const {
    return {Base::template number<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = ScalarFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>&) const {
    decay(Decay{c.gamma}, state.memory);
    write(x.v, x.k, state.memory);
  }
  /// VJP of `step`: v_bar += R k, k_bar += R^T v, gamma_bar += sum R * S, R <- gamma R.
  template <class S>
  void step_vjp(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                Constants<InArrays<S>>& c_bar, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    add_write_vjp(x.v, x.k, state_bar.memory, x_bar.v, x_bar.k, ws);
    decay_vjp(Decay{c.gamma}, before.memory, Decay{c_bar.gamma}, state_bar.memory);
  }
};

}  // namespace gdssm::recurrences
