// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/output_gate.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/windowwise_gate.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The output gate with a matrix between the implicit model and the gated tokens,
///     o_t = P X_t^T d,
/// which preconditions the inputs of a gradient step (C acts on outputs and can't): docs/theory.md, (8a).
/// Rows may be fewer than features: P then is a projection too, for a state of that many rows.
/// Shapes  P (Rows x Features), o_t (Rows); the others as in `OutputGate`
/// Source  Ahn et al., arXiv:2306.00297, for the preconditioned step        VJP  `step_vjp`, `vjp`
template <Index Features = Dynamic, Index Width = 3, Index Rows = Features>
class PreconditionedGate : public Stateless, public detail::WindowwiseGate<PreconditionedGate<Features, Width, Rows>> {
  using Plain = OutputGate<Features, Width>;

 public:
  static constexpr Index rows = Rows;
  static constexpr Index features = Features;
  static constexpr Index width = Width;

  PreconditionedGate() requires(Features != Dynamic && Rows != Dynamic) : PreconditionedGate(Features, Rows) {}
  explicit PreconditionedGate(Index feature_count) : PreconditionedGate(feature_count, feature_count) {}
  PreconditionedGate(Index feature_count, Index row_count)
      : plain_(feature_count), rows_(detail::fixed_or<Rows>(row_count)) {
    if (row_count <= 0) refuse("PreconditionedGate", "the number of rows is ", row_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("PreconditionedGate", "the number of rows", row_count, Rows);
  }

  Index row_count() const { return rows_.value(); }
  Index feature_count() const { return plain_.feature_count(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, 1> d;        ///< weight of each token of the window (Width)
    detail::Matrix<T, Rows, Features> P;  ///< preconditioner (Rows x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
      visitor(Name{"P"}, self.P...);
    }
  };

  template <class T>
  struct Coefficients {
    typename Plain::template Coefficients<T> plain;
    Array<T, Rows, Features> P;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      gdssm::visit(visitor, self.plain...);
      visitor(Name{"P"}, self.P...);
    }
  };

  template <class T>
  struct Workspace {
    typename Plain::template Workspace<T> plain;
    Array<T, Features, 1> ungated;      ///< X^T d, as the last `step` left it
    Array<T, Features, 1> ungated_bar;  ///< P^T o_bar
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, 1>(Width, 1), detail::zeros<T, Rows, Features>(row_count(), feature_count())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {{}, Array<T, Rows, Features>(row_count(), feature_count())};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {{}, Array<T, Features, 1>(feature_count(), 1), Array<T, Features, 1>(feature_count(), 1)};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.d, c.plain.d);
    detail::copy(p.P, c.P);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.d += c_bar.plain.d.matrix();
    p_bar.P += c_bar.P.matrix();
  }

  /// o = P (X^T d).
  template <class T, class S>
  void step(const Coefficients<T>& c, View<const S, Features, Width> window, View<S, Rows, 1> o,
            Workspace<S>& ws) const {
    plain_.step(c.plain, window, ws.ungated.view(), ws.plain);
    kernels::multiply(c.P.view(), View<const S, Features, 1>(ws.ungated.view()), o);
  }

  /// VJP of `step`: P_bar += o_bar (X^T d)^T, and the plain gate's with P^T o_bar.
  template <class T, class S>
  void step_vjp(const Coefficients<T>& c, View<const S, Features, Width> window, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar, Workspace<S>& ws) const {
    plain_.step(c.plain, window, ws.ungated.view(), ws.plain);
    kernels::add_outer(o_bar, View<const S, Features, 1>(ws.ungated.view()), c_bar.P.view());
    kernels::multiply_transposed(c.P.view(), o_bar, ws.ungated_bar.view());
    plain_.step_vjp(c.plain, window, View<const S, Features, 1>(ws.ungated_bar.view()), c_bar.plain, window_bar,
                    ws.plain);
  }

 private:
  Plain plain_;
  [[no_unique_address]] detail::Extent<Rows> rows_;
};

}  // namespace gdssm
