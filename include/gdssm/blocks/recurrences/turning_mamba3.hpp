// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/recurrences/mamba3.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm::recurrences {

/// Mamba-3 with keys and queries that turn by an angle a plane, channels (0, 1), (2, 3), ...:
///     phi_t = phi_{t-1} + omega_t Delta_t,   (x0, x1) -> (x0 cos phi - x1 sin phi, x0 sin phi + x1 cos phi)    (28a)
/// of the key before (28) and of the query before it is read; a complex-valued state in real numbers.
/// Shapes  as `Mamba3`, Keys even; omega, phi (Keys / 2)
/// Errors  std::invalid_argument: an odd size of keys
/// Source  Lahoti et al., arXiv:2603.15569        VJP  `step_vjp`, `read_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class TurningMamba3 : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;
  using Rule = Mamba3<Keys, Values>;
  static constexpr Index planes = Keys == Dynamic ? Dynamic : Keys / 2;

 public:
  TurningMamba3(Index key_count, Index value_count) : Base(key_count, value_count), rule_(key_count, value_count) {
    if (key_count % 2 != 0) refuse("TurningMamba3", "the size of keys is ", key_count, ", expected an even number");
  }
  Index plane_count() const { return this->key_count() / 2; }  ///< Keys / 2

  template <class Storage>
  struct Token {
    typename Rule::template Token<Storage> pair;  ///< as `Mamba3` has it, before turning
    MatrixIn<Storage, planes, 1> omega;           ///< speeds

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Rule::template Token<Storage>::visit(visitor, self.pair...);
      visitor(Name{"omega"}, self.omega...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {rule_.template token<Storage>(), made_in<Storage, planes, 1>(plane_count(), 1)};
  }

  template <class T>
  struct State {
    typename Rule::template State<T> pairs;  ///< as `Mamba3` has it, the key turned
    Array<T, planes, 1> angle;               ///< phi

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Rule::template State<T>::visit(visitor, self.pairs...);
      visitor(Name{"angle"}, self.angle...);
    }
    auto memories() { return std::tie(pairs.memory); }  ///< what a stretch maps
    auto memories() const { return std::tie(pairs.memory); }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {rule_.template initial_state<T>(), {plane_count(), 1}};
  }

  template <class T>
  struct Workspace : MatrixWorkspace<T, Keys, Values> {
    Array<T, planes, 1> angle;             ///< phi_t
    Array<T, Keys, 1> turned, turned_bar;  ///< key or query, and its cotangent
  };
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Keys, 1> key(this->key_count(), 1);
    return {Base::template workspace<T>(), {plane_count(), 1}, key, key};
  }

  /// What a stretch does to the memory, for the angle and the token before it.
  template <class T>
  using LinearPart = ScalarFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>& c, const Token<InViews<const S>>& x, State<S>& state,
            Workspace<S>& ws) const {
    add_scaled(x.pair.dt[0], x.omega, state.angle);
    turn(x.pair.k, state.angle, ws.turned);
    rule_.step(c, turned_pair(x, ws), state.pairs, ws);
  }
  /// VJP of `step`: that of (28) for the key as turned, y; then k_bar turns back from y_bar, and
  ///     phi_bar += y_bar_1 y_0 - y_bar_0 y_1,   omega_bar += Delta phi_bar,   Delta_bar += <omega, phi_bar>
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>& c, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, NoConstants<InArrays<S>>& c_bar, const Token<InViews<S>>& x_bar,
                Workspace<S>& ws) const {
    gdssm::detail::copy(before.angle.view(), ws.angle.view());
    add_scaled(x.pair.dt[0], x.omega, ws.angle);
    turn(x.pair.k, ws.angle, ws.turned);
    ws.turned_bar.fill(S(0));
    auto pair_bar = x_bar.pair;
    pair_bar.k = ws.turned_bar.view();
    rule_.step_vjp(c, turned_pair(x, ws), before.pairs, state_bar.pairs, c_bar, pair_bar, ws);
    turn_vjp(ws.turned, ws.angle, ws.turned_bar, x_bar.pair.k, state_bar.angle);
    add_scaled(x.pair.dt[0], state_bar.angle, x_bar.omega);
    add_dot(x.omega, state_bar.angle, x_bar.pair.dt);
  }

  /// o = S q, the query turned.
  template <class S>
  void read(const NoConstants<InArrays<S>>&, const State<S>& state, View<const S, Keys, 1> q, View<S, Values, 1> o,
            Workspace<S>& ws) const {
    turn(q, state.angle, ws.turned);
    kernels::multiply(state.pairs.memory.view(), detail::seen(ws.turned), o);
  }
  /// VJP of `read`: R += o_bar y^T and y_bar = S^T o_bar for the query as turned, y; then as of `step`.
  template <class S>
  void read_vjp(const NoConstants<InArrays<S>>&, const State<S>& state, View<const S, Keys, 1> q,
                View<const S, Values, 1> o_bar, State<S>& state_bar, NoConstants<InArrays<S>>&, View<S, Keys, 1> q_bar,
                Workspace<S>& ws) const {
    turn(q, state.angle, ws.turned);
    write(o_bar, ws.turned, state_bar.pairs.memory);
    kernels::multiply_transposed(state.pairs.memory.view(), o_bar, ws.turned_bar.view());
    turn_vjp(ws.turned, state.angle, ws.turned_bar, q_bar, state_bar.angle);
  }

 private:
  template <class S>
  static auto turned_pair(const Token<InViews<const S>>& x, const Workspace<S>& ws) {
    auto pair = x.pair;
    pair.k = ws.turned.view();
    return pair;
  }
  template <class X, class Angle, class Y>
  static void turn(const X& x, const Angle& phi, Y& y) {
    using std::cos, std::sin;
    for (Index i = 0; i < phi.size(); ++i) {
      const auto c = cos(phi[i]), s = sin(phi[i]);
      y[2 * i] = x[2 * i] * c - x[2 * i + 1] * s;
      y[2 * i + 1] = x[2 * i] * s + x[2 * i + 1] * c;
    }
  }
  template <class Y, class Angle, class YBar, class XBar, class AngleBar>
  static void turn_vjp(const Y& y, const Angle& phi, const YBar& y_bar, XBar& x_bar, AngleBar& phi_bar) {
    using std::cos, std::sin;
    for (Index i = 0; i < phi.size(); ++i) {
      const auto c = cos(phi[i]), s = sin(phi[i]);
      x_bar[2 * i] += y_bar[2 * i] * c + y_bar[2 * i + 1] * s;
      x_bar[2 * i + 1] += y_bar[2 * i + 1] * c - y_bar[2 * i] * s;
      phi_bar[i] += y_bar[2 * i + 1] * y[2 * i] - y_bar[2 * i] * y[2 * i + 1];
    }
  }

  Rule rule_;
};

}  // namespace gdssm::recurrences
