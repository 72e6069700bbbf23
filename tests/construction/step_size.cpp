// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/step_size.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include "support/catch.hpp"
#include "support/rational.hpp"

namespace {

using gdssm::ContextMoments;
using gdssm::Index;
using gdssm::InputMoments;
using gdssm::LinearTask;
using gdssm::test::Rational;

using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Eigen::VectorXi;
using RationalMatrix = Eigen::MatrixX<Rational>;

// ---- exact expectations: all contexts of a distribution on a few integers -------------------------------------------

/// An input coordinate that takes each of its values with the same probability.
using Values = std::vector<int>;
const Values skewed = {-1, -1, 2};  // mean 0, third moment 2
const Values four_points = {-3, -1, 1, 3};

InputMoments<Rational> moments_of(const Values& values) {
  InputMoments<Rational> moments{0, 0};
  for (const int x : values) {
    moments.variance += Rational(x * x) / Rational(values.size());
    moments.fourth += Rational(x * x * x * x) / Rational(values.size());
  }
  return moments;
}

/// Calls `visit` with every vector whose entry j is one of values[j].
void for_each_vector(const std::vector<Values>& values, const std::function<void(const VectorXi&)>& visit) {
  const Index n = static_cast<Index>(values.size());
  VectorXi vector(n);
  const std::function<void(Index)> fill = [&](Index j) {
    if (j == n) return visit(vector);
    for (const int value : values[static_cast<std::size_t>(j)]) {
      vector[j] = value;
      fill(j + 1);
    }
  };
  fill(0);
}

std::vector<Values> repeated(const Values& values, Index count) {
  return std::vector<Values>(static_cast<std::size_t>(count), values);
}

/// After each number of pairs, the loss 1/2 (constant - 2 a linear + a^2 quadratic), averaged over everything.
struct Enumerated {
  std::vector<std::int64_t> constant, linear, quadratic;
  std::int64_t count = 0;

  Rational loss(Index pairs, const Rational& a) const {
    const auto t = static_cast<std::size_t>(pairs - 1);
    return (Rational(constant[t]) - Rational(2) * a * Rational(linear[t]) + a * a * Rational(quadratic[t])) /
           Rational(2 * count);
  }
  Rational mean_loss(const Rational& a) const {
    Rational sum;
    for (Index t = 1; t <= static_cast<Index>(constant.size()); ++t) sum += loss(t, a);
    return sum / Rational(constant.size());
  }
};

/// By definition: all inputs, weights +-w, label noise +-e, and every choice of k labels that are +-v instead.
Enumerated enumerate(Index f, Index N, const Values& input, int w, int e, Index k, int v) {
  const auto n = static_cast<std::size_t>(N);
  Enumerated sums{std::vector<std::int64_t>(n), std::vector<std::int64_t>(n), std::vector<std::int64_t>(n)};
  for_each_vector(repeated({0, 1}, N), [&](const VectorXi& distractor) {
    if (distractor.sum() != k) return;
    for_each_vector(repeated(input, (N + 1) * f), [&](const VectorXi& x) {
      for_each_vector(repeated({-w, w}, f), [&](const VectorXi& weights) {
        for_each_vector(repeated({-1, 1}, N), [&](const VectorXi& noise) {
          const auto query = x.segment(N * f, f);
          const int target = weights.dot(query);
          int prediction = 0;  // M q
          for (Index i = 0; i < N; ++i) {
            const auto x_i = x.segment(i * f, f);
            const int y = distractor[i] ? v * noise[i] : weights.dot(x_i) + e * noise[i];
            prediction += y * x_i.dot(query);
            const auto t = static_cast<std::size_t>(i);
            sums.constant[t] += target * target;
            sums.linear[t] += target * prediction;
            sums.quadratic[t] += prediction * prediction;
          }
          ++sums.count;
        });
      });
    });
  });
  return sums;
}

LinearTask<Rational> task_of(Index f, Index N, const Values& input, int w, int e, Index k, int v) {
  return {.features = f,
          .context = N,
          .inputs = moments_of(input),
          .weight_variance = w * w,
          .noise_variance = e * e,
          .distractors = k,
          .distractor_variance = v * v};
}

// ---- sampled expectations -------------------------------------------------------------------------------------------

/// Random draws that are the same with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// In (0, 1).
  double unit() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }
  double uniform(double variance) { return std::sqrt(12 * variance) * (unit() - 0.5); }
  double normal(double variance) {
    return std::sqrt(-2 * variance * std::log(unit())) * std::cos(2 * std::numbers::pi * unit());
  }
  double laplace(double variance) {
    const double sign = unit() < 0.5 ? -1 : 1;
    return sign * std::sqrt(variance / 2) * std::log(unit());
  }
  double exponential(double variance) { return std::sqrt(variance) * (-std::log(unit()) - 1); }
  Index below(Index n) { return static_cast<Index>(unit() * static_cast<double>(n)); }

 private:
  std::mt19937_64 engine_;
};

/// A mean and its standard error.
class Mean {
 public:
  void add(double value) {
    ++count_;
    const double before = value - mean_;
    mean_ += before / count_;
    squares_ += before * (value - mean_);
  }
  double value() const { return mean_; }
  double standard_error() const { return std::sqrt(squares_ / (count_ - 1) / count_); }

  /// Distance from what was expected, in standard errors.
  double errors_from(double expected) const { return std::abs(mean_ - expected) / standard_error(); }

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;
};

struct Distribution {
  std::string name;
  InputMoments<> (*moments)(const double& variance);
  double (Random::*draw)(double variance);
};

InputMoments<> uniform_of_variance(const double& variance) { return gdssm::uniform_inputs(std::sqrt(12 * variance)); }

const std::vector<Distribution> distributions = {
    {"uniform", uniform_of_variance, &Random::uniform},
    {"normal", gdssm::normal_inputs<>, &Random::normal},
    {"Laplace", gdssm::laplace_inputs<>, &Random::laplace},
    {"exponential", gdssm::exponential_inputs<>, &Random::exponential},
};

constexpr Index sampled_features = 4;
using Input = Eigen::Vector<double, sampled_features>;
using Preconditioner = Eigen::Matrix<double, sampled_features, sampled_features>;

/// Of predictions a M P q with one output: the loss at the end and its mean over all positions, each with its
/// derivative with respect to its own step a.
struct Sampled {
  Mean loss, slope, mean_loss, mean_slope;
};

/// Tasks drawn by definition; a distractor's place is as likely as any other.
template <class DrawInput>
Sampled sample(Random& random, const LinearTask<>& task, const Preconditioner& P, double step, double step_all,
               DrawInput draw_input, int draws = 30000) {
  Sampled sampled;
  for (int i = 0; i < draws; ++i) {
    const Input w = Input::NullaryExpr([&] { return random.normal(task.weight_variance); });
    Input M = Input::Zero(), x = draw_input();
    double loss = 0, slope = 0, sum_loss = 0, sum_slope = 0;
    Index distractors = task.distractors;
    for (Index t = 0; t < task.context; ++t) {
      double y = w.dot(x) + random.normal(task.noise_variance);
      if (random.unit() * static_cast<double>(task.context - t) < static_cast<double>(distractors)) {
        y = random.normal(task.distractor_variance);
        --distractors;
      }
      M += y * x;
      x = draw_input();
      const double prediction = M.dot(P * x), target = w.dot(x);
      const double error = step * prediction - target, error_all = step_all * prediction - target;
      loss = error * error / 2;
      slope = error * prediction;
      sum_loss += error_all * error_all / 2;
      sum_slope += error_all * prediction;
    }
    sampled.loss.add(loss);
    sampled.slope.add(slope);
    sampled.mean_loss.add(sum_loss / static_cast<double>(task.context));
    sampled.mean_slope.add(sum_slope / static_cast<double>(task.context));
  }
  return sampled;
}

/// Variances proportional to 1/i with mean 1/12.
VectorXd falling_variances(Index f) {
  VectorXd variances = VectorXd::LinSpaced(f, 1, static_cast<double>(f)).cwiseInverse();
  return variances / (12 * variances.mean());
}

ContextMoments<> uniform_context(const VectorXd& variances, Index context) {
  std::vector<InputMoments<>> inputs;
  for (const double variance : variances) inputs.push_back(uniform_of_variance(variance));
  return gdssm::independent_context(inputs, context);
}

bool equal(const RationalMatrix& a, const RationalMatrix& b) { return a == b; }

/// B B^T + I for integer B: correlated, positive definite.
RationalMatrix random_covariance(Index f, std::mt19937_64& engine) {
  const RationalMatrix B = gdssm::test::random_rational_matrix(f, f, engine);
  return B * B.transpose() + RationalMatrix::Identity(f, f);
}

/// The relative residuals of the equations for P and the diagonal p, for covariances of small integers of less than
/// full rank, whose moments have no rounding.
template <class T>
T largest_residual_of_singular_moments(int matrices) {
  using Matrix = Eigen::MatrixX<T>;
  std::mt19937_64 engine(8);
  const auto below = [&](std::uint64_t n) { return static_cast<Index>(engine() % n); };
  T largest(0);
  for (int i = 0; i < matrices; ++i) {
    const Index f = 2 + below(14), rank = 1 + below(static_cast<std::uint64_t>(f - 1));
    Matrix B(f, rank);
    for (T& entry : B.reshaped()) entry = static_cast<T>(below(7) - 3);
    const auto moments = gdssm::gaussian_context(B * B.transpose(), 1 + below(5));
    const Matrix P = best_preconditioner(moments);
    const Matrix K = moments.mean_S2.cwiseProduct(moments.input_covariance);
    const Matrix p = best_diagonal_preconditioner(moments);
    const Matrix b = moments.input_covariance.cwiseProduct(moments.mean_S).rowwise().sum();
    const auto residual = [](const Matrix& A, const Matrix& x, const Matrix& right) {
      const T size = right.norm();
      return size > T(0) ? (A * x - right).norm() / size : T(0);
    };
    largest = std::max({largest, residual(moments.mean_S2, P, moments.mean_S), residual(K, p, b)});
  }
  return largest;
}

const double infinity = std::numeric_limits<double>::infinity();
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("Equation (9) is the exact mean loss over all contexts of a discrete distribution", "[theorem]") {
  struct Case {
    Index f, N;
    const Values& input;
    int w, e;
    Index k;
    int v;
  };
  const auto [f, N, input, w, e, k, v] = GENERATE(values<Case>({
      {1, 1, skewed, 1, 0, 0, 0},
      {1, 3, skewed, 2, 3, 0, 0},
      {2, 1, four_points, 1, 0, 0, 0},
      {2, 2, skewed, 1, 0, 0, 0},
      {2, 2, skewed, 2, 1, 0, 0},
      {3, 1, skewed, 1, 2, 0, 0},
      {1, 4, skewed, 1, 2, 1, 5},
      {2, 2, skewed, 1, 2, 1, 3},
      {2, 2, skewed, 1, 0, 2, 3},
      {1, 3, four_points, 3, 0, 2, 1},
  }));
  CAPTURE(f, N, w, e, k, v);
  const LinearTask<Rational> task = task_of(f, N, input, w, e, k, v);
  const Enumerated enumerated = enumerate(f, N, input, w, e, k, v);

  for (const Rational& a : {Rational(0), Rational(1), Rational(1) / 7, Rational(-2) / 3, best_step(task)}) {
    CAPTURE(a);
    CHECK(expected_loss(task, a) == enumerated.loss(N, a));
    CHECK(expected_loss_all_positions(task, a) == enumerated.mean_loss(a));
    if (k == 0) {
      for (Index t = 1; t <= N; ++t) CHECK(expected_loss(task_of(f, t, input, w, e, 0, 0), a) == enumerated.loss(t, a));
    }
  }
}

TEST_CASE("The moments of independent inputs are exact means over all contexts", "[theorem]") {
  const auto sizes = GENERATE(values<std::pair<Index, Index>>({{1, 1}, {1, 4}, {2, 1}, {2, 3}, {3, 2}}));
  const Index f = sizes.first, N = sizes.second;
  CAPTURE(f, N);
  const std::vector<Values> coordinates = {skewed, {-2, 0, 2}, {-3, 1, 2}};
  std::vector<Values> context;
  for (Index i = 0; i < N; ++i) context.insert(context.end(), coordinates.begin(), coordinates.begin() + f);

  Eigen::MatrixXi sum_S = Eigen::MatrixXi::Zero(f, f), sum_S2 = sum_S;
  int count = 0;
  for_each_vector(context, [&](const VectorXi& x) {
    const auto X = x.reshaped(f, N);
    const Eigen::MatrixXi S = X.lazyProduct(X.transpose());
    sum_S += S;
    sum_S2 += S.lazyProduct(S);
    ++count;
  });

  std::vector<InputMoments<Rational>> inputs;
  for (Index j = 0; j < f; ++j) inputs.push_back(moments_of(coordinates[static_cast<std::size_t>(j)]));
  const ContextMoments<Rational> moments = gdssm::independent_context(inputs, N);
  CHECK(equal(moments.input_covariance, moments.mean_S / Rational(N)));
  CHECK(equal(moments.mean_S * Rational(count), sum_S.cast<Rational>()));
  CHECK(equal(moments.mean_S2 * Rational(count), sum_S2.cast<Rational>()));

  Eigen::VectorX<Rational> variances(f), fourths(f);
  for (Index j = 0; j < f; ++j) {
    variances[j] = inputs[static_cast<std::size_t>(j)].variance;
    fourths[j] = inputs[static_cast<std::size_t>(j)].fourth;
  }
  CHECK(equal(gdssm::independent_context(variances, fourths, N).mean_S2, moments.mean_S2));
}

TEST_CASE("The best steps are where the expected losses are least", "[theorem]") {
  const Index k = GENERATE(0, 2, 3);
  const Rational w2 = GENERATE(1, 2), e2 = GENERATE(0, 7);
  CAPTURE(k, w2, e2);
  const LinearTask<Rational> task{.features = 3,
                                  .context = 5,
                                  .inputs = moments_of(skewed),
                                  .weight_variance = w2,
                                  .noise_variance = e2 / 3,
                                  .distractors = k,
                                  .distractor_variance = 5};
  const Rational h = Rational(1) / 1000;

  // A parabola: equal losses on both sides put its minimum, or its maximum, exactly between.
  const Rational a = best_step(task);
  CHECK(expected_loss(task, a + h) == expected_loss(task, a - h));
  CHECK(expected_loss(task, a + h) > expected_loss(task, a));

  const Rational b = best_step_all_positions(task);
  CHECK(expected_loss_all_positions(task, b + h) == expected_loss_all_positions(task, b - h));
  CHECK(expected_loss_all_positions(task, b + h) > expected_loss_all_positions(task, b));
  CHECK(b > a);
}

TEST_CASE("The loss at all positions is the mean of the losses after 1..N pairs", "[theorem]") {
  const LinearTask<Rational> task{.features = 3, .context = 6, .inputs = moments_of(skewed), .noise_variance = 2};
  const Rational a = Rational(1) / 9;
  Rational sum;
  LinearTask<Rational> prefix = task;
  for (prefix.context = 1; prefix.context <= task.context; ++prefix.context) sum += expected_loss(prefix, a);
  CHECK(expected_loss_all_positions(task, a) == sum / 6);
}

TEST_CASE("Neither a step, nor a diagonal, nor a matrix can lose less than the best one", "[theorem]") {
  std::mt19937_64 engine(1);
  const Index f = GENERATE(1, 2, 4), N = GENERATE(1, 3, 6);
  const Rational w2 = GENERATE(1, 3), e2 = GENERATE(0, 2);
  CAPTURE(f, N, w2, e2);
  const ContextMoments<Rational> moments = gdssm::gaussian_context(random_covariance(f, engine), N);

  const auto is_least_along = [&](const RationalMatrix& P, const RationalMatrix& direction) {
    if (direction.isZero(0)) return true;
    const Rational here = expected_loss(moments, P, w2, e2);
    const Rational ahead = expected_loss(moments, P + direction, w2, e2);
    const Rational behind = expected_loss(moments, P - direction, w2, e2);
    return ahead == behind && ahead > here;
  };

  const Rational a = best_step(moments, w2, e2);
  const Eigen::VectorX<Rational> p = best_diagonal_preconditioner(moments, w2, e2);
  const RationalMatrix P = best_preconditioner(moments, w2, e2);
  const RationalMatrix I = RationalMatrix::Identity(f, f);
  CHECK(is_least_along(a * I, I));
  for (int i = 0; i < 5; ++i) {
    const RationalMatrix direction = gdssm::test::random_rational_matrix(f, f, engine);
    CHECK(is_least_along(p.asDiagonal(), direction.diagonal().asDiagonal()));
    CHECK(is_least_along(P, direction));
  }

  const Rational step_loss = expected_loss(moments, a, w2, e2);
  const Rational diagonal_loss = expected_loss(moments, p.asDiagonal(), w2, e2);
  CHECK(step_loss == expected_loss(moments, a * I, w2, e2));
  if (f == 1) {
    CHECK(expected_loss(moments, P, w2, e2) == step_loss);
  } else {
    CHECK(expected_loss(moments, P, w2, e2) < diagonal_loss);
    CHECK(diagonal_loss < step_loss);
  }
}

TEST_CASE("For inputs alike in every coordinate (8a) is (8)", "[theorem]") {
  const Index f = GENERATE(1, 3, 5), N = GENERATE(1, 4);
  const Rational w2 = GENERATE(1, 3), e2 = GENERATE(0, 2);
  CAPTURE(f, N, w2, e2);
  const LinearTask<Rational> task{
      .features = f, .context = N, .inputs = moments_of(skewed), .weight_variance = w2, .noise_variance = e2};
  const auto moments = gdssm::independent_context(std::vector(static_cast<std::size_t>(f), moments_of(skewed)), N);

  const Rational a = best_step(task);
  CHECK(best_step(moments, w2, e2) == a);
  CHECK(equal(best_preconditioner(moments, w2, e2), a * RationalMatrix::Identity(f, f)));
  CHECK(equal(best_diagonal_preconditioner(moments, w2, e2), RationalMatrix::Constant(f, 1, a)));
  CHECK(expected_loss(moments, a, w2, e2) == expected_loss(task, a));
  CHECK(expected_loss(moments, Rational(1) / 5, w2, e2) == expected_loss(task, Rational(1) / 5));
}

TEST_CASE("For normal inputs (8a) has the closed forms in Sigma", "[theorem]") {
  std::mt19937_64 engine(2);
  const Index f = GENERATE(1, 2, 4), N = GENERATE(1, 2, 7);
  CAPTURE(f, N);
  const RationalMatrix Sigma = random_covariance(f, engine);
  const RationalMatrix I = RationalMatrix::Identity(f, f);
  const ContextMoments<Rational> moments = gdssm::gaussian_context(Sigma, N);

  CHECK(equal(best_preconditioner(moments) * (Rational(N + 1) * Sigma + Sigma.trace() * I), I));
  const Rational trace_2 = (Sigma * Sigma).trace(), trace_3 = (Sigma * Sigma * Sigma).trace();
  CHECK(best_step(moments) == trace_2 / (Rational(N + 1) * trace_3 + Sigma.trace() * trace_2));
  // Independent normal coordinates are both kinds of context.
  const RationalMatrix diagonal = Sigma.diagonal().asDiagonal();
  std::vector<InputMoments<Rational>> inputs;
  for (Index j = 0; j < f; ++j) inputs.push_back(gdssm::normal_inputs<Rational>(Sigma(j, j)));
  CHECK(equal(gdssm::gaussian_context(diagonal, N).mean_S2, gdssm::independent_context(inputs, N).mean_S2));
}

TEST_CASE("The best steps and losses at f = N = 10 are the paper's setting in figures", "[golden]") {
  const LinearTask task{10, 10, gdssm::uniform_inputs(1)};
  CHECK_THAT(best_step(task), WithinAbs(0.60606, 5e-6));
  CHECK_THAT(expected_loss(task, best_step(task)), WithinAbs(0.20623, 5e-6));
  CHECK_THAT(best_step_all_positions(task), WithinAbs(0.714, 5e-4));

  const auto uniform = uniform_context(falling_variances(10), 10);
  CHECK_THAT(expected_loss(uniform, best_step(uniform)), WithinAbs(0.2067, 5e-5));
  CHECK_THAT(expected_loss(uniform, best_diagonal_preconditioner(uniform).asDiagonal()), WithinAbs(0.1771, 5e-5));
  const auto normal = gdssm::gaussian_context(MatrixXd(falling_variances(10).asDiagonal()), 10);
  CHECK_THAT(expected_loss(normal, best_step(normal)), WithinAbs(0.2238, 5e-5));
  CHECK_THAT(expected_loss(normal, best_diagonal_preconditioner(normal).asDiagonal()), WithinAbs(0.1940, 5e-5));
}

TEST_CASE("The makers know the second and fourth moment of their distribution", "[sampling]") {
  Random random(3);
  for (const Distribution& distribution : distributions) {
    CAPTURE(distribution.name);
    const double variance = 0.3;
    Mean first, second, fourth;
    for (int i = 0; i < 400000; ++i) {
      const double x = (random.*distribution.draw)(variance);
      first.add(x);
      second.add(x * x);
      fourth.add(x * x * x * x);
    }
    const InputMoments<> moments = distribution.moments(variance);
    CHECK(first.errors_from(0) < 4);
    CHECK(second.errors_from(moments.variance) < 4);
    CHECK(fourth.errors_from(moments.fourth) < 4);
  }
}

TEST_CASE("Steps and losses (8), (9) agree with sampling for every distribution of inputs", "[sampling]") {
  Random random(4);
  for (const Distribution& distribution : distributions) {
    LinearTask task{sampled_features, 6, distribution.moments(0.3)};
    const auto draw_input = [&] { return Input::NullaryExpr([&] { return (random.*distribution.draw)(0.3); }).eval(); };
    for (const std::string setting : {"clean", "noise", "distractors"}) {
      if (setting == "noise") task.weight_variance = 2, task.noise_variance = 0.5;
      if (setting == "distractors") task.distractors = 2, task.distractor_variance = 0.7;
      CAPTURE(distribution.name, setting);
      const double a = best_step(task), b = best_step_all_positions(task);
      const Sampled sampled = sample(random, task, Preconditioner::Identity(), a, b, draw_input);
      CHECK(sampled.loss.errors_from(expected_loss(task, a)) < 4);
      CHECK(sampled.slope.errors_from(0) < 4);
      CHECK(sampled.mean_loss.errors_from(expected_loss_all_positions(task, b)) < 4);
      CHECK(sampled.mean_slope.errors_from(0) < 4);
    }
  }
}

TEST_CASE("Sampling notices a step that is wrong by a tenth", "[sampling]") {
  Random random(5);
  const LinearTask task{sampled_features, 6, gdssm::normal_inputs(0.3)};
  const double a = 1.1 * best_step(task), b = 1.1 * best_step_all_positions(task);
  const auto draw_input = [&] { return Input::NullaryExpr([&] { return random.normal(0.3); }).eval(); };
  const Sampled sampled = sample(random, task, Preconditioner::Identity(), a, b, draw_input);
  CHECK(sampled.slope.errors_from(0) > 4);
  CHECK(sampled.mean_slope.errors_from(0) > 4);
}

TEST_CASE("Steps, preconditioners and losses (8a) agree with sampling for inputs that are not alike", "[sampling]") {
  Random random(6);
  const VectorXd variances = falling_variances(sampled_features);
  Preconditioner root;
  root << 0.5, 0, 0, 0, 0.3, 0.2, 0, 0, -0.1, 0.2, 0.3, 0, 0, 0.1, -0.2, 0.1;
  const double e2 = GENERATE(0.0, 0.02), w2 = 1.5;
  const bool normal = GENERATE(false, true);
  CAPTURE(e2, normal);

  const LinearTask<> task{.features = sampled_features,
                          .context = 6,
                          .inputs = gdssm::normal_inputs(1),  // not used: inputs are drawn below
                          .weight_variance = w2,
                          .noise_variance = e2};
  const ContextMoments<> moments = normal ? gdssm::gaussian_context(root * root.transpose(), task.context)
                                          : uniform_context(variances, task.context);
  const auto draw_input = [&]() -> Input {
    if (normal) return root * Input::NullaryExpr([&] { return random.normal(1); }).eval();
    return Input::NullaryExpr([&](Index j) { return random.uniform(variances[j]); });
  };
  const auto agrees = [&](const MatrixXd& P) {
    const Sampled sampled = sample(random, task, P, 1, 1, draw_input);
    CHECK(sampled.loss.errors_from(expected_loss(moments, P, w2, e2)) < 4);
    CHECK(sampled.slope.errors_from(0) < 4);
  };
  agrees(best_step(moments, w2, e2) * Preconditioner::Identity());
  agrees(best_diagonal_preconditioner(moments, w2, e2).asDiagonal());
  agrees(best_preconditioner(moments, w2, e2));
}

TEST_CASE("The moments of a normal context agree with sampling", "[sampling]") {
  Random random(6);
  const Index f = 3, N = 4;
  const MatrixXd root = (MatrixXd(f, f) << 1, 0, 0, 0.8, 0.5, 0, -0.4, 0.3, 0.2).finished();
  const ContextMoments<> moments = gdssm::gaussian_context(root * root.transpose(), N);
  std::vector<Mean> S_means(9), S2_means(9);
  for (int draw = 0; draw < 100000; ++draw) {
    const MatrixXd X = root * MatrixXd::NullaryExpr(f, N, [&] { return random.normal(1); });
    const MatrixXd S = X * X.transpose(), S2 = S * S;
    for (Index i = 0; i < 9; ++i) {
      S_means[static_cast<std::size_t>(i)].add(S.reshaped()[i]);
      S2_means[static_cast<std::size_t>(i)].add(S2.reshaped()[i]);
    }
  }
  for (Index i = 0; i < 9; ++i) {
    CAPTURE(i);
    CHECK(S_means[static_cast<std::size_t>(i)].errors_from(moments.mean_S.reshaped()[i]) < 4);
    CHECK(S2_means[static_cast<std::size_t>(i)].errors_from(moments.mean_S2.reshaped()[i]) < 4);
  }
}

TEST_CASE("Constant, collinear and differently scaled features leave the preconditioner best and moderate",
          "[regression]") {
  SECTION("exactly, a feature that is constant and one that repeats another") {
    RationalMatrix B(4, 2);
    B << 1, 0, 0, 0, 2, 1, 1, 0;
    const auto moments = gdssm::gaussian_context(B * B.transpose(), 3);
    const RationalMatrix P = best_preconditioner(moments);
    CHECK(equal(moments.mean_S2 * P, moments.mean_S));
  }
  SECTION("in floating point, six features of rank three in units a million apart") {
    std::mt19937_64 engine(7);
    MatrixXd B = gdssm::test::random_rational_matrix(6, 3, engine).cast<double>() / 7;
    REQUIRE(B.fullPivLu().rank() == 3);
    const MatrixXd Sigma = B * B.transpose();
    const double unit = GENERATE(1.0, 1e-6, 1e-12);
    B.row(0) *= unit;
    const MatrixXd scaled = B * B.transpose();
    const auto moments = gdssm::gaussian_context(scaled, 10);
    const MatrixXd P = best_preconditioner(moments);
    const MatrixXd formula = (11 * scaled + scaled.trace() * MatrixXd::Identity(6, 6)).inverse();
    CAPTURE(unit, P);
    CHECK_THAT(expected_loss(moments, P), WithinRel(expected_loss(moments, formula), 1e-14));
    CHECK(P.cwiseAbs().maxCoeff() < 100 * formula.cwiseAbs().maxCoeff());
    CHECK(best_diagonal_preconditioner(moments).allFinite());
  }
}

TEST_CASE("The moments of inputs that depend on each other have a preconditioner, in float and double",
          "[regression]") {
  CHECK(largest_residual_of_singular_moments<double>(500) < 1e-13);
  CHECK(largest_residual_of_singular_moments<float>(500) < 1e-5f);
}

TEST_CASE("A preconditioner loses least whatever the units of its coordinates, in float and double", "[regression]") {
  std::mt19937_64 engine(9);
  for (int i = 0; i < 200; ++i) {
    const Index f = 6, rank = 1 + i % 5;
    MatrixXd B = gdssm::test::random_rational_matrix(f, rank, engine).cast<double>();
    for (Index j = 0; j < f; ++j) B.row(j) *= std::ldexp(1.0, 4 * gdssm::test::random_integer(engine));
    CAPTURE(i, B);
    const MatrixXd Sigma = B * B.transpose();
    const auto moments = gdssm::gaussian_context(Sigma, 4);
    const auto rounded = gdssm::gaussian_context(Eigen::MatrixXf(Sigma.cast<float>()), 4);
    const MatrixXd formula = (5 * Sigma + Sigma.trace() * MatrixXd::Identity(f, f)).inverse();
    const double least = expected_loss(moments, formula), none = expected_loss(moments, 0);
    CHECK(expected_loss(moments, best_preconditioner(moments)) - least <= 1e-14 * none);
    CHECK(expected_loss(moments, best_preconditioner(rounded).cast<double>()) - least <= 1e-7 * none);
  }
}

TEST_CASE("Steps and losses can be had in single precision", "[regression]") {
  const LinearTask<float> task{10, 10, gdssm::uniform_inputs<float>(1)};
  CHECK_THAT(best_step(task), WithinRel(best_step(LinearTask{10, 10, gdssm::uniform_inputs(1)}), 1.5e-7));
  const auto moments = gdssm::independent_context(std::vector(3, gdssm::normal_inputs<float>(1)), 2);
  CHECK_THAT(best_diagonal_preconditioner(moments)[2], WithinRel(1.0 / 6, 1.5e-7));
}

TEST_CASE("Tasks that cannot be are refused with a message that says why", "[misuse]") {
  const LinearTask<> good{10, 10, gdssm::uniform_inputs(1)};
  LinearTask<> task = good;
  SECTION("sizes") {
    task.features = 0;
    CHECK_THROWS_WITH(best_step(task), "best_step: features is 0, expected at least 1");
    task = good;
    task.context = -1;
    CHECK_THROWS_WITH(expected_loss(task, 1), "expected_loss: context is -1, expected at least 1");
  }
  SECTION("moments") {
    task.inputs.variance = -1;
    CHECK_THROWS_WITH(best_step_all_positions(task),
                      "best_step_all_positions: variance is -1, expected a finite number >= 0");
    task.inputs = {.variance = 2, .fourth = 3};
    CHECK_THROWS_WITH(best_step(task), "best_step: fourth moment is 3, expected at least the squared variance, 4");
    task.inputs = {.variance = 2, .fourth = infinity};
    CHECK_THROWS_WITH(best_step(task), "best_step: fourth moment is inf, expected a finite number >= 0");
    task.inputs = {.variance = not_a_number, .fourth = 1};
    CHECK_THROWS_WITH(best_step(task), "best_step: variance is nan, expected a finite number >= 0");
    // Two values of equal magnitude have the smallest possible fourth moment, including rounding.
    task.inputs = {.variance = 0.1, .fourth = std::pow(std::sqrt(0.1), 4)};
    CHECK_NOTHROW(best_step(task));
  }
  SECTION("weights, noise, distractors") {
    task.weight_variance = not_a_number;
    CHECK_THROWS_WITH(best_step(task), "best_step: weight variance is nan, expected a finite number >= 0");
    task = good;
    task.noise_variance = -0.5;
    CHECK_THROWS_WITH(best_step(task), "best_step: noise variance is -0.5, expected a finite number >= 0");
    task = good;
    task.distractor_variance = infinity;
    CHECK_THROWS_WITH(best_step(task), "best_step: distractor variance is inf, expected a finite number >= 0");
    task = good;
    task.distractors = 11;
    CHECK_THROWS_WITH(best_step(task), "best_step: distractors is 11, expected 0 to the context's 10");
    task.distractors = -1;
    CHECK_THROWS_WITH(best_step(task), "best_step: distractors is -1, expected 0 to the context's 10");
  }
  SECTION("steps") {
    CHECK_THROWS_WITH(expected_loss(task, not_a_number), "expected_loss: step is nan, expected a finite number");
    CHECK_THROWS_WITH(expected_loss_all_positions(task, infinity),
                      "expected_loss_all_positions: step is inf, expected a finite number");
    task.inputs = {.variance = 0, .fourth = 0};
    CHECK_THROWS_WITH(best_step(task),
                      "best_step: no step loses less than all others, expected inputs and labels that vary");
    CHECK(expected_loss(task, 3) == 0);
  }
  SECTION("makers") {
    CHECK_THROWS_WITH(gdssm::uniform_inputs(-1), "uniform_inputs: range is -1, expected a finite number >= 0");
    CHECK_THROWS_WITH(gdssm::normal_inputs(-1), "normal_inputs: variance is -1, expected a finite number >= 0");
    CHECK_THROWS_WITH(gdssm::laplace_inputs(not_a_number),
                      "laplace_inputs: variance is nan, expected a finite number >= 0");
    CHECK_THROWS_WITH(gdssm::exponential_inputs(infinity),
                      "exponential_inputs: variance is inf, expected a finite number >= 0");
  }
}

TEST_CASE("Context moments that cannot be are refused with a message that says why", "[misuse]") {
  const auto covariance = [](double a, double b, double c, double d) {
    return (MatrixXd(2, 2) << a, b, c, d).finished();
  };
  SECTION("normal contexts") {
    CHECK_THROWS_WITH(gdssm::gaussian_context(MatrixXd(0, 0), 1),
                      "gaussian_context: features is 0, expected at least 1");
    CHECK_THROWS_WITH(gdssm::gaussian_context(MatrixXd::Ones(2, 3), 1),
                      "gaussian_context: covariance is 2 x 3, expected 2 x 2");
    CHECK_THROWS_WITH(gdssm::gaussian_context(covariance(1, 0, 0, 1), 0),
                      "gaussian_context: context is 0, expected at least 1");
    CHECK_THROWS_WITH(gdssm::gaussian_context(covariance(1, 0, 0, -1), 1),
                      "gaussian_context: variance is -1, expected a finite number >= 0");
    CHECK_THROWS_WITH(gdssm::gaussian_context(covariance(1, 0.5, 0.25, 1), 1),
                      "gaussian_context: covariance (1, 0) is 0.25 and (0, 1) is 0.5, expected a symmetric matrix");
    CHECK_THROWS_WITH(gdssm::gaussian_context(covariance(1, 2, 2, 1), 1),
                      "gaussian_context: covariance (1, 0) is 2, too large for variances 1 and 1");
    CHECK_THROWS_AS(gdssm::gaussian_context(covariance(1, not_a_number, not_a_number, 1), 1), std::invalid_argument);
    // Correlation 1 and a constant feature are valid.
    CHECK_NOTHROW(gdssm::gaussian_context(covariance(1, 2, 2, 4), 1));
    CHECK_NOTHROW(gdssm::gaussian_context(covariance(1, 0, 0, 0), 1));
  }
  SECTION("independent contexts") {
    CHECK_THROWS_WITH(gdssm::independent_context(std::vector<InputMoments<>>{}, 1),
                      "independent_context: features is 0, expected at least 1");
    CHECK_THROWS_WITH(gdssm::independent_context(std::vector{gdssm::normal_inputs(1)}, 0),
                      "independent_context: context is 0, expected at least 1");
    CHECK_THROWS_WITH(gdssm::independent_context(VectorXd::Ones(2), VectorXd::Ones(3), 1),
                      "independent_context: number of fourth moments is 3, expected 2");
    CHECK_THROWS_WITH(gdssm::independent_context(VectorXd::Constant(2, 2), VectorXd::Ones(2), 1),
                      "independent_context: fourth moment is 1, expected at least the squared variance, 4");
  }
  SECTION("moments filled in by hand") {
    const MatrixXd I = MatrixXd::Identity(2, 2);
    ContextMoments<> moments{.input_covariance = I, .mean_S = I, .mean_S2 = 2 * I};
    CHECK(best_step(moments) == 0.5);
    CHECK_THROWS_WITH(best_step(moments, -1), "best_step: weight variance is -1, expected a finite number >= 0");
    CHECK_THROWS_WITH(best_preconditioner(moments, 1, not_a_number),
                      "best_preconditioner: noise variance is nan, expected a finite number >= 0");
    CHECK_THROWS_WITH(expected_loss(moments, MatrixXd::Ones(2, 1)), "expected_loss: P is 2 x 1, expected 2 x 2");
    CHECK_THROWS_AS(expected_loss(moments, not_a_number * I), std::invalid_argument);
    CHECK_THROWS_WITH(expected_loss(moments, not_a_number), "expected_loss: step is nan, expected a finite number");
    moments.mean_S2 = MatrixXd::Identity(3, 3);
    CHECK_THROWS_WITH(best_diagonal_preconditioner(moments),
                      "best_diagonal_preconditioner: mean_S2 is 3 x 3, expected 2 x 2");
    moments.mean_S2 = infinity * I;
    CHECK_THROWS_AS(best_step(moments), std::invalid_argument);
    CHECK_THROWS_WITH(best_step(ContextMoments<>{}), "best_step: features is 0, expected at least 1");
    moments.mean_S2 = covariance(1, 2, 2, 1);
    CHECK_THROWS_WITH(
        best_preconditioner(moments),
        "best_preconditioner: mean_S2 has a negative eigenvalue, expected a positive semidefinite matrix");
    // A coordinate without variance must have no covariance, and small units hide no error.
    moments.mean_S2 = covariance(0, 1, 1, 0);
    CHECK_THROWS_AS(best_preconditioner(moments), std::invalid_argument);
    moments.mean_S2 = covariance(0, 1, 1, 1);
    CHECK_THROWS_AS(best_preconditioner(moments), std::invalid_argument);
    moments.mean_S2 = covariance(1, 2e-20, 2e-20, 1e-40);
    CHECK_THROWS_AS(best_preconditioner(moments), std::invalid_argument);
    moments.mean_S2 = covariance(0, 0, 0, 0);
    CHECK(best_preconditioner(moments).isZero(0));
    moments.mean_S2 = -I;
    CHECK_THROWS_AS(best_diagonal_preconditioner(moments), std::invalid_argument);
    CHECK_THROWS_AS(best_step(moments), std::invalid_argument);
    moments.mean_S2 = MatrixXd::Zero(2, 2);
    CHECK_THROWS_WITH(best_step(moments),
                      "best_step: no step loses less than all others, expected inputs and labels that vary");
  }
}
