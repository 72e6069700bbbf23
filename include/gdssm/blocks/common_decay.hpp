// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/core/parameters.hpp"

// The diagonal recurrence with one decay for all entries of the state: learned, or none at all.
namespace gdssm {

/// (2) with one decay for all entries, by zero-order hold from one Lambda and one step:
///     L_ij = exp(Lambda exp(log_step))                                                             (5a)
/// Shapes  Lambda (1), log_step (1); else as in `DiagonalRecurrence`        VJP  `prepare_vjp`, and as there
template <Index Rows = Dynamic, Index Cols = Rows>
class CommonDecay : public DiagonalRecurrence<Rows, Cols> {
  using Base = DiagonalRecurrence<Rows, Cols>;

 public:
  using Base::Base;
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class T>
  struct Parameters {
    detail::Matrix<T, 1, 1> Lambda;    ///< continuous decay
    detail::Matrix<T, 1, 1> log_step;  ///< log Delta

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda"}, self.Lambda...);
      visitor(Name{"log_step"}, self.log_step...);
    }
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, 1, 1>(1, 1), detail::zeros<T, 1, 1>(1, 1)};
  }

  /// Parameters -> decay, once an update.
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    using std::exp;
    c.decay.fill(ZeroOrderHold::decay(P(p.Lambda[0]), P(exp(p.log_step[0]))));
    Base::decays_changed(c);
  }

  /// Pulls the decays' cotangents, summed, back through `prepare`, by the derivatives beside (5); adds to `p_bar`.
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

/// (2) without decay, Z_t = Z_{t-1} + G_t: L = 1, and nothing to learn.
/// Shapes  as in `DiagonalRecurrence`        VJP  as there
template <Index Rows = Dynamic, Index Cols = Rows>
class UnitDecay : public DiagonalRecurrence<Rows, Cols> {
  using Base = DiagonalRecurrence<Rows, Cols>;

 public:
  using Base::Base;
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  template <class T>
  struct Parameters {
    template <class Visitor, class... Self>
    static void visit(Visitor&&, Self&&...) {}
  };

  template <class T>
  Parameters<T> parameters() const {
    return {};
  }
  template <class P>
  void prepare(const Parameters<P>&, Coefficients<P>& c) const {
    c.decay.fill(P(1));
    Base::decays_changed(c);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>&, Parameters<P>&) const {}
};

}  // namespace gdssm
