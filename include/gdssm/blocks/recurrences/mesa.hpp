// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"
#include "gdssm/core/elimination.hpp"

namespace gdssm::recurrences {

/// The Mesa layer, ridge regression on all tokens so far,
///     H_t = alpha H_{t-1} + beta k k^T,   M_t = alpha M_{t-1} + beta v k^T,
///     o_t = M_t (H_t + Lambda)^-1 q_t,   Lambda = diag(lambda)                                        (40)
/// W_t = M_t (H_t + Lambda)^-1 minimises 1/2 sum_i zeta_i beta_i |v_i - W k_i|^2 + 1/2 tr W Lambda W^T, where zeta_i is
/// the product of the decays after i. With alpha = 1 it is recursive least squares. On the paper's tasks, which have no
/// noise, the smaller lambda the better, (48).
/// Shapes  as `MatrixMemory`, M in place of S; H (Keys x Keys), lambda (Keys) for the sequence, beta, alpha one number
///         each. H + Lambda must have no pivot of zero, as where H is positive semidefinite and lambda positive.
/// Source  von Oswald et al., arXiv:2309.05858, arXiv:2506.05233        VJP  `step_vjp`, `read_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Mesa : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = DecayedKeyValue<Storage, Keys, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return this->template decayed_key_value<Storage>();
  }

  template <class Storage>
  struct Constants {
    MatrixIn<Storage, Keys, 1> lambda;  ///< ridge, one for each channel of the keys

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"lambda"}, self.lambda...);
    }
  };
  template <class Storage>
  Constants<Storage> constants() const {
    return {this->template key<Storage>()};
  }

  template <class T>
  struct State {
    Array<T, Values, Keys> memory;    ///< M (Values x Keys)
    Array<T, Keys, Keys> covariance;  ///< H (Keys x Keys)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"covariance"}, self.covariance...);
    }
    auto memories() { return std::tie(memory, covariance); }  ///< what a stretch maps
    auto memories() const { return std::tie(memory, covariance); }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    return {this->template memory<T>(), {this->key_count(), this->key_count()}};
  }

  template <class T>
  struct Workspace : MatrixWorkspace<T, Keys, Values> {
    Array<T, Keys, Keys> factors;  ///< L and U of H + Lambda
    Array<T, Keys, 1> x;           ///< (H + Lambda)^-1 q
  };
  template <class T>
  Workspace<T> workspace() const {
    return {Base::template workspace<T>(), {this->key_count(), this->key_count()}, {this->key_count(), 1}};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = ScalarFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const Constants<InArrays<S>>&, const Token<InViews<const S>>& x, State<S>& state, Workspace<S>& ws) const {
    decay(Decay{x.alpha}, state.memory);
    decay(Decay{x.alpha}, state.covariance);
    scaled(x.beta[0], x.k, ws.kappa);
    write(x.v, ws.kappa, state.memory);
    write(x.k, ws.kappa, state.covariance);
  }
  /// VJP of `step`: v_bar += beta R_M k, k_bar += beta (R_M^T v + (R_H + R_H^T) k),
  /// beta_bar += v^T R_M k + k^T R_H k, alpha_bar += sum R_M * M + sum R_H * H, both R <- alpha R.
  template <class S>
  void step_vjp(const Constants<InArrays<S>>&, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, Constants<InArrays<S>>&, const Token<InViews<S>>& x_bar, Workspace<S>& ws) const {
    write_rated_vjp(x.beta, x.v, x.k, state_bar.memory, x_bar.beta, x_bar.v, x_bar.k, ws);
    write_vjp(x.k, x.k, state_bar.covariance, ws.p_bar, ws.kappa_bar);
    add_dot(x.k, ws.p_bar, x_bar.beta);
    add_scaled(x.beta[0], ws.p_bar, x_bar.k);
    add_scaled(x.beta[0], ws.kappa_bar, x_bar.k);
    decay_vjp(Decay{x.alpha}, before.memory, Decay{x_bar.alpha}, state_bar.memory);
    decay_vjp(Decay{x.alpha}, before.covariance, Decay{x_bar.alpha}, state_bar.covariance);
  }

  /// o = M (H + Lambda)^-1 q.
  template <class S>
  void read(const Constants<InArrays<S>>& c, const State<S>& state, View<const S, Keys, 1> q, View<S, Values, 1> o,
            Workspace<S>& ws) const {
    factorise(c, state, ws.factors);
    gdssm::detail::copy(q, ws.x.view());
    gdssm::detail::solve(ws.factors, ws.x);
    kernels::multiply(state.memory.view(), detail::seen(ws.x), o);
  }
  /// VJP of `read`: with x = (H + Lambda)^-1 q and y = (H + Lambda)^-T M^T o_bar,
  ///     R_M += o_bar x^T,   q_bar += y,   lambda_bar -= y * x,   R_H -= y x^T
  template <class S>
  void read_vjp(const Constants<InArrays<S>>& c, const State<S>& state, View<const S, Keys, 1> q,
                View<const S, Values, 1> o_bar, State<S>& state_bar, Constants<InArrays<S>>& c_bar,
                View<S, Keys, 1> q_bar, Workspace<S>& ws) const {
    factorise(c, state, ws.factors);
    gdssm::detail::copy(q, ws.x.view());
    gdssm::detail::solve(ws.factors, ws.x);
    kernels::multiply_transposed(state.memory.view(), o_bar, ws.sum.view());
    gdssm::detail::solve_transposed(ws.factors, ws.sum);
    write(o_bar, ws.x, state_bar.memory);
    add(ws.sum, q_bar);
    scaled(S(-1), ws.sum, ws.sum);
    add_product(ws.sum, ws.x, c_bar.lambda);
    write(ws.sum, ws.x, state_bar.covariance);
  }

 private:
  /// H + Lambda = L U.
  template <class S>
  static void factorise(const Constants<InArrays<S>>& c, const State<S>& state, Array<S, Keys, Keys>& A) {
    gdssm::detail::copy(state.covariance.view(), A.view());
    for (Index i = 0; i < A.rows(); ++i) A(i, i) += c.lambda[i];
    gdssm::detail::factorise(A);
  }
};

}  // namespace gdssm::recurrences
