// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <ostream>

#include <Eigen/Core>

#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// A dual number x + x' e with e^2 = 0: carries a value and its derivative along one direction through any formula
/// (forward mode). A layer run on dual numbers gives its exact Jacobian times that direction, which checks every VJP.
template <class T>
struct Dual {
  T value{};       ///< f(x)
  T derivative{};  ///< f'(x), along the seeded direction

  constexpr Dual() = default;
  constexpr Dual(T v) : value(v) {}
  constexpr Dual(T v, T d) : value(v), derivative(d) {}

  constexpr Dual& operator+=(const Dual& b) { return *this = *this + b; }
  constexpr Dual& operator-=(const Dual& b) { return *this = *this - b; }
  constexpr Dual& operator*=(const Dual& b) { return *this = *this * b; }
  constexpr Dual& operator/=(const Dual& b) { return *this = *this / b; }

  // (a + b)' = a' + b'
  friend constexpr Dual operator+(const Dual& a, const Dual& b) {
    return {a.value + b.value, a.derivative + b.derivative};
  }
  // (a - b)' = a' - b'
  friend constexpr Dual operator-(const Dual& a, const Dual& b) {
    return {a.value - b.value, a.derivative - b.derivative};
  }
  friend constexpr Dual operator-(const Dual& a) { return {-a.value, -a.derivative}; }
  // (a b)' = a' b + a b'
  friend constexpr Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
  }
  // (a / b)' = (a' - (a / b) b') / b
  friend constexpr Dual operator/(const Dual& a, const Dual& b) {
    const T quotient = a.value / b.value;
    return {quotient, (a.derivative - quotient * b.derivative) / b.value};
  }

  // exp(a)' = exp(a) a'
  friend Dual exp(const Dual& a) {
    using std::exp;
    const T e = exp(a.value);
    return {e, e * a.derivative};
  }
  // log(a)' = a' / a
  friend Dual log(const Dual& a) {
    using std::log;
    return {log(a.value), a.derivative / a.value};
  }
  // sqrt(a)' = a' / (2 sqrt(a))
  friend Dual sqrt(const Dual& a) {
    using std::sqrt;
    const T root = sqrt(a.value);
    return {root, a.derivative / (T(2) * root)};
  }
  // sin(a)' = cos(a) a'
  friend Dual sin(const Dual& a) {
    using std::cos, std::sin;
    return {sin(a.value), cos(a.value) * a.derivative};
  }
  // cos(a)' = -sin(a) a'
  friend Dual cos(const Dual& a) {
    using std::cos, std::sin;
    return {cos(a.value), -sin(a.value) * a.derivative};
  }
  // larger(a, b)' is the derivative of the larger one.
  friend Dual larger(const Dual& a, const Dual& b) { return a.value < b.value ? b : a; }
  // log(1 + exp(a))' = a' / (1 + exp(-a))
  friend Dual softplus(const Dual& a) { return {gdssm::softplus(a.value), logistic(a.value) * a.derivative}; }

  friend constexpr bool operator==(const Dual& a, const Dual& b) = default;
  friend std::ostream& operator<<(std::ostream& out, const Dual& a) {
    return out << a.value << " + " << a.derivative << " e";
  }
};

}  // namespace gdssm

namespace Eigen {

/// Lets Eigen hold and multiply matrices of dual numbers.
template <class T>
struct NumTraits<gdssm::Dual<T>> : GenericNumTraits<T> {
  using Real = gdssm::Dual<T>;
  using NonInteger = gdssm::Dual<T>;
  using Nested = gdssm::Dual<T>;
  using Literal = T;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 1,
    ReadCost = 2,
    AddCost = 2,
    MulCost = 5
  };
};

}  // namespace Eigen
