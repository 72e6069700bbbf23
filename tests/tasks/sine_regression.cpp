// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/sine_regression.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "support/catch.hpp"

namespace gdssm {
namespace {

TEST_CASE("a sequence of sine regression holds pairs of its function, and the query's value is the target",
          "[definition]") {
  const SineRegression tasks{.context = 4};
  const auto f = tasks.function(3, 5);
  const auto drawn = tasks.sequence(3, 5, 2);
  REQUIRE(drawn.tokens.cols() == tasks.length());
  for (Index t = 0; t < 4; ++t) CHECK(drawn.tokens(0, 2 * t + 1) == f(drawn.tokens(0, 2 * t)));
  CHECK(drawn.targets(0, 0) == f(drawn.tokens(0, 6)));
  CHECK(drawn.targets(0, 1) == f(drawn.tokens(0, 8)));
  CHECK(tasks.sequence(3, 5).tokens == drawn.tokens);
  CHECK(tasks.sequence(3, 5, 1).targets(0, 0) == drawn.targets(0, 1));
  CHECK(tasks.sequence(3, 6).tokens != drawn.tokens);
}

TEST_CASE("amplitudes, phases and inputs of sine regression have the laws that they are said to have", "[theorem]") {
  const SineRegression tasks;
  double squares = 0, means = 0;
  const int count = 20000;
  for (int i = 0; i < count; ++i) {
    const auto f = tasks.function(1, static_cast<std::uint64_t>(i));
    REQUIRE((f.amplitude >= 0.1 && f.amplitude < 0.5 && f.phase >= 0 && f.phase < std::numbers::pi));
    const auto drawn = tasks.sequence(1, static_cast<std::uint64_t>(i));
    REQUIRE(drawn.tokens.cwiseAbs().maxCoeff() <= 5);
    const double y = drawn.targets(0, 0), mean = 0.6 / std::numbers::pi * std::cos(drawn.tokens(0, 20));
    squares += y * y / (2 * count);
    means += (y - mean) * (y - mean) / (2 * count);
  }
  // Half of E y^2 and of E (y - E[y | x])^2, both with standard errors of 2e-4.
  CHECK(std::abs(squares - 0.31 / 12) < 8e-4);
  CHECK(std::abs(means - 0.017210) < 8e-4);
}

TEST_CASE("sine regression refuses laws that are none", "[misuse]") {
  CHECK_THROWS_WITH(SineRegression{.context = 0}.sequence(1, 0),
                    "SineRegression: there are 0 pairs, expected at least 1");
  CHECK_THROWS_WITH(SineRegression{}.sequence(1, 0, -1), "SineRegression: there are -1 losses, expected 1 to 10");
  CHECK_THROWS_WITH(SineRegression{}.sequence(1, 0, 11), "SineRegression: there are 11 losses, expected 1 to 10");
  CHECK_THROWS_WITH(SineRegression{.least_amplitude = 0.6}.check(),
                    "SineRegression: amplitudes are from 0.6 to 0.5, expected 0 <= least <= most");
  CHECK_THROWS_WITH(SineRegression{.reach = -1}.check(),
                    "SineRegression: phases reach to 3.14159 and inputs to -1, expected finite numbers above 0");
  CHECK_THROWS_AS(SineRegression{.reach = std::numeric_limits<double>::infinity()}.check(), std::invalid_argument);
}

}  // namespace
}  // namespace gdssm
