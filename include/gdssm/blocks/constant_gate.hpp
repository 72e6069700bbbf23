// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// No gate: the implicit model is applied to the same vector for every window,
///     o_t = d,                                                                                     (4b)
/// so the query reaches the prediction through the state alone. A control.
/// Shapes  d (Rows), o_t (Rows); windows (Features x Width) are not read        VJP  `step_vjp`
template <Index Rows = Dynamic, Index Features = Rows, Index Width = 3>
class ConstantGate : public PlainBlock<ConstantGate<Rows, Features, Width>>, public Stateless {
  static_assert(Width > 0, "ConstantGate: the width must be positive");

 public:
  static constexpr Index rows = Rows;
  static constexpr Index features = Features;
  static constexpr Index width = Width;

  ConstantGate() requires(Rows != Dynamic && Features != Dynamic) : ConstantGate(Rows, Features) {}
  explicit ConstantGate(Index size) : ConstantGate(size, size) {}
  ConstantGate(Index row_count, Index feature_count)
      : rows_(detail::fixed_or<Rows>(row_count)), features_(detail::fixed_or<Features>(feature_count)) {
    if (row_count <= 0 || feature_count <= 0)
      refuse("ConstantGate", "rows and features are ", row_count, " and ", feature_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("ConstantGate", "the number of rows", row_count, Rows);
    if (Features != Dynamic) expect_equal("ConstantGate", "the number of features", feature_count, Features);
  }

  Index row_count() const { return rows_.value(); }
  Index feature_count() const { return features_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Rows, 1> d;  ///< the output for every window (Rows)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"d"}, self.d...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Rows, 1>(row_count(), 1)};
  }

  /// Initial values as in `OutputGate`: d ~ N(0, 1).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.d, [&] { return stream.normal(); });
  }

  /// o = d.
  template <class P, class S>
  void step(const Coefficients<P>& c, View<const S, Features, Width>, View<S, Rows, 1> o, Workspace<S>&) const {
    for (Index i = 0; i < o.size(); ++i) o[i] = S(c.d[i]);
  }

  /// VJP of `step`: d_bar += o_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>&, View<const S, Features, Width>, View<const S, Rows, 1> o_bar,
                Coefficients<S>& c_bar, View<S, Features, Width>, Workspace<S>&) const {
    for (Index i = 0; i < o_bar.size(); ++i) c_bar.d[i] += o_bar[i];
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Features> features_;
};

}  // namespace gdssm
