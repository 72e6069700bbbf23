// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/QR>

#include "gdssm/algorithms/descent.hpp"

namespace gdssm {

/// Ridge regression from the two sums of a context, the minimiser of 1/2 sum |y_i - W x_i|^2 + rho/2 |W|^2:
///     W = M (S + rho I)^{-1}                                                                       (B15)
/// It is the limit of (10) as K grows.
/// Shapes  S (f x f), M (m x f) -> (m x f)
/// Errors  std::invalid_argument: sizes that differ, numbers that are not finite, rho not above 0
template <class S_, class M_>
typename M_::PlainObject ridge_regression(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M,
                                          const typename S_::Scalar& rho) {
  using T = typename S_::Scalar;
  constexpr auto where = "ridge_regression";
  detail::expect_problem(where, S, M, rho);
  detail::expect_numbers(where, "S", S);
  detail::expect_numbers(where, "M", M);
  if (!(rho > T(0))) refuse(where, "rho is ", rho, ", expected a number above 0");
  typename S_::PlainObject H = S;
  H.diagonal().array() += rho;
  return H.ldlt().solve(M.transpose()).transpose();
}

/// Least squares from the pairs of a context: of all W with the least sum |y_i - W x_i|^2, the one of least norm,
///     W = Y X^+                                                                                    (B16)
/// Uses the pairs, not S, which would square the condition number of X.
/// Shapes  X (f x N), Y (m x N), the pairs as columns -> (m x f)
/// Errors  std::invalid_argument: another number of inputs than of targets, no pair, numbers that are not finite
template <class X_, class Y_>
Eigen::Matrix<typename X_::Scalar, Y_::RowsAtCompileTime, X_::RowsAtCompileTime> least_squares(
    const Eigen::MatrixBase<X_>& X, const Eigen::MatrixBase<Y_>& Y) {
  constexpr auto where = "least_squares";
  expect_equal(where, "the number of targets", Y.cols(), X.cols());
  if (X.size() < 1 || Y.size() < 1) refuse(where, "there is no pair, expected at least one");
  detail::expect_numbers(where, "X", X);
  detail::expect_numbers(where, "Y", Y);
  using Transposed = Eigen::Matrix<typename X_::Scalar, X_::ColsAtCompileTime, X_::RowsAtCompileTime>;
  return Eigen::CompleteOrthogonalDecomposition<Transposed>(X.transpose()).solve(Y.transpose()).transpose();
}

}  // namespace gdssm
