// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/output_gate.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The output gate with a matrix P between the implicit model and the gated tokens,
///     o_t = P X_t^T d,
/// which preconditions the inputs of a gradient step (C acts on the outputs, so it cannot): docs/theory.md, (8a). With
/// fewer rows than features, P also projects the inputs, for a state of that many rows.
/// Shapes  P (Rows x Features), o_t (Rows); the others as in `OutputGate`
/// Source  Ahn et al., arXiv:2306.00297, for the preconditioned step        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Rows = Features>
class PreconditionedGate : public PlainBlock<PreconditionedGate<Features, Width, Rows>>, public Stateless {
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

  template <class Storage>
  struct Weights : Plain::template Weights<Storage> {
    MatrixIn<Storage, Rows, Features> P;  ///< preconditioner (Rows x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Plain::template Weights<Storage>::visit(visitor, self...);
      visitor(Name{"P"}, self.P...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  struct Workspace {
    typename Plain::template Workspace<T> plain;
    Array<T, Features, 1> ungated;      ///< X^T d, as the last `step` left it
    Array<T, Features, 1> ungated_bar;  ///< P^T o_bar
  };

  template <class Storage>
  Weights<Storage> weights() const {
    return {{zeros_in<Storage, Width, 1>()}, zeros_in<Storage, Rows, Features>(row_count(), feature_count())};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {{}, Array<T, Features, 1>(feature_count(), 1), Array<T, Features, 1>(feature_count(), 1)};
  }

  /// Initial values as in `OutputGate`: d ~ N(0, 1), and P = I.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.d, [&] { return stream.normal(); });
    p.P.setIdentity();
  }
  /// In the closed form (7) d = e_2 and P = I; with fewer rows than features, a step on the first coordinates.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    static_assert(Width >= 3,
                  "PreconditionedGate::construct: the window must hold a pair and the next input, three tokens");
    p.d[2] = P(1);
    for (Index i = 0; i < row_count(); ++i) p.P(i, i) = P(1);
  }

  /// o = P (X^T d).
  template <class T, class S>
  void step(const Coefficients<T>& c, View<const S, Features, Width> window, View<S, Rows, 1> o,
            Workspace<S>& ws) const {
    plain_.step(c, window, ws.ungated.view(), ws.plain);
    kernels::multiply(c.P.view(), View<const S, Features, 1>(ws.ungated.view()), o);
  }

  /// VJP of `step`: P_bar += o_bar (X^T d)^T, then the plain gate's VJP for P^T o_bar.
  template <class T, class S>
  void step_vjp(const Coefficients<T>& c, View<const S, Features, Width> window, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar, Workspace<S>& ws) const {
    plain_.step(c, window, ws.ungated.view(), ws.plain);
    kernels::add_outer(o_bar, View<const S, Features, 1>(ws.ungated.view()), c_bar.P.view());
    kernels::multiply_transposed(c.P.view(), o_bar, ws.ungated_bar.view());
    plain_.step_vjp(c, window, View<const S, Features, 1>(ws.ungated_bar.view()), c_bar, window_bar, ws.plain);
  }

 private:
  Plain plain_;
  [[no_unique_address]] detail::Extent<Rows> rows_;
};

}  // namespace gdssm
