// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/matrix_memory.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm::recurrences {

/// exp(x): a decay from its logarithm, of which implementations sum many before they take exp. What counts rounding
/// errors, as `Rounded`, has its own.
template <class T>
T decay_from_log(const T& x) {
  using std::exp;
  return exp(x);
}

/// Mamba-2's recurrence, with one decay A <= 0 for the sequence and a step Delta for the token,
///     S_t = alpha S_{t-1} + Delta v_t k_t^T,   alpha = exp(A Delta)                                   (26)
/// a step of size 1 on -Delta <v, S k> + (1 - alpha)/2 |S|^2.
/// Shapes  as `MatrixMemory`; A, dt one number each
/// Source  Dao, Gu, arXiv:2405.21060        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys>
class Mamba2 : public MatrixMemory<Keys, Values> {
  using Base = MatrixMemory<Keys, Values>;

 public:
  using Base::Base;

  template <class Storage>
  struct Token : KeyValue<Storage, Keys, Values> {
    MatrixIn<Storage, 1, 1> dt;  ///< step Delta

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      KeyValue<Storage, Keys, Values>::visit(visitor, self...);
      visitor(Name{"dt"}, self.dt...);
    }
  };
  template <class Storage>
  Token<Storage> token() const {
    return {this->template key_value<Storage>(), Base::template number<Storage>()};
  }
  template <class Storage>
  struct Constants {
    MatrixIn<Storage, 1, 1> A;  ///< continuous decay

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"A"}, self.A...);
    }
  };
  template <class Storage>
  Constants<Storage> constants() const {
    return {Base::template number<Storage>()};
  }

  /// What a stretch does to the memory.
  template <class T>
  using LinearPart = ScalarFactor<T>;

  /// One step of the recurrence.
  template <class S>
  void step(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x, MatrixState<S, Keys, Values>& state,
            MatrixWorkspace<S, Keys, Values>& ws) const {
    const S alpha[] = {decay_of(c, x)};
    decay(Decay{alpha}, state.memory);
    write_rated(x.dt, x.v, x.k, state.memory, ws);
  }
  /// VJP of `step`: v_bar += Delta R k, k_bar += Delta R^T v, alpha_bar = sum R * S, A_bar += Delta alpha alpha_bar,
  /// Delta_bar += v^T R k + A alpha alpha_bar, R <- alpha R.
  template <class S>
  void step_vjp(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x,
                const MatrixState<S, Keys, Values>& before, MatrixState<S, Keys, Values>& state_bar,
                Constants<InArrays<S>>& c_bar, const Token<InViews<S>>& x_bar,
                MatrixWorkspace<S, Keys, Values>& ws) const {
    const S alpha[] = {decay_of(c, x)};
    S alpha_bar[] = {S(0)};
    write_rated_vjp(x.dt, x.v, x.k, state_bar.memory, x_bar.dt, x_bar.v, x_bar.k, ws);
    decay_vjp(Decay{alpha}, before.memory, Decay{alpha_bar}, state_bar.memory);
    c_bar.A[0] += x.dt[0] * alpha[0] * alpha_bar[0];
    x_bar.dt[0] += c.A[0] * alpha[0] * alpha_bar[0];
  }

 private:
  template <class S>
  static S decay_of(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x) {
    return decay_from_log(S(c.A[0] * x.dt[0]));
  }
};

}  // namespace gdssm::recurrences
