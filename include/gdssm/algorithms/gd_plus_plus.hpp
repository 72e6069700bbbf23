// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/core/error.hpp"

namespace gdssm {

/// GD++: gradient descent that transforms its inputs, including the query, by I - gamma S between the steps,
///     yhat <- yhat + a M q,  M <- M (I - a S)(I - gamma S),  q <- (I - gamma S) q,
///     S <- (I - gamma S) S (I - gamma S),   K times from yhat = 0                                  (10b)
/// with its own a and gamma for each step. gamma = 0 is descent, (10); otherwise GD++ amounts to
/// preconditioned descent. Each transform acts on the later steps, so the last one has no effect.
/// Shapes  S (f x f), M (m x f), q (f) -> (m)
/// Errors  std::invalid_argument: sizes that differ, other numbers of a than of gamma, numbers that are not finite
/// Source  von Oswald et al., arXiv:2212.07677
template <class S_, class M_, class Q>
Eigen::Vector<typename S_::Scalar, M_::RowsAtCompileTime> predict_by_gd_plus_plus(
    const Eigen::MatrixBase<S_>& S, const Eigen::MatrixBase<M_>& M, const Eigen::MatrixBase<Q>& query,
    StepSizes<typename S_::Scalar> a, StepSizes<typename S_::Scalar> gamma) {
  using T = typename S_::Scalar;
  constexpr auto where = "predict_by_gd_plus_plus";
  detail::expect_problem(where, S, M, T(0));
  detail::expect_shape<S_::RowsAtCompileTime, 1>(where, "query", query, S.rows(), 1);
  detail::expect_numbers(where, "S", S);
  detail::expect_numbers(where, "M", M);
  detail::expect_numbers(where, "query", query);
  expect_equal(where, "the number of gammas", gamma.count(), a.count());
  const auto identity = S_::PlainObject::Identity(S.rows(), S.cols());
  typename S_::PlainObject s = S;
  typename M_::PlainObject m = M;
  typename Q::PlainObject q = query;
  Eigen::Vector<T, M_::RowsAtCompileTime> prediction = Eigen::Vector<T, M_::RowsAtCompileTime>::Zero(M.rows());
  for (Index k = 0; k < a.count(); ++k) {
    const typename S_::PlainObject transform = identity - gamma[k] * s;
    prediction += a[k] * (m * q);
    m = (m * (identity - a[k] * s) * transform).eval();
    q = (transform * q).eval();
    s = (transform * s * transform).eval();
  }
  return prediction;
}

}  // namespace gdssm
