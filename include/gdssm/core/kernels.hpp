// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

// The inner loops, plain: the definition of what every faster form must reproduce bit for bit. Coefficients (decay, A,
// C) may be of another type than the data that runs through, a number where the data are lanes of numbers. Every sum
// runs in ascending order of its index and adds products by `multiply_add` alone.
namespace gdssm::kernels {

/// M <- L * M + sum_a right_a left_a^T, elementwise product: equation (2) for G = left^T right, with M = Z^T.
/// Shapes  decay, memory (cols x rows), left (rows x rank), right (cols x rank)
template <class D, class S, Index Rows, Index Cols, Index Rank>
void decayed_outer_sum(View<const D, Cols, Rows> decay, View<const S, Rows, Rank> left, View<const S, Cols, Rank> right,
                       View<S, Cols, Rows> memory) {
  static_assert(Rank != Dynamic, "decayed_outer_sum: the rank must be known to the compiler");
  const Index rows = memory.cols(), cols = memory.rows();
  for (Index i = 0; i < rows; ++i) {
    S factor[Rank];
    for (Index a = 0; a < Rank; ++a) factor[a] = left(i, a);
    const D* __restrict l = decay.data() + i * cols;
    const S* __restrict r = right.data();
    S* __restrict m = memory.data() + i * cols;
    for (Index j = 0; j < cols; ++j) {
      S z = l[j] * m[j];
      for (Index a = 0; a < Rank; ++a) z = multiply_add(r[j + a * cols], factor[a], z);
      m[j] = z;
    }
  }
}

/// VJP of `decayed_outer_sum` for the memory's cotangent R: right_bar_a = R left_a, left_bar_a = R^T right_a,
/// L_bar += R * (M before), and R <- L * R, the cotangent of the memory before.
/// Shapes  as there; where `left_bar` or `decay_bar` is absent, it is not computed, and `before` not read
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

/// Y <- L * Y + M, the sensitivity (12) of the memory to its own decay; to be called before M itself moves on.
/// Shapes  all (cols x rows)
template <class D, class S, Index Rows, Index Cols>
void decayed_sum(View<const D, Cols, Rows> decay, View<const S, Cols, Rows> memory, View<S, Cols, Rows> sensitivity) {
  for (Index i = 0; i < memory.size(); ++i) sensitivity[i] = multiply_add(S(decay[i]), sensitivity[i], memory[i]);
}

/// y = A x.        Shapes  A (n x m), x (m), y (n)
template <class P, class S, Index Rows, Index Cols>
void multiply(View<const P, Rows, Cols> A, View<const S, Cols, 1> x, View<S, Rows, 1> y) {
  const Index n = A.rows();
  S* __restrict out = y.data();
  for (Index i = 0; i < n; ++i) out[i] = S(0);
  for (Index j = 0; j < A.cols(); ++j) {
    const P* __restrict a = A.data() + j * n;
    const S factor = x[j];
    for (Index i = 0; i < n; ++i) out[i] = multiply_add(S(a[i]), factor, out[i]);
  }
}

/// y = A^T x.      Shapes  A (n x m), x (n), y (m)
template <class P, class S, Index Rows, Index Cols>
void multiply_transposed(View<const P, Rows, Cols> A, View<const S, Rows, 1> x, View<S, Cols, 1> y) {
  for (Index j = 0; j < A.cols(); ++j) {
    S sum = S(0);
    for (Index i = 0; i < A.rows(); ++i) sum = multiply_add(S(A(i, j)), x[i], sum);
    y[j] = sum;
  }
}

/// A += x y^T.     Shapes  A (n x m), x (n), y (m)
template <class S, Index Rows, Index Cols>
void add_outer(View<const S, Rows, 1> x, View<const S, Cols, 1> y, View<S, Rows, Cols> A) {
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < A.rows(); ++i) A(i, j) = multiply_add(x[i], y[j], A(i, j));
}

}  // namespace gdssm::kernels
