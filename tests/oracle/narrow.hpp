// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/core/elementary.hpp"

namespace gdssm::test {

/// A number of `Bits` significant bits, to which every operation is rounded: 8 are BF16's, 11 F16's and TF32's.
template <int Bits>
struct Narrow {
  double value = 0;

  Narrow() = default;
  Narrow(double exact) : value(rounded(exact)) {}
  explicit operator double() const { return value; }

  static double rounded(double x) {
    int exponent = 0;
    const double fraction = std::frexp(x, &exponent);
    return std::isfinite(x) ? std::ldexp(std::nearbyint(std::ldexp(fraction, Bits)), exponent - Bits) : x;
  }

  Narrow& operator+=(Narrow b) { return *this = *this + b; }
  Narrow& operator-=(Narrow b) { return *this = *this - b; }
  Narrow& operator*=(Narrow b) { return *this = *this * b; }
  Narrow& operator/=(Narrow b) { return *this = *this / b; }
  friend Narrow operator+(Narrow a, Narrow b) { return a.value + b.value; }
  friend Narrow operator-(Narrow a, Narrow b) { return a.value - b.value; }
  friend Narrow operator*(Narrow a, Narrow b) { return a.value * b.value; }
  friend Narrow operator/(Narrow a, Narrow b) { return a.value / b.value; }
  friend Narrow operator-(Narrow a) { return -a.value; }
  friend Narrow exp(Narrow a) { return std::exp(a.value); }
  friend Narrow log(Narrow a) { return std::log(a.value); }
  friend Narrow sqrt(Narrow a) { return std::sqrt(a.value); }
  friend Narrow sin(Narrow a) { return std::sin(a.value); }
  friend Narrow cos(Narrow a) { return std::cos(a.value); }
  friend Narrow larger(Narrow a, Narrow b) { return a.value < b.value ? b : a; }
  friend bool operator==(Narrow, Narrow) = default;
};

}  // namespace gdssm::test
