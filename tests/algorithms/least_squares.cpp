// SPDX-License-Identifier: Apache-2.0
#include "gdssm/algorithms/least_squares.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/algorithms/gd_plus_plus.hpp"

namespace gdssm {
namespace {

using test::random_matrix;
using Matrix = Eigen::MatrixXd;

TEST_CASE("Ridge regression is where its loss has no slope, and the limit of descent", "[theorem]") {
  const Matrix X = random_matrix(3, 7, 1), Y = random_matrix(2, 7, 2), S = X * X.transpose(), M = Y * X.transpose();
  const double rho = 0.3;
  const Matrix W = ridge_regression(S, M, rho);
  CHECK((W * S + rho * W - M).norm() < 1e-14);
  CHECK((descend(S, M, equal_steps(0.5, 2000), rho) - W).norm() < 1e-13);
}

TEST_CASE(
    "Least squares fits every pair if it can, leaves residuals at right angles to the inputs if not, and is of "
    "least norm among many",
    "[theorem]") {
  for (const Index N : {2, 7}) {
    CAPTURE(N);
    const Matrix X = random_matrix(3, N, 3), Y = random_matrix(2, N, 4), W = least_squares(X, Y);
    if (N < 3) CHECK((W * X - Y).norm() < 1e-14);
    CHECK(((W * X - Y) * X.transpose()).norm() < 1e-14);
    const Matrix S = X * X.transpose(), M = Y * X.transpose();
    CHECK((ridge_regression(S, M, 1e-10) - W).norm() < 1e-5);
  }
}

TEST_CASE("GD++ is the recursion on inputs and residuals that it stands for", "[definition]") {
  const Index f = 3, N = 5;
  Matrix x = random_matrix(f, N, 5), y = random_matrix(2, N, 6);
  Eigen::VectorXd q = random_matrix(f, 1, 7), prediction = Eigen::VectorXd::Zero(2);
  const Eigen::Vector3d a(0.7, 0.4, 0.9), gamma(0.2, -0.1, 0.3);
  const Matrix S = x * x.transpose(), M = y * x.transpose();
  const Eigen::VectorXd found = predict_by_gd_plus_plus(S, M, q, StepSizes<double>(a), StepSizes<double>(gamma));
  const Eigen::VectorXd descent = predict_by_gd_plus_plus(S, M, q, StepSizes<double>(a), equal_steps(0.0, 3));
  CHECK((descent - predict_by_descent(S, M, q, StepSizes<double>(a))).norm() < 1e-14);
  for (Index k = 0; k < 3; ++k) {
    const Matrix sum = x * x.transpose(), slope = y * x.transpose();
    prediction += a[k] * slope * q;
    y -= a[k] * slope * x;
    x -= (gamma[k] * sum * x).eval();
    q -= (gamma[k] * sum * q).eval();
  }
  CHECK((found - prediction).norm() < 1e-14);
}

TEST_CASE("the algorithms refuse what they cannot solve", "[misuse]") {
  const Matrix S = Matrix::Identity(2, 2), M = Matrix::Ones(1, 2);
  CHECK_THROWS_WITH(ridge_regression(S, M, 0.0), "ridge_regression: rho is 0, expected a number above 0");
  CHECK_THROWS_WITH(least_squares(S, Matrix(Matrix::Ones(1, 3))),
                    "least_squares: the number of targets is 3, expected 2");
  CHECK_THROWS_WITH(predict_by_gd_plus_plus(S, M, Eigen::VectorXd(Eigen::VectorXd::Ones(2)), equal_steps(1.0, 2),
                                            equal_steps(1.0, 1)),
                    "predict_by_gd_plus_plus: the number of gammas is 1, expected 2");
}

}  // namespace
}  // namespace gdssm
