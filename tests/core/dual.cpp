// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/dual.hpp"

#include <cmath>
#include <sstream>

#include <Eigen/Dense>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

using D = Dual<double>;

TEST_CASE("sums, products and quotients of duals follow the rules of differentiation, exactly", "[dual]") {
  const D a(6, 1), b(2, 5);
  CHECK(a + b == D(8, 6));
  CHECK(a - b == D(4, -4));
  CHECK(-a == D(-6, -1));
  CHECK(a * b == D(12, 32));
  CHECK(a / b == D(3, -7));  // (1 - 3 x 5) / 2
  CHECK(a + 1.0 == D(7, 1));
  CHECK(D(3).derivative == 0);
}

TEST_CASE("assigning operators are the operators", "[dual]") {
  const D a(6, 1), b(2, 5);
  D c = a;
  CHECK((c += b) == a + b);
  CHECK((c -= b) == a);
  CHECK((c *= b) == a * b);
  CHECK((c /= b) == (a * b) / b);
}

TEST_CASE("the derivative of exp is exp", "[dual]") {
  CHECK(exp(D(0, 3)) == D(1, 3));
  CHECK(exp(D(-0.5, 2)) == D(std::exp(-0.5), 2 * std::exp(-0.5)));
}

TEST_CASE("identities have the derivatives of what they equal", "[dual]") {
  test::Random random(3);
  for (int repeat = 0; repeat < 20; ++repeat) {
    const D a(random(), random()), b(2 + random(), random());
    const D one = a / b * b / a, square = (a + b) * (a - b) - (a * a - b * b), unit = exp(a) * exp(-a);
    CHECK(std::abs(one.value - 1) + std::abs(one.derivative / a.value) < 1e-10);
    CHECK(std::abs(square.value) + std::abs(square.derivative) < 1e-14);
    CHECK(std::abs(unit.value - 1) + std::abs(unit.derivative) < 1e-15);
  }
}

TEST_CASE("a dual's derivative is the limit of difference quotients", "[dual]") {
  const auto f = [](const auto& x) { return exp(x * x) / (x + decltype(x * x)(2)) - x; };
  const double x = 0.3, h = 1e-6;
  const double quotient = (f(D(x + h)).value - f(D(x - h)).value) / (2 * h);
  CHECK(std::abs(f(D(x, 1)).derivative - quotient) < 1e-9);
}

TEST_CASE("Eigen multiplies matrices of duals", "[dual]") {
  Eigen::Matrix2<D> A, B;
  A << D(1, 1), D(2, 0), D(3, 0), D(4, 0);
  B << D(1, 0), D(0, 0), D(0, 0), D(1, 2);
  const Eigen::Matrix2<D> C = A * B;
  CHECK(C(0, 0) == D(1, 1));
  CHECK(C(0, 1) == D(2, 4));
  CHECK(C(1, 1) == D(4, 8));
}

TEST_CASE("a dual is printed with its infinitesimal", "[dual]") {
  std::ostringstream text;
  text << D(1.5, -2);
  CHECK(text.str() == "1.5 + -2 e");
}

}  // namespace
}  // namespace gdssm
