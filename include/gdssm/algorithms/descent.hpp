// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <span>

#include <Eigen/Core>

#include "gdssm/algorithms/accumulators.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

// Gradient descent on a context, as an explicit algorithm: the constructed layers compute it, and trained layers are
// compared with it. The pairs (x_i, y_i) of a context enter through its `Accumulators`,
//
//     S = sum_i x_i x_i^T  (f x f),      M = sum_i y_i x_i^T  (m x f),
//
// and with H = S + rho I the loss 1/2 sum_i |y_i - W x_i|^2 + rho/2 |W|^2 has the gradient W H - M. K steps are
//
//     W_{k+1} = W_k - a_k (W_k H - M) = W_k (I - a_k H) + a_k M,          k = 0..K-1,
//
// products of m x f with f x f matrices (`descend`). A single query q needs less. Unrolled from the right,
//
//     W_K q = W_0 (I - a_0 H) ... (I - a_{K-1} H) q  +  sum_k a_k M (I - a_{k+1} H) ... (I - a_{K-1} H) q,
//
// the factor of the last step is applied to q first, and the term of step k has the factors of all later steps. Hence
// (10) runs from the last step to the first, with one product of H with a vector in each:
//
//     (10)  u <- q, v <- 0;   for k = K-1..0:  v <- v + a_k u,  u <- u - a_k H u;      W_K q = M v + W_0 u
//
// This order would matter if every step had its own H. With a single H all factors commute and u = q - H v throughout,
// so W_K is the same for every order of the step sizes (exactly; not up to rounding where some of them are far above
// 2 / the largest eigenvalue of H). W_1..W_{K-1} do depend on the order.
//
// T may be float, double or any exact type that Eigen computes with. Results have the arguments' shapes.
// Source  arXiv:2410.11687v1, K steps: docs/theory.md (10).

namespace gdssm {

/// Step sizes a_0..a_{K-1}: a view of numbers stored elsewhere (a vector, an array, an Eigen vector, a span), or one
/// number K times (`equal_steps`). Cheap to copy; such containers convert implicitly in calls.
template <class T>
class StepSizes {
 public:
  template <class Sizes>
  requires std::constructible_from < std::span<const T>,
  const Sizes& > StepSizes(const Sizes& sizes) : sizes_(sizes), count_(static_cast<Index>(sizes_.size())) {}

  template <class Derived>
  requires std::same_as<typename Derived::Scalar, T> StepSizes(const Eigen::PlainObjectBase<Derived>& sizes)
      : sizes_(sizes.data(), static_cast<std::size_t>(sizes.size())), count_(sizes.size()) {
    static_assert(Derived::IsVectorAtCompileTime, "StepSizes: an Eigen object of step sizes must be a vector");
  }

  /// K, which may be 0.
  Index count() const { return count_; }

  /// a_k
  const T& operator[](Index k) const {
    assert(k >= 0 && k < count_);
    return sizes_.empty() ? size_ : sizes_[static_cast<std::size_t>(k)];
  }

  template <class U>
  friend StepSizes<U> equal_steps(U size, Index count);  ///< see there

 private:
  StepSizes(const T& size, Index count) : size_(size), count_(count) {}

  std::span<const T> sizes_ = {};
  T size_ = T(0);
  Index count_;
};

/// K steps of size a.
/// Errors  std::invalid_argument: K negative
template <class T>
StepSizes<T> equal_steps(T size, Index count) {
  if (count < 0) refuse("equal_steps", "number of steps is ", count, ", expected at least 0");
  return StepSizes<T>(size, count);
}

namespace detail {

/// Refuses a shape other than rows x cols: at compile time where both are known there, else at run time.
template <Index Rows, Index Cols, class Derived>
void expect_shape(const char* where, const char* what, const Eigen::MatrixBase<Derived>& matrix, Index rows,
                  Index cols) {
  static_assert(compatible<Derived::RowsAtCompileTime, Rows> && compatible<Derived::ColsAtCompileTime, Cols>,
                "descent: S is f x f, M, W and W_0 are m x f, a query is a column of f, a prediction one of m");
  if (matrix.rows() != rows || matrix.cols() != cols) {
    refuse(where, what, " is ", matrix.rows(), " x ", matrix.cols(), ", expected ", rows, " x ", cols);
  }
}

template <class S_, class T>
void expect_hessian(const char* where, const Eigen::MatrixBase<S_>& S, const T& rho) {
  if (S.rows() < 1) refuse(where, "S is empty, expected f x f with f at least 1");
  expect_shape<S_::RowsAtCompileTime, S_::RowsAtCompileTime>(where, "S", S, S.rows(), S.rows());
  if (!(rho >= T(0)) || !(rho - rho == T(0))) refuse(where, "rho is ", rho, ", expected a finite number >= 0");
}

template <class S_, class M_, class T>
void expect_problem(const char* where, const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const T& rho) {
  static_assert(same_scalar<S_, M_>, "descent: S and M must have the same scalar type");
  expect_hessian(where, S, rho);
  if (M.rows() < 1) refuse(where, "M has no rows, expected m x f with m at least 1");
  expect_shape<M_::RowsAtCompileTime, S_::RowsAtCompileTime>(where, "M", M, M.rows(), S.rows());
}

template <class S_, class T, class Vector>
void multiply_hessian(const Eigen::MatrixBase<S_>& S, const T& rho, const Vector& u, Vector& Hu) {
  Hu.noalias() = S * u;
  Hu += rho * u;
}

/// One step of (10): v <- v + a u, u <- u - a (S + rho I) u.
template <class S_, class T, class Vector>
void step_on_query(const Eigen::MatrixBase<S_>& S, const T& rho, const T& a, Vector& v, Vector& u, Vector& Hu) {
  multiply_hessian(S, rho, u, Hu);
  v += a * u;
  u -= a * Hu;
}

}  // namespace detail

/// W S - M + rho W, the gradient at W of 1/2 sum_i |y_i - W x_i|^2 + rho/2 |W|^2.
/// Shapes  W (m x f), S (f x f), M (m x f) -> (m x f)
/// Errors  std::invalid_argument: sizes that differ, a negative rho (wrong fixed sizes: static_assert)
template <class W_, class S_, class M_>
typename M_::PlainObject gradient(const Eigen::MatrixBase<W_>& W, const Eigen::MatrixBase<S_>& S,
                                  const Eigen::MatrixBase<M_>& M,
                                  const typename S_::Scalar& rho = typename S_::Scalar(0)) {
  detail::expect_problem("gradient", S, M, rho);
  detail::expect_shape<M_::RowsAtCompileTime, S_::RowsAtCompileTime>("gradient", "W", W, M.rows(), S.rows());
  return W * S - M + rho * W;
}

/// One step of size a from W: W - a (W S - M + rho W).
/// Shapes, errors  as `gradient`'s
template <class W_, class S_, class M_>
typename M_::PlainObject descent_step(const Eigen::MatrixBase<W_>& W, const Eigen::MatrixBase<S_>& S,
                                      const Eigen::MatrixBase<M_>& M, const typename S_::Scalar& a,
                                      const typename S_::Scalar& rho = typename S_::Scalar(0)) {
  return W - a * gradient(W, S, M, rho);
}

/// W_K, after steps of the given sizes from W_0: W_{k+1} = W_k - a_k (W_k (S + rho I) - M), k = 0..K-1.
/// Shapes  S (f x f), M and W_0 (m x f) -> (m x f)
/// Errors  std::invalid_argument: sizes that differ, S, M or W_0 not finite, a negative rho (wrong fixed sizes:
///         static_assert). Sizes above 2 / the largest eigenvalue of S + rho I may diverge, even to numbers that are
///         not finite; these are returned.
template <class S_, class M_, class W_>
typename M_::PlainObject descend(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M,
                                 StepSizes<typename S_::Scalar> steps, const typename S_::Scalar& rho,
                                 const Eigen::MatrixBase<W_>& W_0) {
  detail::expect_problem("descend", S, M, rho);
  detail::expect_shape<M_::RowsAtCompileTime, S_::RowsAtCompileTime>("descend", "W_0", W_0, M.rows(), S.rows());
  detail::expect_numbers("descend", "S", S);
  detail::expect_numbers("descend", "M", M);
  detail::expect_numbers("descend", "W_0", W_0);
  typename M_::PlainObject W = W_0;
  for (Index k = 0; k < steps.count(); ++k) W = descent_step(W, S, M, steps[k], rho);
  return W;
}

/// The same from W_0 = 0.
template <class S_, class M_>
typename M_::PlainObject descend(const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M,
                                 StepSizes<typename S_::Scalar> steps,
                                 const typename S_::Scalar& rho = typename S_::Scalar(0)) {
  return descend(S, M, steps, rho, M_::PlainObject::Zero(M.rows(), M.cols()));
}

/// (10)  W_K q from W_0. The solver `Descent` does this for streams, without allocating.
/// Shapes  S (f x f), M and W_0 (m x f), q (f) -> (m)
/// Errors  std::invalid_argument: sizes that differ, numbers that are not finite, a negative rho (wrong fixed sizes:
///         static_assert). May diverge like `descend`.
template <class S_, class M_, class Q, class W_>
Eigen::Vector<typename S_::Scalar, M_::RowsAtCompileTime> predict_by_descent(
    const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& query,
    StepSizes<typename S_::Scalar> steps, const typename S_::Scalar& rho, const Eigen::MatrixBase<W_>& W_0) {
  constexpr auto where = "predict_by_descent";
  detail::expect_problem(where, S, M, rho);
  detail::expect_shape<S_::RowsAtCompileTime, 1>(where, "query", query, S.rows(), 1);
  detail::expect_shape<M_::RowsAtCompileTime, S_::RowsAtCompileTime>(where, "W_0", W_0, M.rows(), S.rows());
  detail::expect_numbers(where, "S", S);
  detail::expect_numbers(where, "M", M);
  detail::expect_numbers(where, "query", query);
  detail::expect_numbers(where, "W_0", W_0);
  using Vector = Eigen::Vector<typename S_::Scalar, S_::RowsAtCompileTime>;
  Vector u = query, v = Vector::Zero(S.rows()), Hu(S.rows());
  for (Index k = steps.count() - 1; k >= 0; --k) detail::step_on_query(S, rho, steps[k], v, u, Hu);
  return M * v + W_0 * u;
}

/// The same from W_0 = 0.
template <class S_, class M_, class Q>
Eigen::Vector<typename S_::Scalar, M_::RowsAtCompileTime> predict_by_descent(
    const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& query,
    StepSizes<typename S_::Scalar> steps, const typename S_::Scalar& rho = typename S_::Scalar(0)) {
  return predict_by_descent(S, M, query, steps, rho, M_::PlainObject::Zero(M.rows(), M.cols()));
}

/// An upper bound on the eigenvalues of S: the smaller of its trace (as all are >= 0) and its largest row sum of
/// absolute values (Gershgorin), in f^2 additions.
/// Shapes  S (f x f), symmetric positive semidefinite, as every sum of x x^T is
/// Errors  std::invalid_argument: S empty, not square or not finite
template <class S_>
typename S_::Scalar largest_eigenvalue_bound(const Eigen::MatrixBase<S_>& S) {
  using T = typename S_::Scalar;
  detail::expect_hessian("largest_eigenvalue_bound", S, T(0));
  detail::expect_numbers("largest_eigenvalue_bound", "S", S);
  const T row_sum = S.cwiseAbs().rowwise().sum().maxCoeff(), trace = S.trace();
  return (std::min)(trace, row_sum);
}

/// 1 / (bound + rho), with `largest_eigenvalue_bound`: at this size descent on S + rho I never overshoots.
/// Errors  as the bound's, a negative rho, and S = 0 with rho = 0, where all step sizes are equally good
template <class S_>
typename S_::Scalar stable_step(const Eigen::MatrixBase<S_>& S,
                                const typename S_::Scalar& rho = typename S_::Scalar(0)) {
  using T = typename S_::Scalar;
  detail::expect_hessian("stable_step", S, rho);
  const T bound = largest_eigenvalue_bound(S) + rho;
  if (!(bound > T(0))) refuse("stable_step", "S + rho I has the bound ", bound, ", expected one above 0");
  return T(1) / bound;
}

}  // namespace gdssm
