// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "gdssm/core/lanes.hpp"

// Elementary functions of all scalar types that run through a layer. For plain numbers they are the standard library's.
// For lanes of floats they are vector arithmetic alone. Dual numbers define their own, with derivatives.
namespace gdssm {

namespace detail {

/// sum_k c_k x^k of every element, c_0 first.
template <class Vector, class... Higher>
[[gnu::always_inline]] inline Vector polynomial(Vector x, float c, Higher... higher) {
  if constexpr (sizeof...(Higher) == 0)
    return Vector{} + c;
  else
    return fused_in_long_body(polynomial(x, higher...), x, Vector{} + c);
}

/// exp of every element, clamped to [-87.3, 88.3] first. With n the integer nearest to x / log 2 and r = x - n log 2,
/// |r| <= log(2) / 2, the result is 2^n times eight terms of the series of exp(r), to 7e-9.
template <class Vector>
[[gnu::always_inline]] inline Vector vector_exp(Vector x) {
  typedef std::int32_t Bits __attribute__((vector_size(sizeof(Vector))));
  constexpr float low = -87.3f, high = 88.3f, shift = 0x1.8p23f;  // adding the shift rounds to an integer
  x = x < Vector{} + low ? Vector{} + low : x;
  x = x > Vector{} + high ? Vector{} + high : x;
  const Vector shifted = fused_in_long_body(x, Vector{} + 1.4426950f, Vector{} + shift), n = shifted - shift;
  Vector r = fused_in_long_body(n, Vector{} - 0x1.62e4p-1f, x);  // log 2 to 14 bits, which makes the product exact
  r = fused_in_long_body(n, Vector{} - 1.4286068e-6f, r);
  const Vector p = polynomial(r, 1.0f, 1.0f, 1.0f / 2, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040);
  const Bits power = (std::bit_cast<Bits>(shifted) - std::bit_cast<std::int32_t>(shift) + 127) << 23;
  return p * std::bit_cast<Vector>(power);
}

/// log(1 + exp(x)) of every element: max(x, 0) + log(1 + e), e = exp(-|x|), by seven terms of the series of
/// log(1 + e) = 2 artanh(s), s = e / (2 + e) <= 1/3. The rest of the series is 2e-8.
template <class Vector>
[[gnu::always_inline]] inline Vector vector_softplus(Vector x) {
  const Vector e = vector_exp(x < Vector{} ? x : -x), s = e / (e + 2.0f);
  const Vector series = polynomial(s * s, 1.0f, 1.0f / 3, 1.0f / 5, 1.0f / 7, 1.0f / 9, 1.0f / 11, 1.0f / 13);
  return fused_in_long_body(s * 2.0f, series, x < Vector{} ? Vector{} : x);
}

/// Square root of every element >= 0, by four steps of Newton's iteration for 1 / sqrt(x), each of which doubles the
/// number of correct digits. Subnormal numbers are scaled first, since the starting value uses the exponent.
template <class Vector>
[[gnu::always_inline]] inline Vector vector_sqrt(Vector x) {
  typedef std::int32_t Bits __attribute__((vector_size(sizeof(Vector))));
  const auto tiny = x < Vector{} + 0x1p-100f;
  x = tiny ? x * 0x1p48f : x;
  auto y = std::bit_cast<Vector>(0x5F3759DF - (std::bit_cast<Bits>(x) >> 1));
  for (int i = 0; i < 4; ++i) y = y * fused_in_long_body(x * -0.5f * y, y, Vector{} + 1.5f);
  return tiny ? x * y * 0x1p-24f : x * y;
}

template <class T, Index Count, class OfNumber>
Lanes<T, Count> each_lane(const Lanes<T, Count>& x, OfNumber of_number) {
  Lanes<T, Count> out;
  for (Index i = 0; i < Count; ++i) out.set(i, of_number(x[i]));
  return out;
}

template <class T, Index Count, class OfVector, class OfNumber>
[[gnu::always_inline]] inline Lanes<T, Count> lane_by_lane(const Lanes<T, Count>& x, OfVector of_vector,
                                                           OfNumber of_number) {
  if constexpr (std::is_same_v<T, float>) {
    Lanes<T, Count> out;
    for (Index k = 0; k < out.vectors; ++k) out.vector(k) = of_vector(x.vector(k));
    return out;
  } else {
    return each_lane(x, of_number);
  }
}

}  // namespace detail

/// log(1 + exp(x)), positive, without overflow.        Derivative  `logistic`
template <class T>
requires std::is_floating_point_v<T> T softplus(T x) {
  return (x < 0 ? T(0) : x) + std::log1p(std::exp(x < 0 ? x : -x));
}

/// exp of every lane; for floats to 3 units in the last place, and clamped to between 1e-38 and 3e38.
template <class T, Index Count>
Lanes<T, Count> exp(const Lanes<T, Count>& x) {
  return detail::lane_by_lane(
      x, [](auto v) { return detail::vector_exp(v); }, [](T v) { return std::exp(v); });
}

/// `softplus` of every lane; for floats to 4 units in the last place, and at least 1e-38.
template <class T, Index Count>
Lanes<T, Count> softplus(const Lanes<T, Count>& x) {
  return detail::lane_by_lane(
      x, [](auto v) { return detail::vector_softplus(v); }, [](T v) { return softplus(v); });
}

/// Square root of every lane; for floats, which must be finite and at least 0, to 2 units in the last place.
template <class T, Index Count>
Lanes<T, Count> sqrt(const Lanes<T, Count>& x) {
  return detail::lane_by_lane(
      x, [](auto v) { return detail::vector_sqrt(v); }, [](T v) { return std::sqrt(v); });
}

/// log, sin and cos of every lane, each by the standard library's.
template <class T, Index Count>
Lanes<T, Count> log(const Lanes<T, Count>& x) {
  return detail::each_lane(x, [](T v) { return std::log(v); });
}
template <class T, Index Count>
Lanes<T, Count> sin(const Lanes<T, Count>& x) {
  return detail::each_lane(x, [](T v) { return std::sin(v); });
}
template <class T, Index Count>
Lanes<T, Count> cos(const Lanes<T, Count>& x) {
  return detail::each_lane(x, [](T v) { return std::cos(v); });
}

/// The larger of two numbers; for lanes, lane by lane.
template <class T>
T larger(const T& a, const T& b) {
  return a < b ? b : a;
}
template <class T, Index Count>
Lanes<T, Count> larger(const Lanes<T, Count>& a, const Lanes<T, Count>& b) {
  Lanes<T, Count> out;
  for (Index k = 0; k < out.vectors; ++k) out.vector(k) = a.vector(k) < b.vector(k) ? b.vector(k) : a.vector(k);
  return out;
}

/// 1 / (1 + exp(-x)); for lanes of floats to 3 units in the last place, and at least 4e-39.
/// Derivative  logistic(x) (1 - logistic(x))
template <class T>
T logistic(const T& x) {
  using std::exp;
  return T(1) / (T(1) + exp(-x));
}

namespace detail {

/// A constant as a T: a number, lanes, or another type that converts from a number.
template <class T>
T constant(double value) {
  if constexpr (std::is_floating_point_v<LaneScalar<T>>)
    return T(static_cast<LaneScalar<T>>(value));
  else if constexpr (requires { T::value; })
    return T(static_cast<decltype(T::value)>(value));
  else
    return T(value);
}

}  // namespace detail

/// x logistic(x).        Derivative  `silu_derivative`
/// Source  Hendrycks, Gimpel, arXiv:1606.08415
template <class T>
T silu(const T& x) {
  return x * logistic(x);
}
/// The derivative of `silu`.
template <class T>
T silu_derivative(const T& x) {
  const T l = logistic(x);
  return l + x * l * (T(1) - l);
}

/// The Gaussian error linear unit in its tanh form, x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), which is x times
/// the logistic function of twice tanh's argument.        Derivative  `gelu_derivative`
/// Source  Hendrycks, Gimpel, arXiv:1606.08415
template <class T>
T gelu(const T& x) {
  const T slope = detail::constant<T>(1.5957691216057308), cube = detail::constant<T>(0.071354816272600252);
  return x * logistic(x * (slope + cube * (x * x)));
}
/// The derivative of `gelu`.
template <class T>
T gelu_derivative(const T& x) {
  const T slope = detail::constant<T>(1.5957691216057308), cube = detail::constant<T>(0.071354816272600252);
  const T square = x * x;
  const T l = logistic(x * (slope + cube * square));
  return l + x * l * (T(1) - l) * (slope + T(3) * cube * square);
}

}  // namespace gdssm
