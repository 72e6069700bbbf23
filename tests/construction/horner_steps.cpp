// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/horner_steps.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/exact.hpp"

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/tasks/linear_regression.hpp"

namespace gdssm {
namespace {

using test::Engine;
using test::ExactContext;
using test::ExactLayer;
using test::ExactMatrix;
using test::random_fraction;
using test::Rational;

std::vector<Rational> random_sizes(Index steps, Engine& engine) {
  std::vector<Rational> sizes;
  for (Index k = 0; k < steps; ++k) sizes.push_back(random_fraction(engine));
  return sizes;
}

/// At every t: explicit steps, `descend`, (10) and the stack, its implicit weights included.
template <class Layer, class Sizes>
void check_steps(const HornerStack<Layer>& stack, const Sizes& given, const std::vector<Rational>& sizes, Index m,
                 Index n, Engine& engine) {
  const Index f = stack.feature_count();
  CAPTURE(f, m, n, stack.steps());
  const ExactContext context(f, m, n, engine);
  const auto p = descent_steps(stack, given);
  const auto c = stack.prepare(p);
  const ExactMatrix tokens = context.tokens(), predictions = stack.predict(p, tokens);
  REQUIRE(predictions.cols() == n);

  auto state = stack.template initial_state<Rational>();
  auto ws = stack.template workspace<Rational>();
  Array<Rational, Layer::outputs, 1> prediction(f, 1);
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i) {
    const View<const Rational, Layer::features, 1> token = view_of(tokens).column(i);
    if (!stack.step(c, token, state, prediction.view(), ws)) continue;
    ++t;
    const ExactMatrix S = context.S(t), M = context.M(t), q = context.x.col(t);
    ExactMatrix W = ExactMatrix::Zero(f, f);
    for (const Rational& a : sizes) W = (W - a * (W * S - M)).eval();
    CHECK(descend(S, M, sizes) == W);
    CHECK(predict_by_descent(S, M, q, sizes) == W * q);
    CHECK(predictions.col(t - 1) == W * q);
    CHECK(prediction.matrix() == W * q);
    CHECK(stack.implicit_weights(c, state) == W);
  }
  CHECK(t == n);
}

TEST_CASE("Theorem: K steps, the Horner stack and (10) agree, sizes different", "[theorem]") {
  Engine engine(11);
  for (Index steps = 1; steps <= 4; ++steps)
    for (Index f = 1; f <= 4; ++f)
      for (const Index n : {1, 2, 5, 8}) {
        const auto sizes = random_sizes(steps, engine);
        check_steps(HornerStack<ExactLayer<>>(ExactLayer<>(f), steps), sizes, sizes, f, n, engine);
      }
  const auto sizes = random_sizes(3, engine);
  check_steps(HornerStack<ExactLayer<1>>({}, 3), sizes, sizes, 1, 4, engine);
  check_steps(HornerStack<ExactLayer<5>>({}, 3), sizes, sizes, 5, 6, engine);
}

TEST_CASE("Theorem: K steps, the Horner stack and (10) agree, sizes equal", "[theorem]") {
  Engine engine(12);
  for (Index steps = 1; steps <= 4; ++steps)
    for (const Index n : {1, 3, 6}) {
      const Rational a = random_fraction(engine);
      const std::vector<Rational> sizes(static_cast<std::size_t>(steps), a);
      check_steps(HornerStack<ExactLayer<>>(ExactLayer<>(3), steps), a, sizes, 3, n, engine);
    }
}

TEST_CASE("Theorem: K steps on scalar targets", "[theorem]") {
  Engine engine(13);
  for (Index steps = 1; steps <= 3; ++steps) {
    const auto sizes = random_sizes(steps, engine);
    check_steps(HornerStack<ExactLayer<>>(ExactLayer<>(4), steps), sizes, sizes, 1, 6, engine);
  }
}

TEST_CASE("Theorem: in double the Horner stack takes K steps", "[theorem]") {
  const std::vector<double> sizes{1.16, 0.4, 0.2};
  const HornerStack<PaperLayer<>> stack(PaperLayer<>(10), 3);
  const auto p = descent_steps(stack, sizes);
  for (std::uint64_t task = 0; task < 5; ++task) {
    const auto drawn = LinearRegression().draw(3, task);
    const Eigen::MatrixXd tokens = interleave(drawn.inputs, drawn.targets.leftCols(10));
    const Eigen::MatrixXd predictions = stack.predict(p, tokens);
    for (Index t = 1; t <= 10; ++t) {
      CAPTURE(task, t);
      const auto [S, M] = accumulate(drawn.inputs.leftCols(t), drawn.targets.leftCols(t));
      const Eigen::VectorXd expected = descend(S, M, sizes) * drawn.inputs.col(t);
      CHECK((predictions.col(t - 1) - expected).norm() <= 1e-13 * (1 + expected.norm()));
    }
  }
}

/// Every row of the two-step stack, with M_t and S_t in place of its layers' E_t.
template <class Layer>
void check_two_steps(const TwoStepStack<Layer>& stack, Index n, Engine& engine) {
  const Index f = stack.feature_count();
  CAPTURE(f, n);
  const ExactContext context(f, f, n, engine);
  const auto sizes = random_sizes(2, engine);
  const Rational a_1 = sizes[0], a_2 = sizes[1];
  const ExactMatrix tokens = context.tokens();
  const ExactMatrix predictions = stack.predict(descent_steps(stack.without_residual(), sizes), tokens);
  REQUIRE(predictions.cols() == 2 * n + 1);

  const ExactMatrix W_2 = descend(context.S(n), context.M(n), sizes), q = context.x.col(n);
  CHECK(predictions.col(2 * n) == W_2 * q - q);

  CHECK(predictions.leftCols(n + 1) == -tokens.leftCols(n + 1));
  for (Index t = 1; t <= n; ++t) {
    CAPTURE(t);
    const ExactMatrix E_0 = -a_1 * context.M(t), E_0_last = -a_1 * context.M(n), E_1 = -a_2 * context.S(t),
                      E_2 = -a_2 * context.M(t);
    const ExactMatrix row = tokens.col(n + t) + (E_0 + E_0_last * E_1 + E_2) * context.x.col(t);
    CHECK(predictions.col(n + t) == -row);
  }
}

TEST_CASE("Theorem: the reference's two-step stack predicts W_2 q - q", "[theorem]") {
  Engine engine(14);
  for (Index f = 1; f <= 4; ++f)
    for (const Index n : {1, 2, 4, 7}) check_two_steps(TwoStepStack<ExactLayer<>>(ExactLayer<>(f)), n, engine);
  check_two_steps(TwoStepStack<ExactLayer<3>>(ExactLayer<3>()), 5, engine);
}

TEST_CASE("descent_steps refuses a number of sizes other than the stack's steps", "[misuse]") {
  const HornerStack<PaperLayer<>> stack(PaperLayer<>(3), 2);
  CHECK_THROWS_WITH(descent_steps(stack, std::vector<double>{}),
                    "descent_steps: the number of step sizes is 0, expected 2");
  CHECK_THROWS_WITH(descent_steps(stack, std::vector<double>{1, 2, 3}),
                    "descent_steps: the number of step sizes is 3, expected 2");
}

}  // namespace
}  // namespace gdssm
