// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// RWKV-7's recurrence, K(w_j, kappa, a * kappa, 0) of (22), before, and a write: kappa is removed, k put in its place,
///     S_t = S_{t-1} (diag(w) - kappa (a * kappa)^T) + v k^T                                           (36)
/// a step in the metric A^-1, A = diag(a), on 1/2 |S kappa|^2 + 1/2 tr S (I - W) A^-1 S^T - v^T S A^-1 k, and on no
/// loss in the Euclidean one unless a is constant where kappa is not zero.
/// Shapes  as `MatrixMemory`; w, a, kappa (Keys)
/// Source  Peng et al., arXiv:2503.14456        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Rwkv7 : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, Keys, 1> w;      ///< decays
    MatrixIn<Storage, Keys, 1> a;      ///< learning rates in context
    MatrixIn<Storage, Keys, 1> kappa;  ///< key that is removed

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"w"}, self.w...);
      visitor(Name{"a"}, self.a...);
      visitor(Name{"kappa"}, self.kappa...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), this->template key<Storage>(), this->template key<Storage>(),
            this->template key<Storage>()};
  }

  /// w decays; the rest as elsewhere.
  static constexpr TokenRole role(std::string_view name) { return name == "w" ? TokenRole::decay : Base::role(name); }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    product(x.a, x.kappa, ws.kappa);
    core_before(KeyDecay{x.w}, x.kappa, ws.kappa, ws.zero, state.memory, ws);
    write(x.v, x.k, state.memory);
  }
  /// VJP of `step`: v_bar += R k, k_bar += R^T v; (23), whose written key's is here kappa'_bar, and
  /// kappa_bar += p_bar + a * kappa'_bar, a_bar += kappa * kappa'_bar, w_bar_j += sum_i D_bar_ij.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, MatrixWorkspace<S, Keys, Values>& ws) const {
    add_write_vjp(x.v, x.k, state_bar.memory, x_bar.v, x_bar.k, ws);
    product(x.a, x.kappa, ws.kappa);
    core_before_vjp(KeyDecay{x.w}, x.kappa, ws.kappa, ws.zero, before.memory, state_bar.memory, KeyDecay{x_bar.w}, ws);
    add(ws.p_bar, x_bar.kappa);
    add_product(x.a, ws.kappa_bar, x_bar.kappa);
    add_product(x.kappa, ws.kappa_bar, x_bar.a);
  }
};

}  // namespace gdssm::recurrences
