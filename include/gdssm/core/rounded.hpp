// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// A number and, to first order, the error that roundings before it leave in it, in units of the unit roundoff u of
/// whatever precision: running error analysis. An operation z = f(x, y) that is rounded with relative error |delta| <=
/// u turns errors e_x, e_y of its arguments into
///     e_z = f_x e_x + f_y e_y + s m,   |s| <= 1,   m = |z|                                             (45a)
/// where a sum has m = max(|x|, |y|, |z|), as another order of its terms makes other partial sums. Bounds of e_z by
/// |f_x| |e_x| + |f_y| |e_y| + m forget the signs, and double with every token that a delta rule contracts. So (45a) is
/// carried as it stands for `draws` random choices of all s in {-1, 1}, and for the choice that brings every result
/// nearer to zero: (45b) makes a bound of them. The choices are functions of the results' bits, so that the same
/// computation is rounded the same way, as it would be, and errors do not depend on what was computed before.
/// Source  Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002, section 3.3; random choices for
///         bounds: Higham, Mary, SIAM J. Sci. Comput. 41, 2019, A2815
struct Rounded {
  static constexpr std::size_t draws = 15;  ///< random choices
  static constexpr std::size_t chunk = 64;  ///< tokens along which implementations sum logarithms of decays

  double value = 0;                       ///< the result, computed in double
  std::array<double, draws + 1> error{};  ///< the errors; the last is that of rounding towards zero

  constexpr Rounded() = default;
  constexpr Rounded(double exact) : value(exact) {}  ///< a number without error

  /// One more rounding, by up to m u.
  Rounded& round(double m) {
    // The finaliser of SplitMix64 (Steele, Lea, Flood, 2014) on the bits of the result.
    auto bits = std::bit_cast<std::uint64_t>(value);
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
    bits ^= bits >> 31;
    const auto size = std::bit_cast<std::uint64_t>(m + underflow);
    for (std::size_t k = 0; k < draws; ++k) error[k] += std::bit_cast<double>(size | ((bits << k) & sign_bit));
    error[draws] -= std::copysign(m + underflow, value);
    return *this;
  }

  /// The root of the mean square of the random errors.
  double spread() const {
    double sum = 0;
    for (std::size_t k = 0; k < draws; ++k) sum += error[k] * error[k];
    return std::sqrt(sum / draws);
  }
  /// The error of rounding towards zero.
  double bias() const { return error[draws]; }

  Rounded& operator+=(const Rounded& b) { return *this = *this + b; }
  Rounded& operator-=(const Rounded& b) { return *this = *this - b; }
  Rounded& operator*=(const Rounded& b) { return *this = *this * b; }
  Rounded& operator/=(const Rounded& b) { return *this = *this / b; }

  friend Rounded operator+(const Rounded& a, const Rounded& b) {
    return combined(a.value + b.value, 1, a, 1, b).round_sum(a, b);
  }
  friend Rounded operator-(const Rounded& a, const Rounded& b) {
    return combined(a.value - b.value, 1, a, -1, b).round_sum(a, b);
  }
  friend Rounded operator-(const Rounded& a) { return a.through(-a.value, -1); }
  friend Rounded operator*(const Rounded& a, const Rounded& b) {
    const double z = a.value * b.value;
    return combined(z, b.value, a, a.value, b).round(std::abs(z));
  }
  /// Twice the error of a rounding, as fast divisions have.
  friend Rounded operator/(const Rounded& a, const Rounded& b) {
    const double z = a.value / b.value;
    return combined(z, 1 / b.value, a, -z / b.value, b).round(2 * std::abs(z));
  }

  /// With the error of x rounded, and of a fast exponential.
  friend Rounded exp(const Rounded& x) {
    const double z = std::exp(x.value);
    return x.through(z, z).round((2 + std::abs(x.value)) * z);
  }
  /// exp, with the error of an x that is the difference of two sums of up to `chunk` terms.
  friend Rounded decay_from_log(const Rounded& x) {
    const double z = std::exp(x.value);
    return x.through(z, z).round((2 + static_cast<double>(chunk) * std::abs(x.value)) * z);
  }
  friend Rounded log(const Rounded& x) {
    const double z = std::log(x.value);
    return x.through(z, 1 / x.value).round(2 * std::abs(z) + 1);
  }
  friend Rounded sqrt(const Rounded& x) {
    const double z = std::sqrt(x.value);
    return x.through(z, 1 / (2 * z)).round(2 * z);
  }
  /// With the error of x reduced to a quarter of a turn.
  friend Rounded sin(const Rounded& x) {
    return x.through(std::sin(x.value), std::cos(x.value)).round(2 + std::abs(x.value));
  }
  friend Rounded cos(const Rounded& x) {
    return x.through(std::cos(x.value), -std::sin(x.value)).round(2 + std::abs(x.value));
  }
  friend bool operator==(const Rounded& a, const Rounded& b) = default;
  friend Rounded larger(const Rounded& a, const Rounded& b) { return a.value < b.value ? b : a; }

 private:
  /// z with errors a_slope e_a + b_slope e_b.
  static Rounded combined(double z, double a_slope, const Rounded& a, double b_slope, const Rounded& b) {
    Rounded sum(z);
    for (std::size_t k = 0; k < sum.error.size(); ++k) sum.error[k] = a_slope * a.error[k] + b_slope * b.error[k];
    return sum;
  }
  Rounded through(double z, double slope) const {
    Rounded image(z);
    for (std::size_t k = 0; k < error.size(); ++k) image.error[k] = slope * error[k];
    return image;
  }

  /// A sum with zero is not rounded.
  Rounded& round_sum(const Rounded& a, const Rounded& b) {
    const double size = std::abs(value), a_size = std::abs(a.value), b_size = std::abs(b.value);
    if (a_size == 0 || b_size == 0) return *this;
    const double larger_term = a_size < b_size ? b_size : a_size;
    return round(size < larger_term ? larger_term : size);
  }

  static constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;
  static constexpr double underflow = 0x1p-102;  // the least normal float, in units of its u
};

}  // namespace gdssm
