// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <type_traits>

#include "gdssm/core/view.hpp"

namespace gdssm {

/// a b + c with one rounding where the processor has such an instruction, else with two: the only way in which kernels
/// add a product. Left to the compiler's own contraction, two kernels of the same formula may differ in their last bit.
template <class T>
constexpr T multiply_add(const T& a, const T& b, const T& c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  if constexpr (std::is_same_v<T, float>) return __builtin_fmaf(a, b, c);
  if constexpr (std::is_same_v<T, double>) return __builtin_fma(a, b, c);
#endif
  return a * b + c;
}

/// a where the mask is not zero, else b.
template <class T>
constexpr T select(const T& mask, const T& a, const T& b) {
  return mask != T(0) ? a : b;
}

namespace detail {

#if defined(__AVX512F__)
inline constexpr std::size_t native_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t native_bytes = 32;
#else
inline constexpr std::size_t native_bytes = 16;
#endif

/// `multiply_add` of every element of a vector of numbers, or of one number.
template <class Vector>
Vector fused(Vector a, Vector b, Vector c) {
  if constexpr (std::is_floating_point_v<Vector>) {
    return multiply_add(a, b, c);
  } else {
#if defined(__clang__)
    // Without the pragma the last bit would hang on the including program's -ffp-contract.
#pragma clang fp contract(on)
    return a * b + c;
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    Vector out;
    for (std::size_t i = 0; i < sizeof(Vector) / sizeof(a[0]); ++i) out[i] = multiply_add(a[i], b[i], c[i]);
    return out;
#else
    return a * b + c;
#endif
  }
}

}  // namespace detail

/// `Count` numbers that take the place of one: a scalar type whose every operation acts lane by lane, so that a layer
/// written for one task runs `Count` tasks at once. An array of the processor's own vectors, which keeps its
/// alignment at what the processor has. A plain T converts to lanes that all hold it.
/// Source  the layout "one task a lane" is this library's; the operations are the compilers' vector extensions.
template <class T, Index Count = static_cast<Index>(64 / sizeof(T))>
class Lanes {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "Lanes: the scalar must be float or double");
  static_assert(Count > 0 && Count % static_cast<Index>(detail::native_bytes / sizeof(T)) == 0,
                "Lanes: the count must be a multiple of what one vector register holds");

  static constexpr Index native = static_cast<Index>(detail::native_bytes / sizeof(T));

 public:
  using Scalar = T;
  static constexpr Index count = Count;

  /// One of the processor's vectors, and how many of them hold the lanes.
  typedef T Vector __attribute__((vector_size(detail::native_bytes)));
  static constexpr Index vectors = Count / native;

  Lanes() = default;
  Lanes(T value) {
    for (Index k = 0; k < vectors; ++k) v_[k] = value - Vector{};
  }

  T operator[](Index lane) const { return v_[lane / native][lane % native]; }
  void set(Index lane, T value) { v_[lane / native][lane % native] = value; }

  /// Vector k, which holds lanes k Count / vectors and those after it.
  Vector& vector(Index k) { return v_[k]; }
  const Vector& vector(Index k) const { return v_[k]; }

  Lanes& operator+=(const Lanes& b) { return *this = *this + b; }
  Lanes& operator-=(const Lanes& b) { return *this = *this - b; }
  Lanes& operator*=(const Lanes& b) { return *this = *this * b; }

  friend Lanes operator+(const Lanes& a, const Lanes& b) {
    return map([](Vector x, Vector y) { return x + y; }, a, b);
  }
  friend Lanes operator-(const Lanes& a, const Lanes& b) {
    return map([](Vector x, Vector y) { return x - y; }, a, b);
  }
  friend Lanes operator*(const Lanes& a, const Lanes& b) {
    return map([](Vector x, Vector y) { return x * y; }, a, b);
  }
  friend Lanes operator/(const Lanes& a, const Lanes& b) {
    return map([](Vector x, Vector y) { return x / y; }, a, b);
  }
  friend Lanes operator-(const Lanes& a) {
    return map([](Vector x) { return -x; }, a);
  }

  /// True when every lane of a equals that of b.
  friend bool operator==(const Lanes& a, const Lanes& b) {
    for (Index i = 0; i < Count; ++i)
      if (a[i] != b[i]) return false;
    return true;
  }

  friend Lanes multiply_add(const Lanes& a, const Lanes& b, const Lanes& c) {
    Lanes out;
    for (Index k = 0; k < vectors; ++k) out.v_[k] = detail::fused(a.v_[k], b.v_[k], c.v_[k]);
    return out;
  }

  friend Lanes select(const Lanes& mask, const Lanes& a, const Lanes& b) {
    return map([](Vector m, Vector x, Vector y) -> Vector { return m != Vector{} ? x : y; }, mask, a, b);
  }

 private:
  template <class Operation, class... Operand>
  static Lanes map(Operation operation, const Operand&... operand) {
    Lanes out;
    for (Index k = 0; k < vectors; ++k) out.v_[k] = operation(operand.v_[k]...);
    return out;
  }

  Vector v_[vectors];
};

namespace detail {

template <class S>
struct LaneTraits {
  using Scalar = S;
  static constexpr Index count = 1;
};
template <class T, Index Count>
struct LaneTraits<Lanes<T, Count>> {
  using Scalar = T;
  static constexpr Index count = Count;
};

}  // namespace detail

/// How many tasks a scalar carries: `Count` for `Lanes<T, Count>`, 1 for every other type.
template <class S>
inline constexpr Index lane_count = detail::LaneTraits<S>::count;

/// The type of one lane: T for `Lanes<T, Count>`, S itself for every other type.
template <class S>
using LaneScalar = typename detail::LaneTraits<S>::Scalar;

/// Lane i of a value; of a plain scalar, the scalar.
template <class S>
LaneScalar<S> lane(const S& value, [[maybe_unused]] Index i) {
  if constexpr (lane_count<S> == 1)
    return value;
  else
    return value[i];
}

/// Sets lane i; of a plain scalar, the scalar.
template <class S>
void set_lane(S& value, [[maybe_unused]] Index i, const LaneScalar<S>& to) {
  if constexpr (lane_count<S> == 1)
    value = to;
  else
    value.set(i, to);
}

/// Sum of all lanes, first to last: one fixed order, so the same bits every time.
template <class S>
LaneScalar<S> sum_lanes(const S& value) {
  LaneScalar<S> sum = lane(value, 0);
  for (Index i = 1; i < lane_count<S>; ++i) sum += lane(value, i);
  return sum;
}

}  // namespace gdssm
