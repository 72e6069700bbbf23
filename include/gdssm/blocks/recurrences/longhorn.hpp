// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"

namespace gdssm::recurrences {

/// Longhorn's implicit step, with a rate beta_i in (0, 1) for each channel of the values,
///     delta_i = beta_i / (1 + beta_i |k|^2),   S_t = S_{t-1} + diag(delta) (v - S_{t-1} k) k^T        (38)
/// the minimiser of 1/2 |S - S_{t-1}|^2 + 1/2 sum_i beta_i (v - S k)_i^2. No beta makes it diverge; on
/// the paper's tasks the larger the better, (47).
/// Shapes  as `MatrixMemory`; beta (Values)
/// Source  Liu et al., arXiv:2407.14207        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Longhorn : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = RatedKeyValue<Storage, Keys, Values, Values>;
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), this->template value<Storage>()};
  }

  template <class T>
  struct Workspace : MatrixWorkspace<T, Keys, Values> {
    Array<T, Values, 1> delta, denominator;  ///< rates, 1 + beta_i |k|^2
    Array<T, Values, 1> delta_bar;           ///< the rates' cotangent
  };
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Values, 1> value(this->value_count(), 1);
    return {Base::template workspace<T>(), value, value, value};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = RowFactors<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            Workspace<S>& ws) const {
    find_rates(x, ws);
    error(state.memory, x.k, x.v, ws.e);
    product(ws.delta, ws.e, ws.y);
    write(ws.y, x.k, state.memory);
  }
  /// VJP of `step`: with e = v - S k,
  ///     delta_bar = e * R k,   e_bar = delta * R k,   v_bar += e_bar,   beta_bar += delta_bar / (1 + beta |k|^2)^2,
  ///     k_bar += R^T (delta * e) - S^T e_bar - 2 <delta_bar, delta^2> k,   R <- R - e_bar k^T
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, Workspace<S>& ws) const {
    find_rates(x, ws);
    error(before.memory, x.k, x.v, ws.e);
    product(ws.delta, ws.e, ws.y);
    write_vjp(ws.y, x.k, state_bar.memory, ws.y_bar, ws.kappa_bar);
    add(ws.kappa_bar, x_bar.k);
    product(ws.e, ws.y_bar, ws.delta_bar);
    product(ws.delta, ws.y_bar, ws.y_bar);
    pull_back_rates(x, x_bar, ws);
    add(ws.y_bar, x_bar.v);
    error_vjp(before.memory, x.k, ws.y_bar, x_bar.k, state_bar.memory);
  }

 protected:
  /// delta_i, and their denominators 1 + beta_i |k|^2.
  template <class S>
  static void find_rates(const Token<InViews<const S>>& x, Workspace<S>& ws) {
    S square[] = {S(0)};
    add_dot(x.k, x.k, square);
    for (Index i = 0; i < x.v.size(); ++i) {
      ws.denominator[i] = S(1) + x.beta[i] * square[0];
      ws.delta[i] = x.beta[i] / ws.denominator[i];
    }
  }
  /// VJP of `find_rates`, with delta_bar in the workspace.
  template <class S>
  static void pull_back_rates(const Token<InViews<const S>>& x, const Token<InViews<S>>& x_bar,
                              const Workspace<S>& ws) {
    S square_bar = S(0);
    for (Index i = 0; i < x.v.size(); ++i) {
      x_bar.beta[i] += ws.delta_bar[i] / (ws.denominator[i] * ws.denominator[i]);
      square_bar = multiply_add(S(-ws.delta[i] * ws.delta[i]), ws.delta_bar[i], square_bar);
    }
    add_scaled(S(2) * square_bar, x.k, x_bar.k);
  }
};

}  // namespace gdssm::recurrences
