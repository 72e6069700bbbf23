// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/rounded.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

/// A number whose errors are random, as if after many roundings.
Rounded with_errors(double value, test::Random& random) {
  Rounded x(value);
  for (double& error : x.error) error = random();
  return x;
}

/// f's errors less those that its last rounding adds, which must be of this size in every choice.
template <class F>
void expect_propagation(const Rounded& result, const Rounded& x, const F& slope_times_error, double size) {
  for (std::size_t k = 0; k < x.error.size(); ++k)
    CHECK(std::abs(result.error[k] - slope_times_error(k)) == Approx(size).margin(1e-15));
}

TEST_CASE("values of rounded numbers are those of double, to the bit", "[rounded]") {
  test::Random random(1);
  for (int repeat = 0; repeat < 20; ++repeat) {
    const double a = random(), b = 1.5 + random();
    const Rounded x(a), y(b);
    CHECK((x + y).value == a + b);
    CHECK((x - y).value == a - b);
    CHECK((-x).value == -a);
    CHECK((x * y).value == a * b);
    CHECK((x / y).value == a / b);
    CHECK(exp(x).value == std::exp(a));
    CHECK(log(y).value == std::log(b));
    CHECK(sqrt(y).value == std::sqrt(b));
    CHECK(sin(x).value == std::sin(a));
    CHECK(cos(x).value == std::cos(a));
    CHECK(larger(x, y).value == std::max(a, b));
  }
}

TEST_CASE("an operation passes errors on by its derivative and adds its own rounding", "[rounded]") {
  test::Random random(2);
  for (int repeat = 0; repeat < 20; ++repeat) {
    const Rounded x = with_errors(random(), random), y = with_errors(2 + random(), random);
    const double a = x.value, b = y.value;
    const auto& e = x.error;
    const auto& f = y.error;
    const double largest = std::max({std::abs(a), std::abs(b), std::abs(a + b)});
    expect_propagation(
        x + y, x, [&](std::size_t k) { return e[k] + f[k]; }, largest);
    expect_propagation(
        x - y, x, [&](std::size_t k) { return e[k] - f[k]; }, std::max({std::abs(a), b, std::abs(a - b)}));
    expect_propagation(
        x * y, x, [&](std::size_t k) { return e[k] * b + a * f[k]; }, std::abs(a * b));
    expect_propagation(
        x / y, x, [&](std::size_t k) { return e[k] / b - a / (b * b) * f[k]; }, 2 * std::abs(a / b));
    expect_propagation(
        -x, x, [&](std::size_t k) { return -e[k]; }, 0);
    expect_propagation(
        exp(x), x, [&](std::size_t k) { return std::exp(a) * e[k]; }, std::exp(a) * (2 + std::abs(a)));
    expect_propagation(
        decay_from_log(x), x, [&](std::size_t k) { return std::exp(a) * e[k]; }, std::exp(a) * (2 + 64 * std::abs(a)));
    expect_propagation(
        log(y), x, [&](std::size_t k) { return f[k] / b; }, 2 * std::abs(std::log(b)) + 1);
    expect_propagation(
        sqrt(y), x, [&](std::size_t k) { return f[k] / (2 * std::sqrt(b)); }, 2 * std::sqrt(b));
    expect_propagation(
        sin(x), x, [&](std::size_t k) { return std::cos(a) * e[k]; }, 2 + std::abs(a));
    expect_propagation(
        cos(x), x, [&](std::size_t k) { return -std::sin(a) * e[k]; }, 2 + std::abs(a));
  }
}

TEST_CASE("nothing is rounded where zero is added", "[rounded]") {
  test::Random random(3);
  const Rounded x = with_errors(0.7, random);
  CHECK(x + Rounded(0) == x);
  CHECK(Rounded(0) + x == x);
  CHECK(x - Rounded(0) == x);
}

TEST_CASE("the last choice rounds every result towards zero", "[rounded]") {
  Rounded power(1);
  for (int n = 1; n <= 10; ++n) {
    power *= Rounded(-1.5);
    CHECK(power.bias() == Approx(-n * power.value));
  }
}

TEST_CASE("the spread of a sum is that of independent roundings", "[rounded]") {
  test::Random random(4);
  double squares = 0, spreads = 0;
  for (int repeat = 0; repeat < 200; ++repeat) {
    Rounded sum(0);
    double expected = 0;
    for (int i = 0; i < 50; ++i) {
      const double term = random(), before = sum.value;
      sum += Rounded(term);
      const double size = std::max({std::abs(term), std::abs(before), std::abs(sum.value)});
      if (i > 0) expected += size * size;
    }
    squares += expected;
    spreads += sum.spread() * sum.spread();
  }
  CHECK(spreads / squares == Approx(1).epsilon(0.1));
}

TEST_CASE("errors of sums in float are within a few spreads, and not far below", "[rounded]") {
  test::Random random(5);
  double largest = 0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::vector<float> terms(64);
    Rounded exact(0);
    float sum = 0;
    for (float& term : terms) {
      term = static_cast<float>(random());
      exact += Rounded(static_cast<double>(term));
      sum += term;
    }
    largest = std::max(largest, std::abs(static_cast<double>(sum) - exact.value) / (0x1p-24 * exact.spread()));
  }
  CHECK(largest < 4);
  CHECK(largest > 0.5);
}

// Bounds of errors by absolute values would double with every step of this: (1 - c) x contracts, but x - c x has an
// error of (1 + c) |e_x| at most, whatever the signs.
TEST_CASE("a contraction that is computed as a difference contracts errors", "[rounded]") {
  Rounded x(1);
  x.round(1000);
  for (int step = 0; step < 200; ++step) x = x - Rounded(0.9) * x;
  CHECK(x.spread() < 1e-30);
}

TEST_CASE("equal computations are rounded in the same way", "[rounded]") {
  const Rounded x(1.25), y(0.3);
  CHECK(x * y + x == x * y + x);
  const Rounded difference = x * y - x * y;
  CHECK(difference.value == 0);
  CHECK(difference.spread() == Approx(x.value * y.value));  // of the subtraction's own, by the larger of its terms
}

}  // namespace
}  // namespace gdssm
