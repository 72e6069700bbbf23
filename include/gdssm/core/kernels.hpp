// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <type_traits>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/tiled_kernels.hpp"
#include "gdssm/core/view.hpp"

// The inner loops in plain form. They define the results that the tiled forms in tiled_kernels.hpp reproduce bit for
// bit. Coefficients (decay, A, C) may have another type than the data: numbers where the data are lanes. Every sum runs
// in ascending order of its index and adds products only by `multiply_add`.
namespace gdssm::kernels {

/// Writes a vector of numbers past the caches, if processor and compiler can, to an address that is a multiple of its
/// size. Call `finish_stores` before another thread reads it. For results longer than any cache: an ordinary store
/// would read every line before overwriting it.
template <class T, class Vector>
void store_past_caches(T* to, const Vector& value) {
#if defined(__clang__)
  __builtin_nontemporal_store(value, reinterpret_cast<Vector*>(to));
#elif defined(__SSE2__)
  typedef long long Words __attribute__((vector_size(sizeof(Vector))));
  const auto words = std::bit_cast<Words>(value);
#if defined(__AVX512F__)
  if constexpr (sizeof(Vector) == 64) return __builtin_ia32_movntdq512(reinterpret_cast<Words*>(to), words);
#endif
#if defined(__AVX__)
  if constexpr (sizeof(Vector) == 32) return __builtin_ia32_movntdq256(reinterpret_cast<Words*>(to), words);
#endif
  if constexpr (sizeof(Vector) == 16) return __builtin_ia32_movntdq(reinterpret_cast<Words*>(to), words);
#else
  *reinterpret_cast<Vector*>(to) = value;
#endif
}

/// Makes the writes of `store_past_caches` visible like any other store.
inline void finish_stores() {
#if defined(__SSE2__)
  __builtin_ia32_sfence();
#endif
}

/// M <- L * M + sum_a right_a left_a^T with the elementwise product *, which is equation (2) for G = left^T right and
/// M = Z^T. G is summed first, so that only one multiply-add depends on the previous step.
/// Shapes  decay, memory (cols x rows), left (rows x rank), right (cols x rank)
template <class D, class S, Index Rows, Index Cols, Index Rank>
void decayed_outer_sum(View<const D, Cols, Rows> decay, View<const S, Rows, Rank> left, View<const S, Cols, Rank> right,
                       View<S, Cols, Rows> memory) {
  static_assert(Rank != Dynamic, "decayed_outer_sum: the rank must be known to the compiler");
  if constexpr (std::is_floating_point_v<S> && std::is_same_v<D, S>)
    return decayed_outer_sum_tiled(decay, left, right, memory);
  const Index rows = memory.cols(), cols = memory.rows();
  for (Index i = 0; i < rows; ++i) {
    S factor[Rank];
    for (Index a = 0; a < Rank; ++a) factor[a] = left(i, a);
    const D* __restrict l = decay.data() + i * cols;
    const S* __restrict r = right.data();
    S* __restrict m = memory.data() + i * cols;
    for (Index j = 0; j < cols; ++j) {
      S g = r[j] * factor[0];
      for (Index a = 1; a < Rank; ++a) g = multiply_add(r[j + a * cols], factor[a], g);
      m[j] = multiply_add(S(l[j]), m[j], g);
    }
  }
}

/// VJP of `decayed_outer_sum` for the memory's cotangent R: right_bar_a = R left_a, left_bar_a = R^T right_a, L_bar +=
/// R * (M before), and R <- L * R, the cotangent of the memory before.
/// Shapes  as there; an absent `left_bar` or `decay_bar` is not computed, and without `decay_bar` `before` is not read
template <class D, class S, Index Rows, Index Cols, Index Rank>
void decayed_outer_sum_vjp(View<const D, Cols, Rows> decay, View<const S, Rows, Rank> left,
                           View<const S, Cols, Rank> right, View<const S, Cols, Rows> before,
                           View<S, Cols, Rows> cotangent, View<S, Cols, Rows> decay_bar, View<S, Rows, Rank> left_bar,
                           View<S, Cols, Rank> right_bar) {
  const Index rows = cotangent.cols(), cols = cotangent.rows(), rank = left.cols();
  right_bar.fill(S(0));
  for (Index i = 0; i < rows; ++i) {
    for (Index a = 0; a < rank; ++a)
      for (Index j = 0; j < cols; ++j) right_bar(j, a) = multiply_add(cotangent(j, i), left(i, a), right_bar(j, a));
    if (left_bar.present())
      for (Index a = 0; a < rank; ++a) {
        S sum = S(0);
        for (Index j = 0; j < cols; ++j) sum = multiply_add(cotangent(j, i), right(j, a), sum);
        left_bar(i, a) = sum;
      }
    if (decay_bar.present())
      for (Index j = 0; j < cols; ++j) decay_bar(j, i) = multiply_add(cotangent(j, i), before(j, i), decay_bar(j, i));
    for (Index j = 0; j < cols; ++j) cotangent(j, i) = decay(j, i) * cotangent(j, i);
  }
}

/// Y <- L * Y + M, the sensitivity (12) of the memory to its own decay; call it before M is updated.
/// Shapes  all (cols x rows)
template <class D, class S, Index Rows, Index Cols>
void decayed_sum(View<const D, Cols, Rows> decay, View<const S, Cols, Rows> memory, View<S, Cols, Rows> sensitivity) {
  for (Index i = 0; i < memory.size(); ++i) sensitivity[i] = multiply_add(S(decay[i]), sensitivity[i], memory[i]);
}

/// y = A x.        Shapes  A (n x m), x (m), y (n)
template <class P, class S, Index Rows, Index Cols>
void multiply(View<const P, Rows, Cols> A, View<const S, Cols, 1> x, View<S, Rows, 1> y) {
  if constexpr (std::is_floating_point_v<LaneScalar<S>> && (has_tiles<P, S> || std::is_same_v<P, S>))
    return multiply_tiled(A, x, y);
  const Index n = A.rows();
  S* __restrict out = y.data();
  for (Index i = 0; i < n; ++i) out[i] = S(0);
  for (Index j = 0; j < A.cols(); ++j) {
    const P* __restrict a = A.data() + j * n;
    const S factor = x[j];
    for (Index i = 0; i < n; ++i) out[i] = multiply_add(S(a[i]), factor, out[i]);
  }
}

/// take(j, sum) for every column j < cols, sum being made by add(i, j, sum) for i = 0, ..., rows - 1 in order. Of
/// numbers eight columns go side by side, so that a sum need not wait for itself; lanes do not wait.
template <class S, class Add, class Take>
void column_sums(Index rows, Index cols, Add&& add, Take&& take) {
  constexpr Index many = lane_count<S> == 1 ? 8 : 1;
  const Index whole = cols - cols % many;
  for (Index j = 0; j < whole; j += many) {
    S sum[many];
    for (Index l = 0; l < many; ++l) sum[l] = S(0);
    for (Index i = 0; i < rows; ++i)
      for (Index l = 0; l < many; ++l) add(i, j + l, sum[l]);
    for (Index l = 0; l < many; ++l) take(j + l, sum[l]);
  }
  for (Index j = whole; j < cols; ++j) {
    S sum = S(0);
    for (Index i = 0; i < rows; ++i) add(i, j, sum);
    take(j, sum);
  }
}

/// y = A^T x.      Shapes  A (n x m), x (n), y (m)
template <class P, class S, Index Rows, Index Cols>
void multiply_transposed(View<const P, Rows, Cols> A, View<const S, Rows, 1> x, View<S, Cols, 1> y) {
  if constexpr (lane_count<S> != 1 && (has_tiles<P, S> || std::is_same_v<P, S>))
    return multiply_transposed_tiled(A, x, y);
  column_sums<S>(
      A.rows(), A.cols(), [&](Index i, Index j, S& sum) { sum = multiply_add(S(A(i, j)), x[i], sum); },
      [&](Index j, const S& sum) { y[j] = sum; });
}

/// Y = X with every column multiplied elementwise by w.     Shapes  X, Y (n x m), w (n)
template <class S, Index Rows, Index Cols>
void scale_rows(View<const S, Rows, Cols> X, View<const S, Rows, 1> w, View<S, Rows, Cols> Y) {
  for (Index j = 0; j < X.cols(); ++j)
    for (Index i = 0; i < X.rows(); ++i) Y(i, j) = X(i, j) * w[i];
}

/// A += x y^T.     Shapes  A (n x m), x (n), y (m)
template <class S, Index Rows, Index Cols>
void add_outer(View<const S, Rows, 1> x, View<const S, Cols, 1> y, View<S, Rows, Cols> A) {
  if constexpr (lane_count<S> != 1) return add_outer_tiled(x, y, View<const S, Rows, Cols>::absent(), A);
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i) A(i, j) = multiply_add(x[i], y[j], A(i, j));
}

/// A += (x y^T) * weight, elementwise product.     Shapes  A, weight (n x m), x (n), y (m)
template <class S, Index Rows, Index Cols>
void add_weighted_outer(View<const S, Rows, 1> x, View<const S, Cols, 1> y, View<const S, Rows, Cols> weight,
                        View<S, Rows, Cols> A) {
  if constexpr (lane_count<S> != 1) return add_outer_tiled(x, y, weight, A);
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i) A(i, j) = multiply_add(x[i] * y[j], weight(i, j), A(i, j));
}

}  // namespace gdssm::kernels
