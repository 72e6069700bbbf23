// SPDX-License-Identifier: Apache-2.0
#include "gdssm/algorithms/solvers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include <Eigen/Dense>

#include "gdssm/learners/recursive_least_squares.hpp"
#include "gdssm/learners/regression.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::difference;
using test::linear_stream;
using test::Stream;

struct Problem {
  MatrixXd S, M;
  VectorXd q;

  explicit Problem(Index f, std::uint64_t seed = 1) : q(VectorXd::LinSpaced(f, -1, 2)) {
    const Stream stream = linear_stream(f, 2, 3 * f, seed);
    S = stream.x * stream.x.transpose();
    M = stream.y * stream.x.transpose();
  }
  VectorXd ridge(double rho) const {
    const MatrixXd H = S + rho * MatrixXd::Identity(S.rows(), S.cols());
    return M * H.ldlt().solve(q);
  }

  /// Other inputs, with targets by a random map.
  void set_inputs(const MatrixXd& x, std::uint64_t seed) {
    MatrixXd W(2, x.rows());
    test::Random random(seed);
    random.fill(W);
    S = x * x.transpose();
    M = W * S;
  }
  /// The prediction of the smallest map that fits, in units of 1 / scale.
  VectorXd least(const VectorXd& scale) const {
    Eigen::CompleteOrthogonalDecomposition<MatrixXd> decomposition;
    decomposition.setThreshold(1e-10);
    decomposition.compute(scale.asDiagonal() * S * scale.asDiagonal());
    return M * scale.asDiagonal() * decomposition.pseudoInverse() * scale.asDiagonal() * q;
  }
};

/// Inputs of this rank that are well conditioned within their span, though their leading columns need not be.
Problem dependent_inputs(Index f, Index rank, std::uint64_t seed) {
  test::Random random(seed);
  MatrixXd directions(f, rank), x(rank, 40);
  random.fill(directions);
  random.fill(x);
  Problem p(f, 3);
  p.set_inputs(directions * x, seed + 1000);
  return p;
}

template <class Solver>
struct Solved {
  VectorXd prediction = VectorXd::Zero(2);
  Answer<double> answer;

  Solved(const Problem& p, typename Solver::template Settings<double> settings) {
    typename Solver::template Scratch<double> scratch(p.q.size(), 2);
    answer = Solver::solve(p.S, p.M, p.q, settings, scratch, prediction);
  }
};

template <class Solver>
void check_iteration(Index steps_to_converge) {
  for (const Index f : {1, 5, 12}) {
    const Problem p(f);
    const double rho = 0.5;
    const VectorXd exact = p.ridge(rho);
    const Solved<Solver> none(p, {.steps = 0, .ridge = rho});
    CHECK(none.prediction.isZero(0));
    CHECK(none.answer.ending == Ending::steps_taken);
    const bool of_rows = std::is_same_v<Solver, ConjugateGradients>;
    CHECK(none.answer.residual == Approx(of_rows ? p.M.rowwise().norm().maxCoeff() : p.q.norm()));

    const Solved<Solver> tight(p, {.steps = 100000, .ridge = rho, .tolerance = 1e-12});
    CAPTURE(f, tight.answer.steps);
    CHECK(tight.answer.ending == Ending::converged);
    CHECK(tight.answer.steps <= steps_to_converge);
    CHECK(difference(tight.prediction, exact) < 1e-10);

    // The bound holds after any number of steps, and is not trivial.
    for (const Index K : {1, 2, 4, 8, 16}) {
      const Solved<Solver> some(p, {.steps = K, .ridge = rho});
      CHECK((some.prediction - exact).cwiseAbs().maxCoeff() <= some.answer.error_bound + 1e-12);
      CHECK(std::isfinite(some.answer.error_bound));
    }
  }
}

TEST_CASE("Theorem: every iteration converges to ridge regression, within its error bound all the way", "[theorem]") {
  SECTION("descent") { check_iteration<Descent>(20000); }
  SECTION("heavy ball") { check_iteration<HeavyBall>(2000); }
  SECTION("Chebyshev") { check_iteration<Chebyshev>(1000); }
  SECTION("conjugate gradients") { check_iteration<ConjugateGradients>(25); }
}

TEST_CASE("Theorem: the solver Descent is (10) with steps of size 1 / u, to the bit", "[theorem]") {
  for (const Index f : {1, 5, 12})
    for (const Index K : {0, 1, 7}) {
      const Problem p(f, 2);
      const VectorXd expected = predict_by_descent(p.S, p.M, p.q, equal_steps(stable_step(p.S, 0.5), K), 0.5);
      CHECK(Solved<Descent>(p, {.steps = K, .ridge = 0.5}).prediction == expected);
    }
}

/// |r| / |q| after K steps on eigenvalues s, of which q has equal parts.
template <class Solver>
double remainder(const VectorXd& s, double rho, Index K) {
  Problem p(s.size());
  p.S = s.asDiagonal();
  p.q.setOnes();
  return Solved<Solver>(p, {.steps = K, .ridge = rho}).answer.residual / p.q.norm();
}

TEST_CASE("Theorem: no iteration leaves more than (1 - m/u)^k of q, wherever the eigenvalues lie, (61)", "[theorem]") {
  test::Random random(4);
  for (int draw = 0; draw < 40; ++draw) {
    const Index f = 1 + draw % 9;
    const double rho = std::pow(10.0, -2 - draw % 3);
    VectorXd s(f);
    for (double& one : s) one = std::pow(10.0, (draw % 5) * random());
    const double u = s.maxCoeff() + rho, m = s.minCoeff() + rho;  // of a diagonal matrix the bound on u is exact
    for (const Index K : {1, 2, 3, 5, 8, 13, 40, 200}) {
      CAPTURE(draw, K);
      const double limit = std::pow(1 - m / u, static_cast<double>(K)) + 1e-12;
      CHECK(remainder<Descent>(s, rho, K) <= limit);
      CHECK(remainder<HeavyBall>(s, rho, K) <= limit);
      CHECK(remainder<Chebyshev>(s, rho, K) <= limit);
    }
  }
}

TEST_CASE("Theorem: on [l, u] a stretch of k steps leaves what its polynomial says, and Chebyshev's the least",
          "[theorem]") {
  for (const double l : {0.9, 0.1, 0.001}) {
    Chebyshev::Momentum<double> chebyshev(l, 1);
    HeavyBall::Momentum<double> heavy(l, 1);
    const Index n = 2001;  // eigenvalues side by side, as independent numbers
    const Eigen::ArrayXd s = Eigen::ArrayXd::LinSpaced(n, l, 1);
    struct Run {
      Eigen::ArrayXd r, d;
    };
    const double first = 2 / (1 + l);
    Run one{1 - first * s, Eigen::ArrayXd::Constant(n, first)}, two = one;
    const double b = std::pow((1 - std::sqrt(l)) / (1 + std::sqrt(l)), 2);
    for (int k = 1; k <= 60; ++k) {
      CAPTURE(l, k);
      const double least = 1 / std::cosh(k * std::acosh((1 + l) / (1 - l)));
      CHECK(one.r.abs().maxCoeff() == Approx(least).epsilon(1e-9));
      CHECK(two.r.abs().maxCoeff() == Approx(std::pow(b, k / 2.0) * (1 + k * (1 - b) / (1 + b))).epsilon(1e-9));
      const auto next = [&](Run& run, detail::MomentumStep<double> step) {
        run.d = step.c * run.d + step.a * run.r;
        run.r -= s * run.d;
      };
      next(one, chebyshev.next());
      next(two, heavy.next());
    }
  }
}

TEST_CASE("Chebyshev, heavy ball and conjugate gradients come to the limit in fewer steps than descent", "[theorem]") {
  const Problem p(8, 3);
  const auto steps = [&](auto solver) {
    return Solved<decltype(solver)>(p, {.steps = 100000, .ridge = 0.3, .tolerance = 1e-6}).answer.steps;
  };
  CHECK(steps(Chebyshev{}) * 2 < steps(Descent{}));
  CHECK(steps(HeavyBall{}) < steps(Descent{}));
  CHECK(steps(ConjugateGradients{}) <= 10);
}

TEST_CASE("On a long stream a hundred steps of Chebyshev and of heavy ball reach ridge regression", "[regression]") {
  const Index rows = 6000;
  for (const Index f : {1, 4}) {
    const Stream stream = linear_stream(f, 1, rows, 2);
    RidgeLearner<> ridge(f, 1);
    ChebyshevLearner<> chebyshev(f, 1);
    HeavyBallLearner<> heavy(f, 1);
    for (Index t = 0; t < rows; ++t) {
      ridge.observe(stream.x.col(t), stream.y.col(t));
      chebyshev.observe(stream.x.col(t), stream.y.col(t));
      heavy.observe(stream.x.col(t), stream.y.col(t));
    }
    const VectorXd x = VectorXd::Constant(f, 2);
    CHECK(chebyshev.predict(x)[0] == Approx(ridge.predict(x)[0]).epsilon(1e-9));
    CHECK(heavy.predict(x)[0] == Approx(ridge.predict(x)[0]).epsilon(1e-9));
  }
}

TEST_CASE("Theorem: of all W = M p(H) of their degree, conjugate gradients find the one of least loss", "[theorem]") {
  const Index f = 7;
  const Problem p(f, 3);
  const double rho = 0.3;
  const MatrixXd H = p.S + rho * MatrixXd::Identity(f, f);
  for (const Index K : {1, 2, 4, 6}) {
    VectorXd expected(2);
    for (Index i = 0; i < 2; ++i) {
      const VectorXd row = p.M.row(i).transpose();
      MatrixXd powers(f, K);  // of H, applied to the row and made orthonormal
      for (Index k = 0; k < K; ++k) {
        VectorXd next = k == 0 ? row : VectorXd(H * powers.col(k - 1));
        for (int round = 0; round < 2; ++round) next -= powers.leftCols(k) * (powers.leftCols(k).transpose() * next);
        powers.col(k) = next.normalized();
      }
      const VectorXd w = powers * (powers.transpose() * H * powers).ldlt().solve(powers.transpose() * row);
      expected[i] = w.dot(p.q);
    }
    CHECK(difference(Solved<ConjugateGradients>(p, {.steps = K, .ridge = rho}).prediction, expected) < 1e-13);
  }
}

TEST_CASE("Theorem: of a singular S, conjugate gradients end by themselves at the least map that fits", "[theorem]") {
  const Index f = 9, rank = 5;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    const Problem p = dependent_inputs(f, rank, seed);
    const Solved<ConjugateGradients> solved(p, {.steps = 1000, .ridge = 0});
    CHECK(solved.answer.ending == Ending::stalled);
    CHECK(solved.answer.steps <= 3 * rank);
    CHECK(difference(solved.prediction, p.least(VectorXd::Ones(f))) < 1e-11);
  }
}

TEST_CASE("Theorem: elimination is ridge regression, also of dependent columns", "[theorem]") {
  for (const Index f : {1, 2, 7, 8, 9, 30})
    for (const double rho : {1e-6, 1.0, 1e4}) {
      const Problem p(f, 5);
      const Solved<Elimination> solved(p, {.ridge = rho});
      CHECK(solved.answer.ending == Ending::eliminated);
      CHECK(difference(solved.prediction, p.ridge(rho)) < 5e-12);
    }
  // With equal columns and rho = 0, the prediction is that of either column alone.
  const Problem one(3, 6);
  Problem twice(6, 6);
  twice.S << one.S, one.S, one.S, one.S;
  twice.M << one.M, one.M;
  twice.q << one.q, one.q;
  CHECK(difference(Solved<Elimination>(twice, {.ridge = 0}).prediction, one.ridge(0)) < 2e-14);
}

TEST_CASE("Theorem: of a singular S, elimination's answer is that of the least map that fits", "[theorem]") {
  for (const Index f : {2, 5, 9, 20})
    for (const Index rank : {Index(1), f / 2 + 1, f - 1}) {
      CAPTURE(f, rank);
      Problem p(f, 3);
      p.set_inputs(linear_stream(f, 2, rank, 7).x, 8);
      const Solved<Elimination> solved(p, {.ridge = 0});
      CHECK(difference(solved.prediction, p.least(VectorXd::Ones(f))) < 2e-11);
      if (rank < f - 1)  // descent from 0 ends there as well
        CHECK(difference(solved.prediction, Solved<Descent>(p, {.steps = 200000, .ridge = 0}).prediction) < 1e-6);

      const VectorXd units = VectorXd::LinSpaced(f, 0.5, 3);
      Elimination::Scratch<double> scratch(f, 2);
      VectorXd prediction(2);
      Elimination::solve(p.S, p.M, p.q, units.cwiseAbs2(), RidgeSettings<double>{.ridge = 0}, scratch, prediction);
      CHECK(difference(prediction, p.least(units.cwiseInverse())) < 5e-12);
    }
}

TEST_CASE("What rounding leaves of a column that depends on others is not taken for a pivot", "[theorem]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const Problem p = dependent_inputs(9, 5, seed);
    CHECK(difference(Solved<Elimination>(p, {.ridge = 0}).prediction, p.least(VectorXd::Ones(9))) < 1e-10);
  }
}

TEST_CASE("Least squares of dependent columns is the least map that fits after thirty thousand rows as well",
          "[regression]") {
  const Index f = 3, rows = 30000;
  for (const std::uint64_t seed : {9u, 14u}) {  // of the first twenty, those where a pivot outgrew what f says
    CAPTURE(seed);
    test::Random random(seed);
    RidgeLearner<> least(f, 1, {.ridge = 0}), small(f, 1, {.ridge = 1e-3});
    ConjugateGradientsLearner<> iterated(f, 1, {.ridge = 0});
    VectorXd x(f), y(1);
    for (Index t = 0; t < rows; ++t) {
      x[0] = random();
      x[1] = 3 * random();
      x[2] = 0.7 * x[0] + 0.2 * x[1];
      y[0] = x[0] - x[1] + 0.1 * random();
      least.observe(x, y);
      small.observe(x, y);
      iterated.observe(x, y);
    }
    x << 1, -1, 2;
    const double expected = small.predict(x)[0];
    CHECK(least.predict(x)[0] == Approx(expected).epsilon(1e-5));
    CHECK(iterated.predict(x)[0] == Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("Least squares on fewer rows than inputs, or on equal columns, is the limit of small penalties",
          "[theorem]") {
  Stream stream = linear_stream(6, 2, 30, 4);
  stream.x.row(5) = 3 * stream.x.row(1);
  RidgeLearner<> least(6, 2, {.ridge = 0}), ridge(6, 2, {.ridge = 1e-8});
  const MatrixXd penalised = test::predictions_of(ridge, stream);
  CHECK(difference(test::predictions_of(least, stream), penalised) < 2e-7);
}

TEST_CASE("Theorem: of fewer pairs than inputs, ridge regression by a factor of S is ridge regression, (72)",
          "[theorem]") {
  for (const Index f : {32, 60, 128})
    for (const Index rows : {Index(1), Index(5), f / 4})
      for (const double rho : {0.0, 1e-3, 2.0}) {
        CAPTURE(f, rows, rho);
        Problem p(f, 3);
        p.set_inputs(linear_stream(f, 2, rows, 7).x, 8);
        const VectorXd units = VectorXd::LinSpaced(f, 0.5, 3);
        Elimination::Scratch<double> scratch(f, 2);
        VectorXd by_factor(2), by_elimination(2);
        const RidgeSettings<double> settings{.ridge = rho};
        Elimination::solve(p.S, p.M, p.q, units.cwiseAbs2(), settings, scratch, by_factor, 1.0, rows);
        Elimination::solve(p.S, p.M, p.q, units.cwiseAbs2(), settings, scratch, by_elimination);
        CHECK(difference(by_factor, by_elimination) < 1e-9);
        // A bound that is too low is no harm.
        Elimination::solve(p.S, p.M, p.q, units.cwiseAbs2(), settings, scratch, by_factor, 1.0, rows / 2);
        CHECK(difference(by_factor, by_elimination) < 1e-9);
      }
}

MatrixXd direct_inverse(const RecursiveLeastSquares<>& learner) {
  MatrixXd H = learner.state().S;
  H.diagonal() += learner.state().penalty;
  const VectorXd scale = H.diagonal().cwiseSqrt().cwiseInverse();
  const MatrixXd unit = scale.asDiagonal() * H * scale.asDiagonal();
  return scale.asDiagonal() * unit.ldlt().solve(MatrixXd::Identity(H.rows(), H.cols())) * scale.asDiagonal();
}

double inverse_error(const RecursiveLeastSquares<>& learner) {
  const MatrixXd P = direct_inverse(learner);
  const VectorXd scale = P.diagonal().cwiseSqrt().cwiseInverse();
  return (scale.asDiagonal() * (learner.state().P - P) * scale.asDiagonal()).cwiseAbs().maxCoeff();
}

/// Columns that break textbook recursive least squares: zero, equal, of 1e6 beside 1e-3, and repeated rows.
void check_faults(Index rows, double decay, double tolerance) {
  CAPTURE(rows, decay);
  RecursiveLeastSquares<> learner(6, 1, {.ridge = 1, .decay = decay});
  test::Random random(9);
  VectorXd x = VectorXd::Zero(6), y(1);
  for (Index t = 0; t < rows; ++t) {
    const double a = random(), b = random();
    if (t / 1000 % 3 != 2) x << 0, a, a, 1e6 * b, 1e-3 * (a - b), 1;  // every third thousand repeats one row
    y << 2 * x[1] - 1e-6 * x[3] + 0.1 * random();
    learner.observe(x, y);
  }
  CHECK(inverse_error(learner) < tolerance);
  CHECK(learner.state().P.allFinite());
  const double f = 6, least = std::pow(decay, f);
  CHECK(learner.state().P.diagonal().maxCoeff() <= 1 / least * (1 + 1e-9));
  CHECK(learner.state().penalty.minCoeff() >= least * (1 - 1e-12));
  CHECK(learner.state().penalty.maxCoeff() <= 1);
}

TEST_CASE("Theorem: the inverse that is kept is the inverse, and bounded, on columns that break others", "[theorem]") {
  for (const double decay : {0.9, 0.99, 0.999, 1.0}) check_faults(50000, decay, 2e-11);
}

// Takes seventy seconds: run it by test_learners "[long]".
TEST_CASE("The inverse is within 1e-8 of a direct solve after 10^8 rows", "[.][long]") {
  check_faults(100000000, 0.99, 1e-8);
  check_faults(100000000, 1, 1e-8);
}

TEST_CASE("Theorem: without forgetting, recursive least squares is ridge regression on pairs as given", "[theorem]") {
  const Stream stream = linear_stream(4, 2, 300, 10);
  RecursiveLeastSquares<> recursive(4, 2, {.ridge = 3});
  RidgeLearner<double, AsGiven> ridge(4, 2, {.ridge = 3});
  CHECK(difference(test::predictions_of(recursive, stream), test::predictions_of(ridge, stream)) < 2e-14);
}

TEST_CASE("Theorem: merged, recursive least squares has the sums of all rows and the penalty of the later ones",
          "[theorem]") {
  const Stream stream = linear_stream(4, 2, 50, 11);
  const RecursiveLeastSquares<> fresh(4, 2, {.ridge = 2, .decay = 0.95});
  RecursiveLeastSquares<> whole = fresh, one = fresh, other = fresh;
  test::predictions_of(whole, stream);
  test::predictions_of(one, Stream{stream.x.leftCols(23), stream.y.leftCols(23)});
  test::predictions_of(other, Stream{stream.x.rightCols(27), stream.y.rightCols(27)});
  one.merge(other.state());
  CHECK(one.state().rows == whole.state().rows);
  CHECK(difference(one.state().S, whole.state().S) < 1e-14);
  CHECK(difference(one.state().M, whole.state().M) < 1e-14);
  CHECK(one.state().penalty == other.state().penalty);
  CHECK(inverse_error(one) < 1e-14);
}

TEST_CASE("The penalty of recursive least squares keeps its floor through merges, and one that is no number is refused",
          "[regression]") {
  for (const Index f : {1, 2, 5, 6}) {
    const RecursiveLeastSquares<> fresh(f, 1, {.ridge = 2, .decay = 0.5});
    RecursiveLeastSquares<> learner = fresh;
    const VectorXd x = VectorXd::Zero(f), y = VectorXd::Zero(1);
    const double least = 2 * std::pow(0.5, static_cast<double>(f));
    for (Index t = 0; t < 30; ++t) {
      RecursiveLeastSquares<> part = fresh;
      for (Index rows = t * t % 11; rows > 0; --rows) part.observe(x, y);
      learner.merge(part.state());
      for (Index rows = t % 5; rows > 0; --rows) learner.observe(x, y);
      CAPTURE(f, t, learner.state().penalty);
      CHECK(learner.state().penalty.minCoeff() >= least);
      CHECK(learner.state().P.maxCoeff() <= 1 / least * (1 + 1e-12));
    }
  }

  using Single = RecursiveLeastSquares<float>;
  CHECK_THROWS_WITH(Single(150, 1, {.ridge = 1, .decay = 0.5f}),
                    "RecursiveLeastSquares: ridge * decay^150 is 7.00649e-46, expected at least 1e-38");
  CHECK_THROWS_WITH(RecursiveLeastSquares<>(50, 1, {.ridge = 1, .decay = 1e-5}),
                    "RecursiveLeastSquares: ridge * decay^50 is 1e-250, expected at least 1e-214");
  // The smallest settings that are accepted have states that are accepted too.
  CHECK_THROWS_AS(Single(10, 1, {.ridge = 1, .decay = 0x1p-14f}), std::invalid_argument);
  Single edge(9, 1, {.ridge = 1, .decay = 0x1p-14f});
  const Eigen::VectorXf x = Eigen::VectorXf::Unit(9, 0), y = Eigen::VectorXf::Ones(1);
  for (Index t = 0; t < 30; ++t) {
    edge.observe(x, y);
    CHECK_NOTHROW(Single(edge).set_state(edge.state()));
  }
}

}  // namespace
}  // namespace gdssm
