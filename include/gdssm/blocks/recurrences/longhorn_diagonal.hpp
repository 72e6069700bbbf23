// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/longhorn.hpp"

namespace gdssm::recurrences {

/// The recurrence of Longhorn's code, with delta of (38),
///     S_t,ij = (1 - delta_i k_j^2) S_t-1,ij + delta_i v_i k_j                                         (39)
/// a step of size 1 on 1/2 sum_ij delta_i (v_i - S_ij k_j)^2: every channel of the keys predicts v alone.
/// Shapes  as `Longhorn`
/// Source  github.com/Cranial-XIX/longhorn; Liu et al., arXiv:2407.14207        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class LonghornDiagonal : public Longhorn<Keys, Values> {
  using Base = Longhorn<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  using Token = typename Base::template Token<Storage>;
  template <class T>
  using Workspace = typename Base::template Workspace<T>;

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = EntryFactors<T, Values, Keys>;

  /// One step of the recurrence.
  template <class S>
  void step(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            Workspace<S>& ws) const {
    Base::find_rates(x, ws);
    for (Index j = 0; j < x.k.size(); ++j)
      for (Index i = 0; i < x.v.size(); ++i) {
        const S error = x.v[i] - state.memory(i, j) * x.k[j];
        state.memory(i, j) = multiply_add(S(ws.delta[i] * x.k[j]), error, state.memory(i, j));
      }
  }
  /// VJP of `step`: with e_ij = v_i - S_ij k_j and e_bar_ij = delta_i k_j R_ij,
  ///     delta_bar_i = sum_j k_j e_ij R_ij,   v_bar_i += sum_j e_bar_ij,   beta_bar += delta_bar / (1 + beta |k|^2)^2,
  ///     k_bar_j += sum_i (delta_i e_ij R_ij - S_ij e_bar_ij) - 2 <delta_bar, delta^2> k_j,   R_ij <- R_ij - k_j
  ///     e_bar_ij
  template <class S>
  void step_vjp(const NoConstants<InArrays<S>>&, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                NoConstants<InArrays<S>>&, const Token<InViews<S>>& x_bar, Workspace<S>& ws) const {
    Base::find_rates(x, ws);
    ws.delta_bar.fill(S(0));
    for (Index j = 0; j < x.k.size(); ++j) {
      S k_bar = S(0);
      for (Index i = 0; i < x.v.size(); ++i) {
        S& R = state_bar.memory(i, j);
        const S error = x.v[i] - before.memory(i, j) * x.k[j], rate = ws.delta[i] * x.k[j], error_bar = rate * R;
        ws.delta_bar[i] = multiply_add(S(x.k[j] * error), R, ws.delta_bar[i]);
        k_bar = multiply_add(S(ws.delta[i] * error), R, k_bar);
        k_bar = multiply_add(S(-before.memory(i, j)), error_bar, k_bar);
        x_bar.v[i] += error_bar;
        R = multiply_add(S(-x.k[j]), error_bar, R);
      }
      x_bar.k[j] += k_bar;
    }
    Base::pull_back_rates(x, x_bar, ws);
  }
};

}  // namespace gdssm::recurrences
