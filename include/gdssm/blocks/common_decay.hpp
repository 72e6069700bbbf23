// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

// Diagonal recurrences with one decay for all entries of the state: a learned one, or none.
namespace gdssm {

/// (2) with one decay for all entries, by zero-order hold from one Lambda and one step size:
///     L_ij = exp(Lambda exp(log_step))                                                             (5a)
/// Shapes  Lambda (1), log_step (1); else as in `DiagonalRecurrence`        VJP  `prepare_vjp`, and as there
template <Index Rows = Dynamic, Index Cols = Rows>
class CommonDecay : public DiagonalRecurrence<Rows, Cols> {
  using Base = DiagonalRecurrence<Rows, Cols>;

 public:
  using Base::Base;
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, 1, 1> Lambda;    ///< continuous decay
    MatrixIn<Storage, 1, 1> log_step;  ///< log Delta

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda"}, self.Lambda...);
      visitor(Name{"log_step"}, self.log_step...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  Parameters<T> parameters() const {
    return {zeros_in<InMatrices<T>, 1, 1>(1, 1), zeros_in<InMatrices<T>, 1, 1>(1, 1)};
  }

  /// Initial values as in `DiagonalRecurrence`: Lambda = -1/2, log_step ~ U(log 0.001, log 0.1).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    p.Lambda.setConstant(P(-0.5));
    detail::draw_entries(p.log_step, [&] { return detail::draw_log_step(stream); });
  }
  /// In the closed form (7) L = 1: Lambda = 0.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    p.Lambda[0] = P(0);
  }

  /// Parameters -> decay, once an update.
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    using std::exp;
    c.decay.fill(ZeroOrderHold::decay(P(p.Lambda[0]), P(exp(p.log_step[0]))));
  }

  /// Pulls the sum of the decays' cotangents back through `prepare`, by the derivatives beside (5); adds to `p_bar`.
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    using std::exp;
    P L_bar = P(0);
    for (Index e = 0; e < c_bar.decay.size(); ++e) L_bar += c_bar.decay[e];
    const P L = c.decay[0], Lambda = p.Lambda[0], Delta = exp(p.log_step[0]);
    p_bar.Lambda[0] += L_bar * ZeroOrderHold::decay_by_Lambda(L, Lambda, Delta);
    p_bar.log_step[0] += L_bar * ZeroOrderHold::decay_by_Delta(L, Lambda, Delta) * Delta;
  }
};

/// (2) without decay, Z_t = Z_{t-1} + G_t: L = 1, without parameters.
/// Shapes  as in `DiagonalRecurrence`        VJP  as there
template <Index Rows = Dynamic, Index Cols = Rows>
class UnitDecay : public DiagonalRecurrence<Rows, Cols> {
  using Base = DiagonalRecurrence<Rows, Cols>;

 public:
  using Base::Base;
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class T>
  using Parameters = NoWeights<InMatrices<T>>;

  template <class T>
  Parameters<T> parameters() const {
    return {};
  }
  /// L is always 1, so there is nothing to draw or construct.
  template <class P>
  void draw(Parameters<P>&, RandomStream<>&) const {}
  template <class P>
  void construct(Parameters<P>&, const P&) const {}

  template <class P>
  void prepare(const Parameters<P>&, Coefficients<P>& c) const {
    c.decay.fill(P(1));
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>&, Parameters<P>&) const {}
};

}  // namespace gdssm
