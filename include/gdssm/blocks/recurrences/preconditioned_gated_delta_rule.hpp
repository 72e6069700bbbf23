// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string_view>

#include "gdssm/blocks/recurrences/matrix_memory.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm::recurrences {

/// The preconditioned gated delta rule, K(alpha, k, beta m * k, v) of (22), after, with
///     a_t = alpha_A a_{t-1} + beta_A k * k,   r = log(a_t + eps) - center,   m = base^(-r / (1 + |r|))
///     S~ = alpha S_{t-1},   S_t = S~ + beta (v - S~ k) (m * k)^T                                      (35)
/// a decay, then a step of size beta on 1/2 |v - S k|^2 in the metric diag(1/m): RMSprop on the keys' second moment a,
/// with m between 1/base and base.
/// Shapes  as `MatrixMemory`; a (Keys), center one number for the sequence, beta, alpha, alpha_A, beta_A numbers
/// Source  github.com/fla-org/flash-linear-attention, fla/ops/precond_gated_delta_rule        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class PreconditionedGatedDeltaRule : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;
  /// A rule with eps and base of its own.
  /// Errors  std::invalid_argument: a base of 0 or less
  PreconditionedGatedDeltaRule(Index key_count, Index value_count, double eps, double base)
      : Base(key_count, value_count), eps_(eps), log_base_(std::log(base)) {
    if (!(base > 0)) refuse("PreconditionedGatedDeltaRule", "the base is ", base, ", expected a number above 0");
  }

  static constexpr TokenRole role(std::string_view name) {
    return name == "alpha_A" ? TokenRole::decay : Base::role(name);
  }

  template <class Storage>
  struct Token : DecayedKeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, 1, 1> alpha_A, beta_A;  ///< decay of the second moment, and this token's weight in it

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      DecayedKeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"alpha_A"}, self.alpha_A...);
      visitor(Name{"beta_A"}, self.beta_A...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template decayed_key_value<Storage>(), Base::template number<Storage>(),
            Base::template number<Storage>()};
  }

  template <class Storage>
  struct Constants {
    MatrixIn<Storage, 1, 1> center;  ///< log of the second moment at which m is 1

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"center"}, self.center...);
    }
  };
  template <class Storage>
  Constants<Storage> constants() const {
    return {Base::template number<Storage>()};
  }

  template <class T>
  struct State {
    Array<T, Values, Keys> memory;    ///< S (Values x Keys)
    Array<T, Keys, 1> second_moment;  ///< a (Keys)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"second_moment"}, self.second_moment...);
    }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {this->template memory<T>(), {this->key_count(), 1}};
  }

  /// What a stretch does to the memory, for the second moment before it.
  template <class T>
  using LinearPart = RightFactor<T, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x, State<S>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    for (Index j = 0; j < x.k.size(); ++j) {
      state.second_moment[j] = moment(x, state.second_moment[j], j);
      ws.kappa[j] = x.beta[0] * gain(c, state.second_moment[j]) * x.k[j];
    }
    core_after(Decay{x.alpha}, x.k, ws.kappa, x.v, state.memory, ws);
  }
  /// VJP of `step`: (23), then
  ///     k_bar += p_bar + beta m * kappa_bar,   beta_bar += <kappa_bar, m * k>,   m_bar = beta k * kappa_bar,
  ///     r_bar = -m_bar * m log(base) / (1 + |r|)^2,   center_bar -= sum r_bar,   a_bar += r_bar / (a_t + eps),
  ///     alpha_A_bar += <a_bar, a_{t-1}>,   beta_A_bar += <a_bar, k * k>,   k_bar += 2 beta_A k * a_bar,
  ///     a_bar <- alpha_A a_bar
  template <class S>
  void step_vjp(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, Constants<InArrays<S>>& c_bar, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    for (Index j = 0; j < x.k.size(); ++j)
      ws.kappa[j] = x.beta[0] * gain(c, moment(x, before.second_moment[j], j)) * x.k[j];
    core_after_vjp(Decay{x.alpha}, x.k, ws.kappa, x.v, before.memory, state_bar.memory, Decay{x_bar.alpha}, ws);
    add(ws.p_bar, x_bar.k);
    add(ws.y_bar, x_bar.v);
    const S slope = gdssm::detail::constant<S>(-log_base_), eps = gdssm::detail::constant<S>(eps_);
    for (Index j = 0; j < x.k.size(); ++j) {
      const S a = moment(x, before.second_moment[j], j), m = gain(c, a), more = S(1) + size(excess(c, a));
      const S weight_bar = x.k[j] * ws.kappa_bar[j];
      x_bar.beta[0] += m * weight_bar;
      const S r_bar = x.beta[0] * weight_bar * m * slope / (more * more);
      c_bar.center[0] -= r_bar;
      S& a_bar = state_bar.second_moment[j];
      a_bar += r_bar / (a + eps);
      x_bar.alpha_A[0] += a_bar * before.second_moment[j];
      x_bar.beta_A[0] += a_bar * x.k[j] * x.k[j];
      x_bar.k[j] += x.beta[0] * m * ws.kappa_bar[j] + S(2) * x.beta_A[0] * x.k[j] * a_bar;
      a_bar = x.alpha_A[0] * a_bar;
    }
  }

 private:
  /// a_t of channel j.
  template <class S>
  static S moment(const Token<InViews<const S>>& x, const S& before, Index j) {
    return multiply_add(x.alpha_A[0], before, S(x.beta_A[0] * x.k[j] * x.k[j]));
  }
  template <class S>
  static S size(const S& r) {
    using gdssm::larger;
    return larger(r, S(-r));
  }
  /// r = log(a + eps) - center.
  template <class S>
  S excess(const Constants<InArrays<S>>& c, const S& a) const {
    using std::log;
    return log(a + gdssm::detail::constant<S>(eps_)) - c.center[0];
  }
  /// m = base^(-r / (1 + |r|)).
  template <class S>
  S gain(const Constants<InArrays<S>>& c, const S& a) const {
    using std::exp;
    const S r = excess(c, a);
    return exp(gdssm::detail::constant<S>(-log_base_) * (r / (S(1) + size(r))));
  }

  double eps_ = 1e-6, log_base_ = std::log(1.5);
};

}  // namespace gdssm::recurrences
