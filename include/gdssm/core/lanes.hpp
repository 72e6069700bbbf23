// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "gdssm/core/view.hpp"

namespace gdssm {

/// a b + c with one rounding where the processor has such an instruction, else with two. Kernels add products only by
/// it: left to the compiler's own contraction, kernels of one formula could differ.
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

/// `multiply_add` of every element of a vector of numbers, or of one number. For g++ on x86 each is the instruction
/// itself: a loop over the elements becomes one only where g++ would choose vectors so long by itself, which for many
/// processors with AVX-512 it does not, nor in bodies of more than a thousand statements.
template <class Vector>
[[gnu::always_inline]] inline Vector fused(Vector a, Vector b, Vector c) {
  if constexpr (std::is_floating_point_v<Vector>) {
    return multiply_add(a, b, c);
  } else {
#if defined(__clang__)
    // Without the pragma the last bit would depend on the including program's -ffp-contract.
#pragma clang fp contract(on)
    return a * b + c;
#elif defined(__FMA__)
    constexpr bool is_float = sizeof(a[0]) == 4;
#if defined(__AVX512F__)
    constexpr int as_it_is = 4;  // the rounding that is set
    if constexpr (sizeof(Vector) == 64 && is_float) return __builtin_ia32_vfmaddps512_mask(a, b, c, -1, as_it_is);
    if constexpr (sizeof(Vector) == 64 && !is_float) return __builtin_ia32_vfmaddpd512_mask(a, b, c, -1, as_it_is);
#endif
    if constexpr (sizeof(Vector) == 32 && is_float) return __builtin_ia32_vfmaddps256(a, b, c);
    if constexpr (sizeof(Vector) == 32 && !is_float) return __builtin_ia32_vfmaddpd256(a, b, c);
    if constexpr (sizeof(Vector) == 16 && is_float) return __builtin_ia32_vfmaddps(a, b, c);
    if constexpr (sizeof(Vector) == 16 && !is_float) return __builtin_ia32_vfmaddpd(a, b, c);
#elif defined(__ARM_FEATURE_FMA)
    Vector out;
#pragma GCC unroll 16
    for (std::size_t i = 0; i < sizeof(Vector) / sizeof(a[0]); ++i) out[i] = multiply_add(a[i], b[i], c[i]);
    return out;
#else
    return a * b + c;
#endif
  }
}

/// The same for long bodies. Where `fused` is a loop, g++ 12 unrolls it before it vectorises, and then does not
/// vectorise bodies of more than a thousand statements. Told not to unroll, it makes the loop one instruction.
template <class Vector>
[[gnu::always_inline]] inline Vector fused_in_long_body(Vector a, Vector b, Vector c) {
#if defined(__GNUC__) && !defined(__clang__) && !defined(__FMA__) && defined(__ARM_FEATURE_FMA)
  if constexpr (!std::is_floating_point_v<Vector>) {
    Vector out;
#pragma GCC unroll 1
    for (std::size_t i = 0; i < sizeof(Vector) / sizeof(a[0]); ++i) out[i] = multiply_add(a[i], b[i], c[i]);
    return out;
  }
#endif
  return fused(a, b, c);
}

/// Sum of a vector's elements: adds element i and element i + n / 2, halving n until one is left.
template <std::size_t N, class Vector>
auto sum_elements(Vector v) {
  if constexpr (N == 1) {
    return v[0];
  } else {
    const Vector folded = [&]<std::size_t... i>(std::index_sequence<i...>) {
      return v + __builtin_shufflevector(v, v, ((i + N / 2) % (sizeof(Vector) / sizeof(v[0])))...);
    }
    (std::make_index_sequence<sizeof(Vector) / sizeof(v[0])>());
    return sum_elements<N / 2>(folded);
  }
}

/// The source of element e of a folded vector, in two vectors of n elements side by side. Each of these holds the
/// partial sums of `count` / 2 vectors in blocks, of which the lower or the upper half is taken.
constexpr int fold_source(std::size_t e, std::size_t n, std::size_t count, std::size_t upper) {
  const std::size_t half = n / count, k = e / half, first = k < count / 2 ? 0 : n;
  return static_cast<int>(first + k % (count / 2) * 2 * half + upper * half + e % half);
}

/// The sums of the elements of `Count` vectors, each in the order of `sum_elements`; sum k is element k n / Count of
/// the result. `Count` is a power of two up to the number of elements. Folds two vectors into one at a time, with a
/// fraction of the instructions of separate sums.
template <std::size_t Count, class Vector>
[[gnu::always_inline]] inline Vector sums_of_elements(const Vector* v) {
  constexpr std::size_t n = sizeof(Vector) / sizeof(v[0][0]);
  if constexpr (Count == 1) {
    return v[0];
  } else {
    const Vector a = sums_of_elements<Count / 2>(v), b = sums_of_elements<Count / 2>(v + Count / 2);
    return [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
      return __builtin_shufflevector(a, b, fold_source(i, n, Count, 0)...) +
             __builtin_shufflevector(a, b, fold_source(i, n, Count, 1)...);
    }
    (std::make_index_sequence<n>());
  }
}

}  // namespace detail

/// `Count` numbers in place of one: a scalar type whose operations act lane by lane, so that a layer written for one
/// task runs `Count` tasks at once. Stored as an array of the processor's own vectors (by default one), with their
/// alignment. A plain T converts to lanes that all hold it.
/// Source  the layout "one task a lane" is this library's; the operations are the compilers' vector extensions.
template <class T, Index Count = static_cast<Index>(detail::native_bytes / sizeof(T))>
class Lanes {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "Lanes: the scalar must be float or double");
  static_assert(Count > 0 && Count % static_cast<Index>(detail::native_bytes / sizeof(T)) == 0,
                "Lanes: the count must be a multiple of what one vector register holds");

  static constexpr Index native = static_cast<Index>(detail::native_bytes / sizeof(T));

 public:
  using Scalar = T;
  static constexpr Index count = Count;  ///< lanes

  /// One of the processor's vectors.
  typedef T Vector __attribute__((vector_size(detail::native_bytes)));
  static constexpr Index vectors = Count / native;  ///< the number of vectors that hold the lanes

  Lanes() = default;
  Lanes(T value) {
    for (Index k = 0; k < vectors; ++k) v_[k] = value - Vector{};
  }

  T operator[](Index lane) const { return v_[lane / native][lane % native]; }  ///< one lane
  void set(Index lane, T value) { v_[lane / native][lane % native] = value; }  ///< sets one lane

  /// Vector k, which holds the native count of lanes from lane k Count / vectors on.
  Vector& vector(Index k) { return v_[k]; }
  const Vector& vector(Index k) const { return v_[k]; }  ///< native vector k

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

  [[gnu::always_inline]] friend Lanes multiply_add(const Lanes& a, const Lanes& b, const Lanes& c) {
    Lanes out;
    for (Index k = 0; k < vectors; ++k) out.v_[k] = detail::fused(a.v_[k], b.v_[k], c.v_[k]);
    return out;
  }

  /// a in the lanes where the mask is not zero, else b.
  friend Lanes select(const Lanes& mask, const Lanes& a, const Lanes& b) {
    return map([](Vector m, Vector x, Vector y) -> Vector { return m != Vector{} ? x : y; }, mask, a, b);
  }

 private:
  template <class Operation, class... Operand>
  [[gnu::always_inline]] static Lanes map(Operation operation, const Operand&... operand) {
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

/// The number of tasks in a scalar: `Count` for `Lanes<T, Count>`, 1 for every other type.
template <class S>
inline constexpr Index lane_count = detail::LaneTraits<S>::count;

/// The type of one lane: T for `Lanes<T, Count>`, S itself for every other type.
template <class S>
using LaneScalar = typename detail::LaneTraits<S>::Scalar;

/// Lane i of a value; for a plain scalar, the scalar itself.
template <class S>
LaneScalar<S> lane(const S& value, [[maybe_unused]] Index i) {
  if constexpr (lane_count<S> == 1)
    return value;
  else
    return value[i];
}

/// Sets lane i; for a plain scalar, the scalar itself.
template <class S>
void set_lane(S& value, [[maybe_unused]] Index i, const LaneScalar<S>& to) {
  if constexpr (lane_count<S> == 1)
    value = to;
  else
    value.set(i, to);
}

/// Sum of all lanes, always in the same order: vector by vector, then element i and element i + n / 2, halving n.
template <class S>
LaneScalar<S> sum_lanes(const S& value) {
  if constexpr (lane_count<S> == 1) {
    return value;
  } else {
    auto sum = value.vector(0);
    for (Index k = 1; k < S::vectors; ++k) sum = sum + value.vector(k);
    return detail::sum_elements<sizeof(sum) / sizeof(sum[0])>(sum);
  }
}

/// The lane sums of n values, each of which is the sum of `count` parts. Adds the parts in order, then the lanes with
/// the same bits as `sum_lanes`.
template <class S>
void sum_lanes(const S* const* parts, Index count, Index n, LaneScalar<S>* sums) {
  if constexpr (lane_count<S> == 1) {
    for (Index i = 0; i < n; ++i) {
      sums[i] = parts[0][i];
      for (Index p = 1; p < count; ++p) sums[i] += parts[p][i];
    }
  } else {
    using Vector = typename S::Vector;
    constexpr Index many = lane_count<S> / S::vectors;
    for (Index first = 0; first < n; first += many) {
      const Index block = n - first < many ? n - first : many;
      Vector folded[many] = {};
      for (Index k = 0; k < block; ++k)
        for (Index l = 0; l < S::vectors; ++l) {
          Vector sum = parts[0][first + k].vector(l);
          for (Index p = 1; p < count; ++p) sum = sum + parts[p][first + k].vector(l);
          folded[k] = l == 0 ? sum : folded[k] + sum;
        }
      const Vector all = detail::sums_of_elements<static_cast<std::size_t>(many)>(folded);
      for (Index k = 0; k < block; ++k) sums[first + k] = all[k];
    }
  }
}

}  // namespace gdssm
