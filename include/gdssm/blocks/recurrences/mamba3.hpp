// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Mamba-3's recurrence of one input and output, the trapezoid between the token before (k', v') and this one,
///     S_t = alpha S_{t-1} + (1 - lambda) Delta alpha v' k'^T + lambda Delta v k^T                     (28)
/// a step of size 1 on -(1 - lambda) Delta alpha <v', S k'> - lambda Delta <v, S k> + (1 - alpha)/2 |S|^2. Keys and
/// queries are not turned here: see `TurningMamba3`.
/// Shapes  as `MatrixMemory`; alpha, dt = Delta, lambda one number each
/// Source  Lahoti et al., arXiv:2603.15569        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Mamba3 : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, 1, 1> alpha;    ///< decay
    MatrixIn<Storage, 1, 1> dt;       ///< step Delta
    MatrixIn<Storage, 1, 1> lambda_;  ///< share of this token

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"alpha"}, self.alpha...);
      visitor(Name{"dt"}, self.dt...);
      visitor(Name{"lambda"}, self.lambda_...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), Base::template number<Storage>(), Base::template number<Storage>(),
            Base::template number<Storage>()};
  }

  /// S, and the token that came last.
  template <class T>
  struct State {
    Array<T, Values, Keys> memory;  ///< S (Values x Keys)
    Array<T, Keys, 1> key;          ///< k'
    Array<T, Values, 1> value;      ///< v'

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"key"}, self.key...);
      visitor(Name{"value"}, self.value...);
    }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {this->template memory<T>(), this->template key<InArrays<T>>(), this->template value<InArrays<T>>()};
  }

  /// What a stretch does to the memory, for the token before it.
  template <class T>
  using LinearPart = ScalarFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, State<S>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    const S b[] = {(S(1) - x.lambda_[0]) * x.dt[0] * x.alpha[0]}, a[] = {x.lambda_[0] * x.dt[0]};
    decay(Decay{x.alpha}, state.memory);
    write_rated(b, state.value, state.key, state.memory, ws);
    write_rated(a, x.v, x.k, state.memory, ws);
    gdssm::detail::copy(x.k, state.key.view());
    gdssm::detail::copy(x.v, state.value.view());
  }
  /// VJP of `step`: with b = (1 - lambda) Delta alpha, a = lambda Delta,
  ///     v_bar += a R k,   k_bar += a R^T v,   v'_bar = b R k',   k'_bar = b R^T v',   a_bar = v^T R k,
  ///     b_bar = v'^T R k',   alpha_bar += sum R * S + b_bar (1 - lambda) Delta,
  ///     Delta_bar += b_bar (1 - lambda) alpha + a_bar lambda,   lambda_bar += a_bar Delta - b_bar Delta alpha,
  /// and R <- alpha R; what the state after said of k and v is added to theirs.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    const S rest = S(1) - x.lambda_[0];
    const S b[] = {rest * x.dt[0] * x.alpha[0]}, a[] = {x.lambda_[0] * x.dt[0]};
    S b_bar[] = {S(0)}, a_bar[] = {S(0)};
    add(state_bar.key, x_bar.k);
    add(state_bar.value, x_bar.v);
    state_bar.key.fill(S(0));
    state_bar.value.fill(S(0));
    write_rated_vjp(b, before.value, before.key, state_bar.memory, b_bar, state_bar.value, state_bar.key, ws);
    write_rated_vjp(a, x.v, x.k, state_bar.memory, a_bar, x_bar.v, x_bar.k, ws);
    decay_vjp(Decay{x.alpha}, before.memory, Decay{x_bar.alpha}, state_bar.memory);
    x_bar.alpha[0] += b_bar[0] * rest * x.dt[0];
    x_bar.dt[0] += b_bar[0] * rest * x.alpha[0] + a_bar[0] * x.lambda_[0];
    x_bar.lambda_[0] += a_bar[0] * x.dt[0] - b_bar[0] * x.dt[0] * x.alpha[0];
  }
};

}  // namespace gdssm::recurrences
