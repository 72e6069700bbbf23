// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include "gdssm/core/lanes.hpp"

namespace gdssm {

/// A complex number of any scalar type, including lanes; kernels treat it as a number. The cotangent of z is held as
/// z_bar = dl/d(re) - i dl/d(im), twice Wirtinger's derivative of the real loss l by z. Then w = a z pulls back as
/// z_bar += a w_bar, without conjugation, and a kernel's VJP for real numbers is also right for complex ones.
template <class T>
struct Complex {
  T re{}, im{};  ///< real and imaginary part

  constexpr Complex() = default;
  constexpr Complex(T real, T imaginary) : re(real), im(imaginary) {}
  constexpr explicit Complex(T real) : re(real), im(T(0)) {}
  /// The same number in another scalar type, for instance a coefficient spread over lanes.
  template <class U>
  requires(!std::is_same_v<U, T>) constexpr explicit(false) Complex(const Complex<U>& z) : re(z.re), im(z.im) {}

  constexpr Complex& operator+=(const Complex& b) { return *this = *this + b; }

  friend constexpr Complex operator+(const Complex& a, const Complex& b) { return {a.re + b.re, a.im + b.im}; }
  friend constexpr Complex operator-(const Complex& a, const Complex& b) { return {a.re - b.re, a.im - b.im}; }
  friend constexpr Complex operator-(const Complex& a) { return {-a.re, -a.im}; }
  friend constexpr Complex operator*(const Complex& a, const Complex& b) { return multiply_add(a, b, {T(0), T(0)}); }
  /// Source  the definition, a conj(b) / |b|^2; does not guard against |b|^2 overflowing
  friend constexpr Complex operator/(const Complex& a, const Complex& b) {
    const T square = b.re * b.re + b.im * b.im;
    return {(a.re * b.re + a.im * b.im) / square, (a.im * b.re - a.re * b.im) / square};
  }
  friend bool operator==(const Complex& a, const Complex& b) = default;

  friend constexpr Complex multiply_add(const Complex& a, const Complex& b, const Complex& c) {
    using gdssm::multiply_add;
    return {multiply_add(a.re, b.re, multiply_add(T(-a.im), b.im, c.re)),
            multiply_add(a.re, b.im, multiply_add(a.im, b.re, c.im))};
  }

  /// a where the mask is set, else b.
  friend constexpr Complex select(const T& mask, const Complex& a, const Complex& b) {
    using gdssm::select;
    return {select(mask, a.re, b.re), select(mask, a.im, b.im)};
  }

  friend Complex exp(const Complex& a) {
    using std::cos, std::exp, std::sin;
    const T size = exp(a.re);
    return {size * cos(a.im), size * sin(a.im)};
  }
};

}  // namespace gdssm
