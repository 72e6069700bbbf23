// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Local self-attention that keeps a few combinations of the input's coordinates only,
///     G_t = U X_t^T A X_t,                                                                         (1d)
/// handed on in factors: left = U X_t^T, right = A X_t. With one row the state is a vector; `PreconditionedGate` with
/// as many rows goes with it.
/// Shapes  as in `LocalAttention`, U (Rows x Features), G_t (Rows x Features)        VJP  `step_vjp`
template <Index Features = Dynamic, Index Rows = Features, Index Width = 3, Index Stride = 2>
class ProjectedAttention {
  using Plain = LocalAttention<Features, Width, Stride>;
  static_assert(Rows == Dynamic || Rows > 0, "ProjectedAttention: the rows must be a positive number or Dynamic");

 public:
  using Window = typename Plain::Window;
  static constexpr Index rows = Rows;
  static constexpr Index cols = Features;
  static constexpr Index rank = Width;
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = true;

  ProjectedAttention() requires(Features != Dynamic && Rows != Dynamic) : ProjectedAttention(Features, Rows) {}
  ProjectedAttention(Index features, Index row_count) : plain_(features), rows_(detail::fixed_or<Rows>(row_count)) {
    if (row_count <= 0) refuse("ProjectedAttention", "the number of rows is ", row_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("ProjectedAttention", "the number of rows", row_count, Rows);
  }

  const Window& window() const { return plain_.window(); }
  Index row_count() const { return rows_.value(); }
  Index col_count() const { return plain_.col_count(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, Width> A;    ///< attention between the window's tokens (Width x Width)
    detail::Matrix<T, Rows, Features> U;  ///< what the state keeps of an input (Rows x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"A"}, self.A...);
      visitor(Name{"U"}, self.U...);
    }
  };

  template <class T>
  struct Coefficients {
    typename Plain::template Coefficients<T> plain;
    Array<T, Rows, Features> U;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      gdssm::visit(visitor, self.plain...);
      visitor(Name{"U"}, self.U...);
    }
  };

  template <class T>
  using State = typename Plain::template State<T>;

  template <class T>
  struct Workspace {
    typename Plain::template Workspace<T> plain;
    Array<T, Rows, Width> left;
    Array<T, Features> straddling;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, Width>(Width, Width), detail::zeros<T, Rows, Features>(row_count(), col_count())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {{}, Array<T, Rows, Features>(row_count(), col_count())};
  }
  template <class T>
  State<T> initial_state() const {
    return plain_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return {plain_.template workspace<T>(), Array<T, Rows, Width>(row_count(), Width),
            Array<T, Features>(col_count(), 2 * Width)};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.A, c.plain.A);
    detail::copy(p.U, c.U);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.A += c_bar.plain.A.matrix();
    p_bar.U += c_bar.U.matrix();
  }

  /// One window's factors: left_a = U x_a and right_a = sum_b A_ab x_b.
  template <class P, class S>
  Factors<const S, Rows, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                               Workspace<S>& ws) const {
    for (Index a = 0; a < Width; ++a) kernels::multiply(c.U.view(), window.column(a), ws.left.view().column(a));
    return {ws.left.view(), plain_.step(c.plain, window, ws.plain).right};
  }

  /// VJP of `step`: A_bar as in `LocalAttention`, U_bar += sum_a left_bar_a x_a^T, and, unless `window_bar` is absent,
  /// x_bar_b += U^T left_bar_b + sum_a A_ab right_bar_a.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window, View<const S, Rows, Width> left_bar,
                View<const S, Features, Width> right_bar, Coefficients<S>& c_bar,
                View<S, Features, Width> window_bar) const {
    detail::mix_tokens_vjp(c.plain.A.view(), window, right_bar, c_bar.plain.A.view(), window_bar);
    for (Index a = 0; a < Width; ++a) kernels::add_outer(left_bar.column(a), window.column(a), c_bar.U.view());
    if (window_bar.present())
      kernels::add_transposed(View<const P>(c.U.view()), View<const S>(left_bar), View<S>(window_bar));
  }

 private:
  Plain plain_;
  [[no_unique_address]] detail::Extent<Rows> rows_;
};

}  // namespace gdssm
