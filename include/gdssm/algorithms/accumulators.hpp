// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

namespace detail {

template <class... Derived>
inline constexpr bool same_scalar = true;
template <class First, class... Rest>
inline constexpr bool same_scalar<First, Rest...> = (std::is_same_v<typename First::Scalar, typename Rest::Scalar> &&
                                                     ...);

/// `expect_finite` for expressions; they are evaluated into memory only when they are refused.
template <class Derived>
void expect_numbers(const char* where, const char* what, const Eigen::MatrixBase<Derived>& matrix) {
  if (!matrix.allFinite()) expect_finite(where, what, matrix.eval());
}

/// A <- L A + y x^T.
template <class T>
void add_product(Eigen::MatrixX<T>& A, const T& L, const Eigen::VectorX<T>& y, const Eigen::VectorX<T>& x) {
  const T* const __restrict left = y.data();
  for (Index j = 0; j < A.cols(); ++j) {
    T* const __restrict column = A.col(j).data();
    const T right = x[j];
    for (Index i = 0; i < A.rows(); ++i) column[i] = L * column[i] + left[i] * right;
  }
}

}  // namespace detail

/// All that gradient descent and ridge regression need of pairs (x_i, y_i): two sums. Both are states of (1)-(2) with
/// one decay L for all entries, S with the attention A = e_0 e_0^T and M, transposed, with A = e_0 e_1^T.
template <class T = double>
struct Accumulators {
  Eigen::MatrixX<T> S;  ///< sum_i L^(t-i) x_i x_i^T (f x f)
  Eigen::MatrixX<T> M;  ///< sum_i L^(t-i) y_i x_i^T (m x f)

  void start(Index inputs, Index targets) {
    S.setConstant(inputs, inputs, T(0));
    M.setConstant(targets, inputs, T(0));
  }

  /// Adds a pair and multiplies the earlier ones by L.
  void absorb(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& y, const T& decay) {
    detail::add_product(S, decay, x, x);
    detail::add_product(M, decay, y, x);
  }

  /// Removes a pair that was absorbed at decay 1.
  void remove(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& y) {
    S.noalias() -= x * x.transpose();
    M.noalias() -= y * x.transpose();
    for (Index j = 0; j < x.size(); ++j)
      if (S(j, j) < T(0)) S(j, j) = T(0);  // a sum of squares, negative by rounding alone
  }

  /// Multiplies the sums so far by L and adds those of `later`.
  void merge(const Accumulators& later, const T& L) {
    S = L * S + later.S;
    M = L * M + later.M;
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"S"}, self.S...);
    visitor(Name{"M"}, self.M...);
  }
};

/// S = X X^T and M = Y X^T from a context's columns x_i (X f x N) and y_i (Y m x N); zeros for N = 0.
/// Errors  std::invalid_argument: no rows, different numbers of columns, entries that are not finite
template <class X_, class Y_>
Accumulators<typename X_::Scalar> accumulate(const Eigen::MatrixBase<X_>& X, const Eigen::MatrixBase<Y_>& Y) {
  static_assert(detail::same_scalar<X_, Y_>, "accumulate: X and Y must have the same scalar type");
  static_assert(detail::compatible<X_::ColsAtCompileTime, Y_::ColsAtCompileTime>,
                "accumulate: X and Y must have the same number of columns, one a pair");
  if (X.rows() < 1 || Y.rows() < 1) refuse("accumulate", "X or Y has no rows, expected one column a pair");
  expect_equal("accumulate", "number of Y's columns", Y.cols(), X.cols());
  detail::expect_numbers("accumulate", "X", X);
  detail::expect_numbers("accumulate", "Y", Y);
  return {.S = X * X.transpose(), .M = Y * X.transpose()};
}

}  // namespace gdssm
