// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Titans with a linear memory, gradient descent with momentum and decay,
///     B_t = eta B_{t-1} + theta (v - S_{t-1} k) k^T,   S_t = alpha S_{t-1} + B_t                      (43)
/// the heavy ball of step theta on 1/2 |v - S k|^2 at S_{t-1}. The pair (S, B) descends no Euclidean loss, and none in
/// any metric where (alpha + eta - theta |k|^2)^2 < 4 alpha eta.
/// Shapes  as `MatrixMemory`; alpha, eta, theta one number each
/// Source  Behrouz et al., arXiv:2501.00663        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Titans : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  static constexpr TokenRole role(std::string_view name) { return name == "eta" ? TokenRole::decay : Base::role(name); }

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, 1, 1> alpha;  ///< decay
    MatrixIn<Storage, 1, 1> eta;    ///< momentum
    MatrixIn<Storage, 1, 1> theta;  ///< rate

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"alpha"}, self.alpha...);
      visitor(Name{"eta"}, self.eta...);
      visitor(Name{"theta"}, self.theta...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), Base::template number<Storage>(), Base::template number<Storage>(),
            Base::template number<Storage>()};
  }

  template <class T>
  struct State {
    Array<T, Values, Keys> memory;    ///< S (Values x Keys)
    Array<T, Values, Keys> momentum;  ///< B (Values x Keys)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"momentum"}, self.momentum...);
    }
    auto memories() { return std::tie(memory, momentum); }  ///< what a stretch maps
    auto memories() const { return std::tie(memory, momentum); }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {this->template memory<T>(), this->template memory<T>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = PairFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, State<S>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    error(state.memory, x.k, x.v, ws.y);
    decay(Decay{x.eta}, state.momentum);
    write_rated(x.theta, ws.y, x.k, state.momentum, ws);
    decay(Decay{x.alpha}, state.memory);
    add(state.momentum, state.memory);
  }
  /// VJP of `step`: R_B += R, then with e = v - S k
  ///     theta_bar += e^T R_B k,   e_bar = theta R_B k,   v_bar += e_bar,   k_bar += theta R_B^T e - S^T e_bar,
  ///     eta_bar += sum R_B * B,   alpha_bar += sum R * S,   R <- alpha R - e_bar k^T,   R_B <- eta R_B
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    add(state_bar.memory, state_bar.momentum);
    decay_vjp(Decay{x.alpha}, before.memory, Decay{x_bar.alpha}, state_bar.memory);
    error(before.memory, x.k, x.v, ws.y);
    ws.error_bar.fill(S(0));
    write_rated_vjp(x.theta, ws.y, x.k, state_bar.momentum, x_bar.theta, ws.error_bar, x_bar.k, ws);
    add(ws.error_bar, x_bar.v);
    error_vjp(before.memory, x.k, ws.error_bar, x_bar.k, state_bar.memory);
    decay_vjp(Decay{x.eta}, before.momentum, Decay{x_bar.eta}, state_bar.momentum);
  }
};

}  // namespace gdssm::recurrences
