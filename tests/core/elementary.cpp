// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/elementary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/catch.hpp"

#include "gdssm/core/dual.hpp"

namespace gdssm {
namespace {

/// The worst error of f on lanes, in units of the last place of the long double result, at 20,000 points of a range.
template <class S, class OnLanes, class Exact>
double worst_error(double from, double to, const OnLanes& f, const Exact& exact) {
  using T = LaneScalar<S>;
  double worst = 0;
  for (Index i = 0; i < 20000; i += S::count) {
    S x;
    for (Index l = 0; l < S::count; ++l) x.set(l, static_cast<T>(from + (to - from) * double(i + l) / 20000));
    const S y = f(x);
    for (Index l = 0; l < S::count; ++l) {
      const long double expected = exact(static_cast<long double>(x[l]));
      const long double unit = std::abs(expected) * static_cast<long double>(std::numeric_limits<T>::epsilon());
      worst = std::max(worst, double(std::abs(static_cast<long double>(y[l]) - expected) / unit));
    }
  }
  return worst;
}

TEMPLATE_TEST_CASE("lanes' exp, softplus, logistic and sqrt are the functions, to a few units in the last place",
                   "[lanes]", Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  using S = TestType;
  const auto exp_of = [](const S& x) { return exp(x); };
  const auto softplus_of = [](const S& x) { return softplus(x); };
  const auto logistic_of = [](const S& x) { return logistic(x); };
  const auto sqrt_of = [](const S& x) { return sqrt(x); };
  const auto exact_exp = [](long double x) { return std::exp(x); };
  const auto exact_softplus = [](long double x) { return std::log1p(std::exp(x)); };
  const auto exact_logistic = [](long double x) { return 1 / (1 + std::exp(-x)); };
  const auto exact_sqrt = [](long double x) { return std::sqrt(x); };
  CHECK(worst_error<S>(-87, 88, exp_of, exact_exp) < 3);
  CHECK(worst_error<S>(-1, 1, exp_of, exact_exp) < 3);
  CHECK(worst_error<S>(-80, 80, softplus_of, exact_softplus) < 4);
  CHECK(worst_error<S>(-2, 2, softplus_of, exact_softplus) < 4);
  CHECK(worst_error<S>(-80, 80, logistic_of, exact_logistic) < 3);
  CHECK(worst_error<S>(1e-30, 3, sqrt_of, exact_sqrt) < 2);
  CHECK(worst_error<S>(1, 1e30, sqrt_of, exact_sqrt) < 2);
  CHECK(worst_error<S>(1e-45, 1e-37, sqrt_of, exact_sqrt) < 2);  // subnormal floats
  CHECK(worst_error<S>(1e-45, 3e-41, sqrt_of, exact_sqrt) < 2);
}

TEST_CASE("what no float holds is brought into range, and NaN stays NaN, each lane for itself", "[lanes]") {
  Lanes<float> x(0.0f);
  x.set(1, 1e30f);
  x.set(2, -1e30f);
  x.set(3, std::numeric_limits<float>::quiet_NaN());
  const auto e = exp(x), s = softplus(x), l = logistic(x);
  CHECK((e[0] == 1 && std::isfinite(e[1]) && e[1] > 2e38f && e[2] > 0 && e[2] < 2e-38f && std::isnan(e[3])));
  CHECK((std::abs(s[0] - std::log(2.0f)) < 1e-7f && s[1] == 1e30f && s[2] >= 0 && s[2] < 2e-38f && std::isnan(s[3])));
  CHECK((l[0] == 0.5f && l[1] == 1 && l[2] >= 0 && l[2] < 1e-37f && std::isnan(l[3])));
  CHECK(sqrt(Lanes<float>(0.0f))[3] == 0);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(softplus(Lanes<float>(infinity))[0] == infinity);
  CHECK((softplus(Lanes<float>(-infinity))[0] >= 0 && softplus(Lanes<float>(-infinity))[0] < 2e-38f));
}

TEMPLATE_TEST_CASE("log, sin and cos of lanes are those of each lane", "[definition]", float, double) {
  using S = Lanes<TestType>;
  S x;
  for (Index i = 0; i < S::count; ++i) x.set(i, TestType(0.3) + static_cast<TestType>(i));
  const S l = log(x), s = sin(x), c = cos(x);
  for (Index i = 0; i < S::count; ++i) {
    CHECK(l[i] == std::log(x[i]));
    CHECK(s[i] == std::sin(x[i]));
    CHECK(c[i] == std::cos(x[i]));
  }
}

TEST_CASE("softplus and logistic of numbers have no overflow", "[definition]") {
  CHECK(softplus(1000.0) == 1000);
  CHECK(softplus(-1000.0) == 0);
  CHECK(softplus(-40.0) == std::exp(-40.0));
  CHECK(softplus(0.0) == std::log(2.0));
  CHECK(softplus(-std::numeric_limits<double>::infinity()) == 0);
  CHECK(softplus(std::numeric_limits<double>::infinity()) == std::numeric_limits<double>::infinity());
  CHECK(std::isnan(softplus(std::numeric_limits<double>::quiet_NaN())));
  CHECK(logistic(-1000.0) == 0);
  CHECK(logistic(1000.0) == 1);
  CHECK(logistic(0.0) == 0.5);
}

TEST_CASE("derivatives of softplus, logistic, sqrt, log, sin and cos are limits of difference quotients", "[dual]") {
  const auto check = [](const auto& f, double x) {
    const double h = 1e-6;
    const double quotient = (f(Dual<double>(x + h)).value - f(Dual<double>(x - h)).value) / (2 * h);
    CHECK(std::abs(f(Dual<double>(x, 1)).derivative - quotient) < 1e-9);
  };
  for (const double x : {0.3, 1.7}) {
    CAPTURE(x);
    for (const double signed_x : {x, -x}) {
      check([](const auto& z) { return softplus(z); }, signed_x);
      check([](const auto& z) { return logistic(z); }, signed_x);
      check([](const auto& z) { return sin(z); }, signed_x);
      check([](const auto& z) { return cos(z); }, signed_x);
    }
    check([](const auto& z) { return sqrt(z); }, x);
    check([](const auto& z) { return log(z); }, x);
  }
}

TEST_CASE("silu and gelu are their definitions, and their derivatives those of dual numbers", "[dual]") {
  const double rounding = 8 * std::numeric_limits<double>::epsilon();
  for (const double x : {-3.0, -1.25, -0.1, 0.0, 0.4, 1.0, 2.5}) {
    CAPTURE(x);
    CHECK(std::abs(silu(x) - x / (1 + std::exp(-x))) <= rounding);
    const double inner = std::sqrt(2 / std::acos(-1.)) * (x + 0.044715 * x * x * x);
    CHECK(std::abs(gelu(x) - x / 2 * (1 + std::tanh(inner))) <= rounding);
    CHECK(std::abs(silu_derivative(x) - silu(Dual<double>(x, 1)).derivative) <= rounding);
    CHECK(std::abs(gelu_derivative(x) - gelu(Dual<double>(x, 1)).derivative) <= rounding);
  }
}

TEMPLATE_TEST_CASE("The larger of lanes is the larger of each two", "[lanes]", Lanes<float>, Lanes<double>,
                   (Lanes<float, 32>)) {
  using T = LaneScalar<TestType>;
  TestType a(T(0)), b(T(0));
  for (Index l = 0; l < TestType::count; ++l) {
    a.set(l, T(l % 3 - 1));
    b.set(l, T(l % 2) / 2);
  }
  const TestType c = larger(a, b);
  for (Index l = 0; l < TestType::count; ++l) CHECK(c[l] == std::max(a[l], b[l]));
  CHECK(larger(1.0, 2.0) == 2);
  CHECK(larger(2.0, 1.0) == 2);
}

}  // namespace
}  // namespace gdssm
