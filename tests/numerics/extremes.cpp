// SPDX-License-Identifier: Apache-2.0
// Steps at the edge of stability, and numbers at the edge of the range.
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "io/support.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm::test {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

/// Pairs whose S is diag(4, 1), and a query along the larger eigenvalue: y = x, so that W* = I.
Eigen::MatrixXd two_pairs() {
  const Eigen::MatrixXd x{{2, 0, 1}, {0, 1, 0}};
  return interleave(x, x.leftCols(2).eval());
}

/// The query's error after K steps of size a by a stack.
double error_of_steps(double a, Index steps) {
  const HornerStack<PaperLayer<2, GivenDecay>> stack({}, steps);
  return stack.predict(descent_steps(stack, a), two_pairs())(0, 1) - 1;
}

template <class T>
Eigen::MatrixX<T> predictions_of(const Eigen::MatrixX<T>& tokens) {
  const PaperLayer<> layer(tokens.rows());
  return layer.predict(gradient_step(layer, T(0.5)), tokens);
}

template <class T>
Eigen::MatrixX<T> random_tokens(Index f, Index pairs, std::uint64_t seed) {
  Eigen::MatrixX<T> tokens(f, 2 * pairs + 1);
  Random random(seed);
  random.fill(tokens);
  return tokens;
}

}  // namespace

TEST_CASE("Steps converge below 2 / the largest eigenvalue and diverge above, by the factor of theory", "[numerics]") {
  const double edge = 2.0 / 4;
  for (const double off : {1e-3, -1e-3}) {
    const double a = edge * (1 - off), factor = 1 - a * 4;
    for (const Index K : {1, 2, 10}) {
      CAPTURE(a, K);
      CHECK(error_of_steps(a, K) == Approx(-std::pow(factor, static_cast<double>(K))).epsilon(1e-12));
    }
    const Eigen::MatrixXd S{{4, 0}, {0, 1}};
    const double after = descend(S, S, equal_steps(a, 10'000))(0, 0) - 1;
    const double rounding = 2 * std::numeric_limits<double>::epsilon() / std::abs(1 - std::abs(factor));  // all steps'
    CHECK(after == Approx(-std::pow(factor, 10'000)).epsilon(1e-8).margin(rounding));
    CHECK((off > 0 ? std::abs(after) < 1e-8 : std::abs(after) > 1e8));
  }
  CHECK(std::abs(error_of_steps(edge, 10)) == Approx(1));
}

TEST_CASE("Training that passes the edge reports that it diverged", "[numerics]") {
  const PaperLayer<> layer(2);
  const LinearRegression tasks{.features = 2, .outputs = 2, .context = 4};
  // Adam's first step is as long as its rate: the loss, of degree 8 in the weights, overflows float at 1e8.
  for (const auto& [rate, status] :
       {std::pair{1e-3, TrainingStatus::finished}, std::pair{1e8, TrainingStatus::diverged}}) {
    const AdamW optimizer{{{{}, rate}}};
    auto run = begin_run(optimizer, reference_initialization<float>(layer, 1));
    ThreadPool pool;
    CAPTURE(rate);
    CHECK(train<Lanes<float>, VectorTargets>(layer, tasks, optimizer, ConstantRate{}, {.updates = 20}, run, pool)
              .status == status);
  }
}

TEMPLATE_TEST_CASE("Tokens times a power of two have predictions times its cube, to the bit, up to the range's ends",
                   "[numerics]", float, double) {
  using T = TestType;
  const Eigen::MatrixX<T> tokens = random_tokens<T>(3, 9, 1), predictions = predictions_of(tokens);
  const int end = std::numeric_limits<T>::max_exponent / 3 - 5;
  for (const int k : {1, -1, end, -end + 10}) {
    const T scale = std::ldexp(T(1), k);
    CAPTURE(k);
    CHECK(predictions_of<T>(scale * tokens) == std::ldexp(T(1), 3 * k) * predictions);
  }
  const T beyond = std::ldexp(T(1), end + 8);
  CHECK_FALSE(predictions_of<T>(beyond * tokens).allFinite());
}

TEMPLATE_TEST_CASE("Subnormal tokens have predictions of zero", "[numerics]", float, double) {
  using T = TestType;
  const Eigen::MatrixX<T> tokens = std::numeric_limits<T>::denorm_min() * Eigen::MatrixX<T>::Ones(2, 9);
  CHECK(predictions_of(tokens) == Eigen::MatrixX<T>::Zero(2, 4));
}

TEST_CASE("A token that is not finite is refused where a whole sequence is checked, with its place", "[numerics]") {
  for (const double bad : {nan, infinity, -infinity}) {
    Eigen::MatrixXd tokens = random_tokens<double>(2, 3, 2);
    tokens(1, 4) = bad;
    CHECK(message_of([&] { predictions_of(tokens); }).starts_with("predict: token 4, entry 1 is "));
  }
}

TEST_CASE("In step, which checks nothing, a NaN stays in its lane until the state is begun anew", "[numerics]") {
  using S = Lanes<double>;
  const PaperLayer<> layer(2);
  const auto c = layer.prepare(gradient_step(layer, 0.5));
  auto ws = layer.workspace<S>();
  const auto last_of = [&](bool poisoned, auto& state) {
    Array<S, Dynamic, 1> token(2, 1), prediction(2, 1);
    Random random(3);
    for (Index i = 0; i < 7; ++i) {
      random.fill(token);
      if (poisoned && i == 2) set_lane(token[0], 1, nan);
      layer.step(c, View<const S, Dynamic, 1>(token.view()), state, prediction.view(), ws);
    }
    return prediction;
  };
  auto clean = layer.initial_state<S>(), dirty = clean;
  const auto expected = last_of(false, clean), got = last_of(true, dirty);
  for (Index l = 0; l < lane_count<S>; ++l)
    for (Index i = 0; i < 2; ++i) {
      CAPTURE(l, i);
      if (l == 1)
        CHECK(std::isnan(lane(got[i], l)));
      else
        CHECK(lane(got[i], l) == lane(expected[i], l));
    }
  layer.window().restart(dirty.window);
  layer.recurrence().restart(dirty.recurrence);
  CHECK(last_of(false, dirty) == expected);
}

}  // namespace gdssm::test
