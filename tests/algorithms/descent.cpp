// SPDX-License-Identifier: Apache-2.0
#include "gdssm/algorithms/descent.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <Eigen/Dense>

#include "support/catch.hpp"
#include "support/rational.hpp"

namespace {

using Catch::Matchers::WithinRel;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using gdssm::accumulate;
using gdssm::descend;
using gdssm::equal_steps;
using gdssm::Index;
using gdssm::predict_by_descent;
using gdssm::test::random_integer;
using gdssm::test::random_rational_matrix;
using gdssm::test::Rational;
using RationalMatrix = Eigen::MatrixX<Rational>;

bool equal(const RationalMatrix& a, const RationalMatrix& b) { return a == b; }

/// 1/2 sum_i |y_i - W x_i|^2 + rho/2 |W|^2, pair by pair.
Rational loss(const RationalMatrix& W, const RationalMatrix& X, const RationalMatrix& Y, const Rational& rho) {
  Rational sum = rho * W.squaredNorm();
  for (Index i = 0; i < X.cols(); ++i) sum += (Y.col(i) - W * X.col(i)).squaredNorm();
  return sum / 2;
}

/// That loss's gradient, pair by pair.
RationalMatrix loss_gradient(const RationalMatrix& W, const RationalMatrix& X, const RationalMatrix& Y,
                             const Rational& rho) {
  RationalMatrix sum = rho * W;
  for (Index i = 0; i < X.cols(); ++i) sum -= (Y.col(i) - W * X.col(i)) * X.col(i).transpose();
  return sum;
}

/// A context of small integers, a query, a start and K step sizes that differ.
struct Problem {
  RationalMatrix X, Y, query, W_0;
  std::vector<Rational> steps;
  Rational rho;

  Problem(Index f, Index m, Index N, Index K, std::mt19937_64& engine)
      : X(random_rational_matrix(f, N, engine)),
        Y(random_rational_matrix(m, N, engine)),
        query(random_rational_matrix(f, 1, engine)),
        W_0(random_rational_matrix(m, f, engine)),
        rho(Rational(1 + random_integer(engine, 1)) / 3) {
    for (Index k = 0; k < K; ++k) steps.push_back(Rational(2 * k + 1) / (7 + random_integer(engine, 2)));
  }
};

/// Numbers of no special value in [-1/2, 1/2).
template <class T>
Eigen::MatrixX<T> random_matrix(Index rows, Index cols, std::mt19937_64& engine) {
  return Eigen::MatrixX<T>::NullaryExpr(
      rows, cols, [&] { return static_cast<T>(static_cast<double>(engine() >> 11) * 0x1p-53 - 0.5); });
}

}  // namespace

TEST_CASE("The gradient from S and M is the derivative of the loss over the pairs", "[theorem]") {
  std::mt19937_64 engine(1);
  const Index f = GENERATE(1, 2, 3, 4, 5), N = GENERATE(0, 1, 3, 8), m = 1 + (f + N) % 3;
  CAPTURE(f, N, m);
  const Problem p(f, m, N, 0, engine);
  const auto [S, M] = accumulate(p.X, p.Y);
  REQUIRE((S.rows() == f && S.cols() == f && M.rows() == m && M.cols() == f));

  const RationalMatrix gradient = gdssm::gradient(p.W_0, S, M, p.rho);
  CHECK(equal(gradient, loss_gradient(p.W_0, p.X, p.Y, p.rho)));
  CHECK(equal(gdssm::gradient(p.W_0, S, M), loss_gradient(p.W_0, p.X, p.Y, 0)));
  // The loss is quadratic: its central difference is its derivative, whatever the distance.
  const RationalMatrix direction = random_rational_matrix(m, f, engine);
  CHECK(loss(p.W_0 + direction, p.X, p.Y, p.rho) - loss(p.W_0 - direction, p.X, p.Y, p.rho) ==
        Rational(2) * gradient.cwiseProduct(direction).sum());
}

TEST_CASE("K steps of any sizes are explicit gradient descent, and (10) predicts what it predicts", "[theorem]") {
  std::mt19937_64 engine(2);
  const Index f = GENERATE(range(1, 6)), N = GENERATE(range(1, 9)), m = 1 + (f + N) % 3;
  for (Index K = 1; K <= 5; ++K) {
    CAPTURE(f, N, m, K);
    const Problem p(f, m, N, K, engine);
    const auto [S, M] = accumulate(p.X, p.Y);
    const RationalMatrix zero = RationalMatrix::Zero(m, f);

    RationalMatrix from_start = p.W_0, from_zero = zero, equal_sizes = zero;
    for (const Rational& a : p.steps) {
      from_start -= a * loss_gradient(from_start, p.X, p.Y, p.rho);
      from_zero -= a * loss_gradient(from_zero, p.X, p.Y, 0);
      equal_sizes -= p.steps[0] * loss_gradient(equal_sizes, p.X, p.Y, p.rho);
    }
    CHECK(equal(descend(S, M, p.steps, p.rho, p.W_0), from_start));
    CHECK(equal(descend(S, M, p.steps), from_zero));
    CHECK(equal(descend(S, M, equal_steps(p.steps[0], K), p.rho), equal_sizes));

    CHECK(equal(predict_by_descent(S, M, p.query, p.steps, p.rho, p.W_0), from_start * p.query));
    CHECK(equal(predict_by_descent(S, M, p.query, p.steps), from_zero * p.query));
    CHECK(equal(predict_by_descent(S, M, p.query, equal_steps(p.steps[0], K), p.rho), equal_sizes * p.query));
  }
}

TEST_CASE("No steps leave the start as it is", "[theorem]") {
  std::mt19937_64 engine(3);
  const Problem p(3, 2, 4, 0, engine);
  const auto [S, M] = accumulate(p.X, p.Y);
  CHECK(equal(descend(S, M, p.steps, p.rho, p.W_0), p.W_0));
  CHECK(equal(predict_by_descent(S, M, p.query, p.steps, p.rho, p.W_0), p.W_0 * p.query));
  CHECK(predict_by_descent(S, M, p.query, equal_steps(Rational(1), 0)).isZero(0));
}

TEST_CASE("The order of the sizes changes the iterates but not the last one", "[theorem]") {
  std::mt19937_64 engine(4);
  const Problem p(4, 2, 6, 4, engine);
  const auto [S, M] = accumulate(p.X, p.Y);
  const RationalMatrix W_K = descend(S, M, p.steps, p.rho, p.W_0);
  const RationalMatrix yhat = predict_by_descent(S, M, p.query, p.steps, p.rho, p.W_0);
  std::vector<Rational> order = p.steps;
  std::sort(order.begin(), order.end());
  int different_first_steps = 0;
  do {
    CHECK(equal(descend(S, M, order, p.rho, p.W_0), W_K));
    CHECK(equal(predict_by_descent(S, M, p.query, order, p.rho, p.W_0), yhat));
    const RationalMatrix W_1 = gdssm::descent_step(p.W_0, S, M, order[0], p.rho);
    if (!equal(W_1, gdssm::descent_step(p.W_0, S, M, p.steps[0], p.rho))) ++different_first_steps;
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(different_first_steps == 18);
}

TEST_CASE("Many stable steps tend to ridge regression", "[theorem]") {
  std::mt19937_64 engine(5);
  const Index f = 5, m = 2, N = 8;
  const double rho = 0.1;
  const auto [S, M] = accumulate(random_matrix<double>(f, N, engine), random_matrix<double>(m, N, engine));
  const MatrixXd ridge = (S + rho * MatrixXd::Identity(f, f)).ldlt().solve(M.transpose()).transpose();
  const VectorXd query = random_matrix<double>(f, 1, engine);
  const double a = gdssm::stable_step(S, rho);

  double error = (ridge * query).norm();
  for (const Index K : {1, 10, 100}) {
    const double next = (predict_by_descent(S, M, query, equal_steps(a, K), rho) - ridge * query).norm();
    CAPTURE(K, error, next);
    CHECK(next < error);
    error = next;
  }
  CHECK((descend(S, M, equal_steps(a, 5000), rho) - ridge).norm() < 1e-12 * ridge.norm());
  CHECK((predict_by_descent(S, M, query, equal_steps(a, 5000), rho) - ridge * query).norm() < 1e-12 * ridge.norm());
}

TEMPLATE_TEST_CASE("In floating point (10) is explicit descent to rounding", "[theorem]", float, double) {
  using T = TestType;
  std::mt19937_64 engine(6);
  const Index f = GENERATE(1, 2, 5, 10, 32), N = GENERATE(1, 4, 10, 64), K = GENERATE(1, 3, 8), m = 3;
  CAPTURE(f, N, K);
  const auto [S, M] = accumulate(random_matrix<T>(f, N, engine), random_matrix<T>(m, N, engine));
  const Eigen::MatrixX<T> W_0 = random_matrix<T>(m, f, engine);
  const Eigen::VectorX<T> query = random_matrix<T>(f, 1, engine);
  const T rho = static_cast<T>(0.25);
  std::vector<T> steps;
  for (Index k = 1; k <= K; ++k)
    steps.push_back(gdssm::stable_step(S, rho) * static_cast<T>(2 * k - 1) / static_cast<T>(K));

  // Stable steps shrink every error: what is left is that of K products with S, each of f terms.
  T size = W_0.norm();
  for (const T a : steps) size += a * M.norm();
  const T tolerance = std::numeric_limits<T>::epsilon() * static_cast<T>(f + K) * size * query.norm();
  const Eigen::VectorX<T> expected = descend(S, M, steps, rho, W_0) * query;
  CHECK((predict_by_descent(S, M, query, steps, rho, W_0) - expected).norm() <= tolerance);
}

TEST_CASE("In double precision descent is the exact one to rounding", "[theorem]") {
  std::mt19937_64 engine(7);
  const Index f = GENERATE(1, 3, 5), m = 2, K = 4;
  const auto [S, M] = accumulate(random_matrix<double>(f, 8, engine), random_matrix<double>(m, 8, engine));
  const VectorXd query = random_matrix<double>(f, 1, engine);
  const std::vector<double> steps = {0.7, 0.25, 0.5, 0.1};
  const RationalMatrix exact =
      descend(S.cast<Rational>(), M.cast<Rational>(), std::vector<Rational>(steps.begin(), steps.end()), Rational(0.5));
  const MatrixXd rounded = exact.cast<double>();
  CHECK((descend(S, M, steps, 0.5) - rounded).norm() < 1e-15 * static_cast<double>(f + K) * rounded.norm());
  CHECK((predict_by_descent(S, M, query, steps, 0.5) - rounded * query).norm() <
        1e-15 * static_cast<double>(f + K) * rounded.norm() * query.norm());
}

TEST_CASE("Sizes in the types stay there, and maps, blocks and rows do as well as matrices", "[regression]") {
  std::mt19937_64 engine(8);
  const MatrixXd X = random_matrix<double>(3, 6, engine), Y = random_matrix<double>(1, 6, engine);
  const auto [S, M] = accumulate(X, Y);
  const VectorXd query = X.col(0);
  const std::vector<double> steps = {0.5, 0.25};
  const VectorXd expected = predict_by_descent(S, M, query, steps, 0.1);

  const Eigen::Matrix3d fixed_S = S;
  const Eigen::RowVector3d fixed_M = M;
  const Eigen::Vector3d fixed_query = query;
  const auto fixed = predict_by_descent(fixed_S, fixed_M, fixed_query, steps, 0.1);
  static_assert(std::is_same_v<decltype(fixed), const Eigen::Vector<double, 1>>);
  static_assert(std::is_same_v<decltype(descend(fixed_S, fixed_M, steps)), Eigen::RowVector3d>);
  CHECK_THAT(fixed[0], WithinRel(expected[0], 1e-14));

  const Eigen::Map<const Eigen::Matrix3d> mapped(S.data());
  CHECK_THAT(predict_by_descent(mapped, M, X.col(0), steps, 0.1)[0], WithinRel(expected[0], 1e-14));

  // Step sizes from whatever holds them.
  CHECK(descend(S, M, std::array{0.5, 0.25}) == descend(S, M, steps));
  CHECK(descend(S, M, std::span(steps)) == descend(S, M, steps));
  CHECK(descend(S, M, Eigen::Vector2d(0.5, 0.25)) == descend(S, M, steps));
  CHECK(descend(S, M, equal_steps(0.5, 2)) == descend(S, M, std::array{0.5, 0.5}));
}

TEST_CASE("No eigenvalue exceeds the bound, and a stable step shrinks every error", "[theorem]") {
  std::mt19937_64 engine(9);
  const Index f = GENERATE(1, 2, 5, 10), N = GENERATE(1, 3, 20);
  CAPTURE(f, N);
  const MatrixXd X = random_matrix<double>(f, N, engine);
  const auto [S, M] = accumulate(X, random_matrix<double>(2, N, engine));
  const double largest = Eigen::SelfAdjointEigenSolver<MatrixXd>(S).eigenvalues().maxCoeff();
  const double bound = gdssm::largest_eigenvalue_bound(S);
  CHECK(bound >= largest * (1 - 1e-14));
  CHECK(bound <= S.trace());
  CHECK(bound <= S.cwiseAbs().colwise().sum().maxCoeff() * (1 + 1e-14));
  CHECK_THAT(gdssm::stable_step(S, 0.5), WithinRel(1 / (bound + 0.5), 1e-14));

  // I - a (S + rho I) has no eigenvalue outside [0, 1).
  const MatrixXd contraction =
      MatrixXd::Identity(f, f) - gdssm::stable_step(S, 0.5) * (S + 0.5 * MatrixXd::Identity(f, f));
  const VectorXd eigenvalues = Eigen::SelfAdjointEigenSolver<MatrixXd>(contraction).eigenvalues();
  CHECK(eigenvalues.minCoeff() > -1e-14);
  CHECK(eigenvalues.maxCoeff() < 1);
}

TEST_CASE("The bound is the smaller of trace and largest row sum", "[theorem]") {
  RationalMatrix diagonal(2, 2), rank_one(3, 3), negative(2, 2);
  diagonal << 3, 0, 0, 1;
  rank_one << 1, 1, 2, 1, 1, 2, 2, 2, 4;
  negative << 2, -1, -1, 2;
  CHECK(gdssm::largest_eigenvalue_bound(diagonal) == 3);
  CHECK(gdssm::largest_eigenvalue_bound(rank_one) == 6);
  CHECK(gdssm::largest_eigenvalue_bound(negative) == 3);
  CHECK(gdssm::stable_step(negative, 1) == Rational(1) / 4);
  CHECK(gdssm::stable_step(RationalMatrix::Zero(2, 2), 2) == Rational(1) / 2);
}

TEST_CASE("Descent past 2 / the largest eigenvalue diverges, which its numbers show", "[regression]") {
  const MatrixXd S = MatrixXd::Identity(1, 1), M = S;
  CHECK(!std::isfinite(descend(S, M, equal_steps(10.0, 2000))(0, 0)));
  CHECK(descend(S, M, equal_steps(2.0, 3))(0, 0) == 2);  // 0, 2, 0, 2, ...: neither converges nor diverges
}

TEST_CASE("Problems that do not fit together are refused with a message that says why", "[misuse]") {
  const MatrixXd S = MatrixXd::Identity(3, 3), M = MatrixXd::Ones(2, 3), W = MatrixXd::Zero(2, 3);
  const VectorXd query = VectorXd::Ones(3);
  const std::vector<double> steps = {0.5};
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();

  SECTION("accumulate") {
    CHECK_THROWS_WITH(accumulate(MatrixXd::Ones(2, 3), MatrixXd::Ones(1, 4)),
                      "accumulate: number of Y's columns is 4, expected 3");
    CHECK_THROWS_WITH(accumulate(MatrixXd::Ones(0, 3), MatrixXd::Ones(1, 3)),
                      "accumulate: X or Y has no rows, expected one column a pair");
    CHECK_THROWS_AS(accumulate(MatrixXd::Constant(2, 3, not_a_number), MatrixXd::Ones(1, 3)), std::invalid_argument);
    CHECK_THROWS_AS(accumulate(MatrixXd::Ones(2, 3), MatrixXd::Constant(1, 3, infinity)), std::invalid_argument);
  }
  SECTION("gradient and step") {
    CHECK_THROWS_WITH(gdssm::gradient(W, MatrixXd::Ones(3, 2), M), "gradient: S is 3 x 2, expected 3 x 3");
    CHECK_THROWS_WITH(gdssm::gradient(W, MatrixXd(0, 0), M), "gradient: S is empty, expected f x f with f at least 1");
    CHECK_THROWS_WITH(gdssm::gradient(W, S, MatrixXd::Ones(3, 2)), "gradient: M is 3 x 2, expected 3 x 3");
    CHECK_THROWS_WITH(gdssm::gradient(W, S, MatrixXd::Ones(0, 3)),
                      "gradient: M has no rows, expected m x f with m at least 1");
    CHECK_THROWS_WITH(gdssm::gradient(MatrixXd::Ones(3, 3), S, M), "gradient: W is 3 x 3, expected 2 x 3");
    CHECK_THROWS_WITH(gdssm::descent_step(W, S, M, 0.5, -1), "gradient: rho is -1, expected a finite number >= 0");
  }
  SECTION("descend") {
    CHECK_THROWS_WITH(descend(S, MatrixXd::Ones(2, 4), steps), "descend: M is 2 x 4, expected 2 x 3");
    CHECK_THROWS_WITH(descend(S, M, steps, 0.1, MatrixXd::Ones(2, 2)), "descend: W_0 is 2 x 2, expected 2 x 3");
    CHECK_THROWS_WITH(descend(S, M, steps, not_a_number), "descend: rho is nan, expected a finite number >= 0");
    CHECK_THROWS_AS(descend(not_a_number * S, M, steps), std::invalid_argument);
    CHECK_THROWS_AS(descend(S, not_a_number * M, steps), std::invalid_argument);
    CHECK_THROWS_AS(descend(S, M, steps, 0.1, infinity * M), std::invalid_argument);
    CHECK_THROWS_WITH(equal_steps(0.5, -1), "equal_steps: number of steps is -1, expected at least 0");
  }
  SECTION("predict_by_descent") {
    CHECK_THROWS_WITH(predict_by_descent(S, M, VectorXd::Ones(2), steps),
                      "predict_by_descent: query is 2 x 1, expected 3 x 1");
    CHECK_THROWS_WITH(predict_by_descent(S, M, query, steps, 0.1, MatrixXd::Ones(3, 3)),
                      "predict_by_descent: W_0 is 3 x 3, expected 2 x 3");
    CHECK_THROWS_WITH(predict_by_descent(S, M, query, steps, -0.1),
                      "predict_by_descent: rho is -0.1, expected a finite number >= 0");
    CHECK_THROWS_AS(predict_by_descent(S, M, infinity * query, steps), std::invalid_argument);
  }
  SECTION("bounds") {
    CHECK_THROWS_WITH(gdssm::largest_eigenvalue_bound(M), "largest_eigenvalue_bound: S is 2 x 3, expected 2 x 2");
    CHECK_THROWS_AS(gdssm::largest_eigenvalue_bound(not_a_number * S), std::invalid_argument);
    CHECK_THROWS_WITH(gdssm::stable_step(MatrixXd::Zero(2, 2)),
                      "stable_step: S + rho I has the bound 0, expected one above 0");
    CHECK_THROWS_WITH(gdssm::stable_step(S, -1), "stable_step: rho is -1, expected a finite number >= 0");
  }
}
