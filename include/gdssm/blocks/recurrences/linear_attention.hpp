// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Linear attention,
///     S_t = S_{t-1} + v_t k_t^T                                                                       (24)
/// a step of size 1 on -<v, S k>, which is the gradient of 1/2 |v - S k|^2 taken at S = 0 wherever S is.
/// Shapes  as `MatrixMemory`
/// Source  Katharopoulos et al., arXiv:2006.16236        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class LinearAttention : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = KeyValue<Storage, Keys, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return this->template key_value<Storage>();
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = ScalarFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>&) const {
    write(x.v, x.k, state.memory);
  }
  /// VJP of `step`: v_bar += R k, k_bar += R^T v; R stays.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, const MatrixState<S, Keys, Values>&,
                MatrixState<S, Keys, Values>& state_bar, NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    add_write_vjp(x.v, x.k, state_bar.memory, x_bar.v, x_bar.k, ws);
  }
};

}  // namespace gdssm::recurrences
