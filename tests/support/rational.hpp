// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>

#include <boost/multiprecision/cpp_int.hpp>

#include <Eigen/Dense>

namespace gdssm::test {

/// An exact scalar: comparisons with == need no tolerance, which could hide a wrong term.
///
/// It wraps Boost's rational, whose own operators and constructors accept operands of any type. With Eigen's
/// expressions this is a hard error before Boost 1.79 (github.com/boostorg/multiprecision/issues/393).
class Rational {
 public:
  // Out of line, because g++ 12 loses sight of it in Eigen's kernels and reports uninitialised memory.
  [[gnu::noinline]] Rational() {}
  Rational(std::integral auto integer) : number_(integer) {}
  /// The same value exactly: every finite binary fraction is a fraction.
  explicit Rational(std::floating_point auto fraction) : number_(fraction) {}

  Rational& operator+=(const Rational& other) { return number_ += other.number_, *this; }
  Rational& operator-=(const Rational& other) { return number_ -= other.number_, *this; }
  Rational& operator*=(const Rational& other) { return number_ *= other.number_, *this; }
  /// Throws on division by zero.
  Rational& operator/=(const Rational& other) { return number_ /= other.number_, *this; }

  friend Rational operator+(Rational a, const Rational& b) { return a += b; }
  friend Rational operator-(Rational a, const Rational& b) { return a -= b; }
  friend Rational operator*(Rational a, const Rational& b) { return a *= b; }
  friend Rational operator/(Rational a, const Rational& b) { return a /= b; }
  friend Rational operator-(const Rational& a) { return Rational() - a; }
  friend Rational abs(const Rational& a) { return a < Rational() ? -a : a; }

  friend bool operator==(const Rational& a, const Rational& b) { return a.number_ == b.number_; }
  friend bool operator<(const Rational& a, const Rational& b) { return a.number_ < b.number_; }
  friend bool operator>(const Rational& a, const Rational& b) { return b < a; }
  friend bool operator<=(const Rational& a, const Rational& b) { return !(b < a); }
  friend bool operator>=(const Rational& a, const Rational& b) { return !(a < b); }

  explicit operator double() const { return static_cast<double>(number_); }
  friend std::ostream& operator<<(std::ostream& out, const Rational& a) { return out << a.number_; }

 private:
  boost::multiprecision::number<boost::multiprecision::cpp_rational_backend, boost::multiprecision::et_off> number_;
};

}  // namespace gdssm::test

/// Only zero is negligible.
template <>
struct Eigen::NumTraits<gdssm::test::Rational> : Eigen::GenericNumTraits<gdssm::test::Rational> {
  using Real = gdssm::test::Rational;
  using NonInteger = Real;
  using Literal = Real;
  using Nested = Real;
  enum { IsSigned = 1, RequireInitialization = 1, ReadCost = 10, AddCost = 100, MulCost = 100 };
  static Real epsilon() { return 0; }
  static Real dummy_precision() { return 0; }
  static int digits10() { return 0; }
};

namespace gdssm::test {

/// A small integer in -largest..largest, the same with every standard library.
template <class Engine>
int random_integer(Engine& engine, int largest = 3) {
  return static_cast<int>(static_cast<std::uint64_t>(engine()) % static_cast<std::uint64_t>(2 * largest + 1)) - largest;
}

/// rows x cols of small integers, so that sums and products stay short.
template <class Engine>
Eigen::MatrixX<Rational> random_rational_matrix(Eigen::Index rows, Eigen::Index cols, Engine& engine, int largest = 3) {
  Eigen::MatrixX<Rational> matrix(rows, cols);
  for (Eigen::Index j = 0; j < cols; ++j) {
    for (Eigen::Index i = 0; i < rows; ++i) matrix(i, j) = random_integer(engine, largest);
  }
  return matrix;
}

}  // namespace gdssm::test
