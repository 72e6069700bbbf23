// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "gdssm/core/kernels.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/matrix_product.hpp"
#include "gdssm/core/tiled_kernels.hpp"
#include "gdssm/core/view.hpp"

// A matrix times every column of a sequence, and the derivatives. Models made of linear maps spend their time here.
// Sums run in ascending order of their index and add products by `multiply_add`. Numbers and lanes use tiles, with the
// same bits.
namespace gdssm::kernels {

namespace tiles {

/// The numbers of sums kept in registers: of a row of A^T G, and of each side of a square of G X^T.
inline constexpr Index pull_width = detail::native_bytes == 64 ? 10 : 6;
inline constexpr Index outer_width = detail::native_bytes == 64 ? 4 : 3;

template <Index Width, class Access, class P, class S>
[[gnu::noinline]] void add_transposed_tile(Access access, const P* A, Index rows, const S* g, S* x_bar) {
  using Vector = typename Access::Vector;
  Vector sum[Width];
  unroll<Width>([&](auto j) __attribute__((always_inline)) { sum[j] = access.row(x_bar + j); });
  for (Index i = 0; i < rows; ++i) {
    const Vector factor = access.single(g + i);
    unroll<Width>([&](auto j) __attribute__((always_inline)) {
      sum[j] = fused_in_long_body(access.coefficient(A + i + j * rows), factor, sum[j]);
    });
  }
  unroll<Width>([&](auto j) __attribute__((always_inline)) { access.store(x_bar + j, sum[j]); });
}

template <Index Height, Index Width, class Access, class S>
[[gnu::noinline]] void add_outer_tile(Access access, const S* g, Index g_rows, const S* x, Index x_rows, Index n,
                                      S* A_bar) {
  using Vector = typename Access::Vector;
  Vector sum[Height][Width];
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    unroll<Width>([&](auto j) __attribute__((always_inline)) { sum[i][j] = access.row(A_bar + i + j * g_rows); });
  });
  for (Index t = 0; t < n; ++t, g += g_rows, x += x_rows) {
    Vector factor[Width];
    unroll<Width>([&](auto j) __attribute__((always_inline)) { factor[j] = access.single(x + j); });
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      const Vector row = access.row(g + i);
      unroll<Width>([&](auto j)
                        __attribute__((always_inline)) { sum[i][j] = fused_in_long_body(row, factor[j], sum[i][j]); });
    });
  }
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    unroll<Width>([&](auto j) __attribute__((always_inline)) { access.store(A_bar + i + j * g_rows, sum[i][j]); });
  });
}

/// Whether these are products of matrices of floats or doubles.
template <class P, class S>
inline constexpr bool of_numbers = std::is_floating_point_v<S>&& std::is_same_v<P, S>;
/// Whether these are products with lanes, in tiles.
template <class P, class S>
inline constexpr bool in_lanes = lane_count<S> != 1 && has_tiles<P, S>;

}  // namespace tiles

/// Y = A X.        Shapes  A (n x m), X (m x T), Y (n x T)
template <class P, class S>
void multiply_columns(View<const P> A, View<const S> X, View<S> Y) {
  if constexpr (tiles::of_numbers<P, S>)
    multiply_tiled(Factor<S>::plain(A), Factor<S>::plain(X), A.cols(), true, Y);
  else
    for (Index t = 0; t < X.cols(); ++t) multiply(A, X.column(t), Y.column(t));
}

/// Y += A X.        Shapes  as `multiply_columns`
template <class P, class S>
void add_columns(View<const P> A, View<const S> X, View<S> Y) {
  if constexpr (tiles::of_numbers<P, S>) {
    multiply_tiled(Factor<S>::plain(A), Factor<S>::plain(X), A.cols(), false, Y);
  } else {
    for (Index t = 0; t < X.cols(); ++t)
      for (Index j = 0; j < A.cols(); ++j)
        for (Index i = 0; i < A.rows(); ++i) Y(i, t) = multiply_add(S(A(i, j)), X(j, t), Y(i, t));
  }
}

/// X_bar += A^T G, VJP of `multiply_columns` for X.        Shapes  A (n x m), G (n x T), X_bar (m x T)
template <class P, class S>
void add_transposed(View<const P> A, View<const S> G, View<S> X_bar) {
  const Index n = A.rows(), m = A.cols();
  if constexpr (tiles::of_numbers<P, S>) {
    multiply_tiled(Factor<S>::transposed(A), Factor<S>::plain(G), n, false, X_bar);
  } else if constexpr (tiles::in_lanes<P, S>) {
    tiles::cover<S>(m, [&](auto access, Index, Index) {
      for (Index t = 0; t < G.cols(); ++t)
        tiles::stretches<tiles::pull_width>(m, [&](Index j, auto width) {
          tiles::add_transposed_tile<width>(access, A.data() + j * n, n, G.data() + t * n, X_bar.data() + t * m + j);
        });
    });
  } else {
    for (Index t = 0; t < G.cols(); ++t)
      for (Index j = 0; j < m; ++j)
        for (Index i = 0; i < n; ++i) X_bar(j, t) = multiply_add(S(A(i, j)), G(i, t), X_bar(j, t));
  }
}

/// VJP of y = A x: A_bar += y_bar x^T and, unless `x_bar` is absent, x_bar += A^T y_bar.
/// Shapes  arrays A, A_bar (n x m); columns x, x_bar (m), y_bar (n)
template <class Matrix, class X, class Y, class MatrixBar, class XBar>
void multiply_vjp(const Matrix& A, const X& x, const Y& y_bar, MatrixBar& A_bar, const XBar& x_bar) {
  using S = std::remove_cvref_t<decltype(y_bar[0])>;
  add_outer(y_bar, x, A_bar.view());
  if (x_bar.present())
    add_transposed(View<const std::remove_cvref_t<decltype(A[0])>>(A.view()), View<const S>(y_bar), View<S>(x_bar));
}

/// A_bar += G X^T, VJP of `multiply_columns` for A.        Shapes  G (n x T), X (m x T), A_bar (n x m)
template <class S>
void add_outer_products(View<const S> G, View<const S> X, View<S> A_bar) {
  const Index n = A_bar.rows(), m = A_bar.cols(), T = G.cols();
  if constexpr (tiles::of_numbers<S, S>) {
    multiply_tiled(Factor<S>::plain(G), Factor<S>::transposed(X), T, false, A_bar);
  } else if constexpr (tiles::in_lanes<LaneScalar<S>, S>) {
    tiles::cover<S>(n, [&](auto access, Index, Index) {
      tiles::stretches<tiles::outer_width>(m, [&](Index j, auto width) {
        tiles::stretches<tiles::outer_width>(n, [&](Index i, auto height) {
          tiles::add_outer_tile<height, width>(access, G.data() + i, n, X.data() + j, m, T, A_bar.data() + i + j * n);
        });
      });
    });
  } else {
    for (Index t = 0; t < T; ++t) add_outer(G.column(t), X.column(t), A_bar);
  }
}

}  // namespace gdssm::kernels
