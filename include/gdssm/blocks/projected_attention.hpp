// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Local self-attention that keeps only a few linear combinations of the input's coordinates,
///     G_t = U X_t^T A X_t,                                                                         (1d)
/// returned as factors: left = U X_t^T, right = A X_t. With one row the state is a vector. Combine it with a
/// `PreconditionedGate` of as many rows.
/// Shapes  as in `LocalAttention`, U (Rows x Features), G_t (Rows x Features)        VJP  `step_vjp`
template <Index Features = Dynamic, Index Rows = Features, Index Width = 3, Index Stride = 2>
class ProjectedAttention : public PlainBlock<ProjectedAttention<Features, Rows, Width, Stride>>,
                           public WindowedInput<Features, Width, Stride> {
  using Base = WindowedInput<Features, Width, Stride>;
  using Plain = LocalAttention<Features, Width, Stride>;
  static_assert(Rows == Dynamic || Rows > 0, "ProjectedAttention: the rows must be a positive number or Dynamic");

 public:
  static constexpr Index rows = Rows;
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = true;

  ProjectedAttention() requires(Features != Dynamic && Rows != Dynamic) : ProjectedAttention(Features, Rows) {}
  ProjectedAttention(Index features, Index row_count)
      : Base(features, "ProjectedAttention"), rows_(detail::fixed_or<Rows>(row_count)) {
    if (row_count <= 0) refuse("ProjectedAttention", "the number of rows is ", row_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("ProjectedAttention", "the number of rows", row_count, Rows);
  }

  Index row_count() const { return rows_.value(); }

  template <class Storage>
  struct Weights : Plain::template Weights<Storage> {
    MatrixIn<Storage, Rows, Features> U;  ///< the combinations of an input that the state keeps (Rows x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Plain::template Weights<Storage>::visit(visitor, self...);
      visitor(Name{"U"}, self.U...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  struct Workspace : Base::template Workspace<T> {
    Array<T, Rows, Width> left;  ///< the left factors of the last window
  };

  template <class Storage>
  Weights<Storage> weights() const {
    return {{zeros_in<Storage, Width, Width>()}, zeros_in<Storage, Rows, Features>(row_count(), this->col_count())};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Base::template workspace<T>(), Array<T, Rows, Width>(row_count(), Width)};
  }

  /// Initial values as in `LocalAttention`: A ~ N(0, 0.1^2), and U = I.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.A, [&] { return 0.1 * stream.normal(); });
    p.U.setIdentity();
  }
  /// In the closed form (7) A = e_0 e_1^T and U = I; with fewer rows than features, a step on the first coordinates.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    static_assert(Width >= 3,
                  "ProjectedAttention::construct: the window must hold a pair and the next input, three tokens");
    p.A(0, 1) = P(1);
    for (Index i = 0; i < row_count(); ++i) p.U(i, i) = P(1);
  }

  /// One window's factors: left_a = U x_a and right_a = sum_b A_ab x_b.
  template <class P, class S>
  Factors<const S, Rows, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                               Workspace<S>& ws) const {
    for (Index a = 0; a < Width; ++a) kernels::multiply(c.U.view(), window.column(a), ws.left.view().column(a));
    return {ws.left.view(), detail::right_factors<Stride>(c.A.view(), window, ws.right.view())};
  }

  /// VJP of `step`: A_bar as in `LocalAttention`, U_bar += sum_a left_bar_a x_a^T, and, unless `window_bar` is absent,
  /// x_bar_b += U^T left_bar_b + sum_a A_ab right_bar_a.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window, View<const S, Rows, Width> left_bar,
                View<const S, Features, Width> right_bar, Coefficients<S>& c_bar,
                View<S, Features, Width> window_bar) const {
    detail::mix_tokens_vjp(c.A.view(), window, right_bar, c_bar.A.view(), window_bar);
    for (Index a = 0; a < Width; ++a) kernels::add_outer(left_bar.column(a), window.column(a), c_bar.U.view());
    if (window_bar.present())
      kernels::add_transposed(View<const P>(c.U.view()), View<const S>(left_bar), View<S>(window_bar));
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
};

}  // namespace gdssm
