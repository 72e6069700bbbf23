// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <Eigen/Core>

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/core/error.hpp"

// Gradient descent on the cross-entropy of multi-class logistic regression, as an explicit algorithm: with labels, one
// step from zero is what the layer computes. Unlike least squares it needs every pair again at each step: away from
// zero no two sums determine the gradient.
namespace gdssm {

/// softmax(z) of every column, without overflow.
/// Shapes  logits (c x N) -> (c x N)
template <class Derived>
typename Derived::PlainObject softmax(const Eigen::MatrixBase<Derived>& logits) {
  typename Derived::PlainObject p = logits;
  for (Index j = 0; j < p.cols(); ++j) {
    p.col(j).array() -= p.col(j).maxCoeff();
    p.col(j) = p.col(j).array().exp().matrix().eval();
    p.col(j) /= p.col(j).sum();
  }
  return p;
}

/// The cross-entropy between label probabilities Y and softmax(W x_i), summed over pairs, plus rho/2 |W|^2.
/// Shapes  W (c x f), X (f x N), Y (c x N), columns that sum to one
/// Errors  std::invalid_argument: sizes that differ
template <class W_, class X_, class Y_>
typename W_::Scalar cross_entropy(const Eigen::MatrixBase<W_>& W, const Eigen::MatrixBase<X_>& X,
                                  const Eigen::MatrixBase<Y_>& Y,
                                  const typename W_::Scalar& rho = typename W_::Scalar(0)) {
  using T = typename W_::Scalar;
  using std::log;
  expect_equal("cross_entropy", "the number of rows of X", X.rows(), W.cols());
  expect_equal("cross_entropy", "the number of rows of Y", Y.rows(), W.rows());
  expect_equal("cross_entropy", "the number of columns of Y", Y.cols(), X.cols());
  const Eigen::MatrixX<T> Z = W * X;
  T sum = rho / T(2) * W.squaredNorm();
  for (Index i = 0; i < Z.cols(); ++i) {
    const T largest = Z.col(i).maxCoeff();
    sum += largest + log((Z.col(i).array() - largest).exp().sum()) - Y.col(i).dot(Z.col(i));
  }
  return sum;
}

/// The gradient of `cross_entropy`, sum_i (softmax(W x_i) - y_i) x_i^T + rho W                          (13b)
/// Shapes  W (c x f), X (f x N), Y (c x N) -> (c x f)
/// Errors  std::invalid_argument: sizes that differ
template <class W_, class X_, class Y_>
typename W_::PlainObject cross_entropy_gradient(const Eigen::MatrixBase<W_>& W, const Eigen::MatrixBase<X_>& X,
                                                const Eigen::MatrixBase<Y_>& Y,
                                                const typename W_::Scalar& rho = typename W_::Scalar(0)) {
  expect_equal("cross_entropy_gradient", "the number of rows of X", X.rows(), W.cols());
  expect_equal("cross_entropy_gradient", "the number of rows of Y", Y.rows(), W.rows());
  expect_equal("cross_entropy_gradient", "the number of columns of Y", Y.cols(), X.cols());
  Eigen::MatrixX<typename W_::Scalar> residual = softmax((W * X).eval());
  residual -= Y;
  typename W_::PlainObject gradient = rho * W;
  gradient.noalias() += residual * X.transpose();
  return gradient;
}

/// W_K, after steps of the given sizes on the cross-entropy from W_0 = 0.
/// Shapes  X (f x N), Y (c x N) -> (c x f)
/// Errors  std::invalid_argument: different numbers of columns
template <class X_, class Y_>
Eigen::MatrixX<typename X_::Scalar> descend_on_cross_entropy(const Eigen::MatrixBase<X_>& X,
                                                             const Eigen::MatrixBase<Y_>& Y,
                                                             StepSizes<typename X_::Scalar> steps,
                                                             const typename X_::Scalar& rho = typename X_::Scalar(0)) {
  Eigen::MatrixX<typename X_::Scalar> W = Eigen::MatrixX<typename X_::Scalar>::Zero(Y.rows(), X.rows());
  for (Index k = 0; k < steps.count(); ++k) W -= steps[k] * cross_entropy_gradient(W, X, Y, rho);
  return W;
}

}  // namespace gdssm
