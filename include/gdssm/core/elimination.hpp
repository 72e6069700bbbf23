// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/view.hpp"

// Linear systems by elimination without exchanges, which lanes could not make: no pivot may be zero, as none is of a
// positive definite matrix.
namespace gdssm::detail {

/// A = L U, the diagonal of L being 1, in place.
template <class S, Index Size>
void factorise(Array<S, Size, Size>& A) {
  const Index n = A.rows();
  for (Index k = 0; k < n; ++k)
    for (Index i = k + 1; i < n; ++i) {
      A(i, k) = A(i, k) / A(k, k);
      for (Index j = k + 1; j < n; ++j) A(i, j) -= A(i, k) * A(k, j);
    }
}

/// x <- (L U)^-1 x.
template <class S, Index Size>
void solve(const Array<S, Size, Size>& A, Array<S, Size, 1>& x) {
  const Index n = A.rows();
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < i; ++j) x[i] -= A(i, j) * x[j];
  for (Index i = n - 1; i >= 0; --i) {
    for (Index j = i + 1; j < n; ++j) x[i] -= A(i, j) * x[j];
    x[i] = x[i] / A(i, i);
  }
}

/// x <- (L U)^-T x.
template <class S, Index Size>
void solve_transposed(const Array<S, Size, Size>& A, Array<S, Size, 1>& x) {
  const Index n = A.rows();
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < i; ++j) x[i] -= A(j, i) * x[j];
    x[i] = x[i] / A(i, i);
  }
  for (Index i = n - 1; i >= 0; --i)
    for (Index j = i + 1; j < n; ++j) x[i] -= A(j, i) * x[j];
}

}  // namespace gdssm::detail
