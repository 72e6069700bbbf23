// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// The Omega rule of Atlas, without its optimiser Muon: a window of pairs, this token's and those before it,
///     B_t = eta B_{t-1} + theta sum_{j < Window} gamma_j (v_{t-j} - S_{t-1} k_{t-j}) k_{t-j}^T,
///     S_t = alpha S_{t-1} + B_t                                                                       (44)
/// the heavy ball of step theta on sum_j gamma_j/2 |v_{t-j} - S k_{t-j}|^2 at S_{t-1}. Pairs before the first are zero.
/// Shapes  as `MatrixMemory`; gamma (Window), alpha, eta, theta one number each
/// Errors  std::invalid_argument: a window of less than one pair, or not the type's
/// Source  Behrouz et al., arXiv:2505.23735        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys, Index Window = Dynamic>
class OmegaRule : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;
  static constexpr Index earlier = Window == Dynamic ? Dynamic : Window - 1;

 public:
  /// A rule whose window holds `window` pairs.
  OmegaRule(Index key_count, Index value_count, Index window)
      : Base(key_count, value_count), window_(gdssm::detail::fixed_or<Window>(window)) {
    if (window <= 0) refuse("OmegaRule", "the window is ", window, ", expected at least 1");
    if (Window != Dynamic) expect_equal("OmegaRule", "the window", window, Window);
  }
  Index window() const { return window_.value(); }  ///< the number of pairs, c

  static constexpr TokenRole role(std::string_view name) {
    return name == "eta" ? TokenRole::decay : name == "gamma" ? TokenRole::share : Base::role(name);
  }

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, 1, 1> alpha;       ///< decay
    MatrixIn<Storage, 1, 1> eta;         ///< momentum
    MatrixIn<Storage, 1, 1> theta;       ///< rate
    MatrixIn<Storage, Window, 1> gamma;  ///< weights of the pairs, this token's first

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"alpha"}, self.alpha...);
      visitor(Name{"eta"}, self.eta...);
      visitor(Name{"theta"}, self.theta...);
      visitor(Name{"gamma"}, self.gamma...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), Base::template number<Storage>(), Base::template number<Storage>(),
            Base::template number<Storage>(), made_in<Storage, Window, 1>(window(), 1)};
  }

  template <class T>
  struct State {
    Array<T, Values, Keys> memory;     ///< S (Values x Keys)
    Array<T, Values, Keys> momentum;   ///< B (Values x Keys)
    Array<T, Keys, earlier> keys;      ///< of the last Window - 1 tokens, the last one first
    Array<T, Values, earlier> values;  ///< theirs

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"momentum"}, self.momentum...);
      visitor(Name{"keys"}, self.keys...);
      visitor(Name{"values"}, self.values...);
    }
    auto memories() { return std::tie(memory, momentum); }  ///< what a stretch maps
    auto memories() const { return std::tie(memory, momentum); }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {this->template memory<T>(),
            this->template memory<T>(),
            {this->key_count(), window() - 1},
            {this->value_count(), window() - 1}};
  }

  /// What a stretch does to the memory, for the pairs before it.
  template <class T>
  using LinearPart = PairFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, State<S>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    decay(Decay{x.eta}, state.momentum);
    descend(x, 0, x.k, x.v, state, ws);
    for (Index j = 1; j < window(); ++j)
      descend(x, j, detail::seen(state.keys).column(j - 1), detail::seen(state.values).column(j - 1), state, ws);
    decay(Decay{x.alpha}, state.memory);
    add(state.momentum, state.memory);
    remember(x.k, state.keys);
    remember(x.v, state.values);
  }
  /// VJP of `step`: that of `Titans`, with e_j = v_{t-j} - S k_{t-j} and e_bar_j = theta gamma_j R_B k_{t-j} for every
  /// pair of the window: gamma_bar_j += theta e_j^T R_B k_{t-j}, theta_bar += sum_j gamma_j e_j^T R_B k_{t-j}.
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    remember_vjp(state_bar.keys, x_bar.k);
    remember_vjp(state_bar.values, x_bar.v);
    add(state_bar.memory, state_bar.momentum);
    decay_vjp(Decay{x.alpha}, before.memory, Decay{x_bar.alpha}, state_bar.memory);
    descend_vjp(x, 0, x.k, x.v, before, state_bar, x_bar, x_bar.k, x_bar.v, ws);
    for (Index j = 1; j < window(); ++j)
      descend_vjp(x, j, detail::seen(before.keys).column(j - 1), detail::seen(before.values).column(j - 1), before,
                  state_bar, x_bar, state_bar.keys.view().column(j - 1), state_bar.values.view().column(j - 1), ws);
    decay_vjp(Decay{x.eta}, before.momentum, Decay{x_bar.eta}, state_bar.momentum);
  }

 private:
  template <class S>
  using Key = View<const S, Keys, 1>;
  template <class S>
  using Value = View<const S, Values, 1>;

  /// B += theta gamma_j (v - S k) k^T.
  template <class S>
  static void descend(const Token<InViews<const S>>& x, Index j, Key<S> k, Value<S> v, State<S>& state,
                      MatrixWorkspace<S, Keys, Values>& ws) {
    const S rate[] = {x.theta[0] * x.gamma[j]};
    error(state.memory, k, v, ws.y);
    write_rated(rate, ws.y, k, state.momentum, ws);
  }
  template <class S>
  static void descend_vjp(const Token<InViews<const S>>& x, Index j, Key<S> k, Value<S> v, const State<S>& before,
                          State<S>& state_bar, const Token<InViews<S>>& x_bar, View<S, Keys, 1> k_bar,
                          View<S, Values, 1> v_bar, MatrixWorkspace<S, Keys, Values>& ws) {
    const S rate[] = {x.theta[0] * x.gamma[j]};
    S rate_bar[] = {S(0)};
    error(before.memory, k, v, ws.y);
    ws.error_bar.fill(S(0));
    write_rated_vjp(rate, ws.y, k, state_bar.momentum, rate_bar, ws.error_bar, k_bar, ws);
    add(ws.error_bar, v_bar);
    error_vjp(before.memory, k, ws.error_bar, k_bar, state_bar.memory);
    x_bar.theta[0] += x.gamma[j] * rate_bar[0];
    x_bar.gamma[j] += x.theta[0] * rate_bar[0];
  }

  /// Puts a column in front of all, which drops the last.
  template <class From, class All>
  static void remember(const From& from, All& all) {
    for (Index j = all.cols() - 1; j >= 0; --j)
      for (Index i = 0; i < all.rows(); ++i) all(i, j) = j > 0 ? all(i, j - 1) : from[i];
  }
  /// VJP of `remember`.
  template <class All, class FromBar>
  static void remember_vjp(All& all_bar, const FromBar& from_bar) {
    for (Index j = 0; j < all_bar.cols(); ++j)
      for (Index i = 0; i < all_bar.rows(); ++i) {
        if (j == 0) from_bar[i] += all_bar(i, 0);
        all_bar(i, j) = j + 1 < all_bar.cols() ? all_bar(i, j + 1) : decltype(from_bar[i] + from_bar[i])(0);
      }
  }

  [[no_unique_address]] gdssm::detail::Extent<Window> window_;
};

}  // namespace gdssm::recurrences
