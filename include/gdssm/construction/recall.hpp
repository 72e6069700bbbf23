// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

// What one layer with stride 1 remembers of a sequence of tokens, (60), when tokens are independent and uniform on the
// unit sphere: scores, accuracy and capacity of the additive rule, and of the delta rule. With orthonormal tokens both
// are exact, and keys that come again are answered as (77) says.
namespace gdssm {

namespace detail {

inline void expect_recall(const char* where, Index features, Index others) {
  if (features < 2 || others < 0)
    refuse(where, "there are ", features, " features and ", others, " other pairs, expected at least 2 and 0");
}

}  // namespace detail

/// Variances of the scores <token, r> of an answer r = sum_i y_i <x_i, q> to a key q that was written once, with value
/// v, beside N other pairs of distinct tokens; a pair that was written m times counts as m^2.              (73)
struct RecallScores {
  double right;         ///< of v, whose mean is 1: N / f^2
  double unseen;        ///< of a token that did not occur, whose mean is 0: 1 / f + N / f^2
  double other_value;   ///< of another value, whose mean is 0 unless it stands before the key: 2 / f + (N - 1) / f^2
  double interference;  ///< E |r - v|^2 = N / f
};

/// The scores' variances beside N others. Right behind a context of P pairs k_1 v_1 ... k_P v_P, which the layer (60)
/// reads as pairs v_i k_(i+1) as well, N = 2 (P - 1).
/// Errors  std::invalid_argument: fewer than 2 features, a negative number of others
inline RecallScores recall_scores(Index features, Index others) {
  detail::expect_recall("recall_scores", features, others);
  const auto f = static_cast<double>(features), N = static_cast<double>(others);
  return {N / (f * f), 1 / f + N / (f * f), 2 / f + (N - 1) / (f * f), N / f};
}

/// The law of a coordinate of a uniform unit vector of R^f, F(x) = P(coordinate <= x). With x = sin(theta) it is
/// J_(f-2), where J_n is the integral of cos^n from -pi/2 to theta as a share of the whole, and
///     J_n = J_(n-2) + cos^(n-1) theta sin theta / (n W_n),   W_n = W_(n-2) (n - 1) / n, of which W_0 = pi, W_1 = 2
/// Errors  std::invalid_argument: fewer than 2 features
inline double unit_coordinate_law(Index features, double x) {
  detail::expect_recall("unit_coordinate_law", features, 0);
  if (!(x > -1)) return 0;
  if (x >= 1) return 1;
  constexpr double pi = 3.14159265358979323846;
  const double cosine = std::sqrt((1 - x) * (1 + x));
  Index n = (features - 2) % 2;
  double share = n == 0 ? 0.5 + std::asin(x) / pi : (1 + x) / 2, whole = n == 0 ? pi : 2;
  double power = n == 0 ? cosine : cosine * cosine;  // cos^(n + 1)
  for (n += 2; n <= features - 2; n += 2) {
    const auto exponent = static_cast<double>(n);
    whole *= (exponent - 1) / exponent;
    share += power * x / (exponent * whole);
    power *= cosine * cosine;
  }
  return (std::min)((std::max)(share, 0.0), 1.0);
}

/// The probability that the right value has the largest score among `values` values, `pairs` of which occurred: with
/// a = 1 + sqrt(N) z / f, z standard normal, and rho^2 = a^2 + N (f - 1) / f^2, about
///     E_z F(a / rho)^(V - P) F(a / sqrt(rho^2 + 1))^(P - 1)                                               (74)
/// too low by less than 0.8 / f, as sampled. An integral by the trapezoidal rule on [-9, 9].
///     `others`  N of `recall_scores`
/// Errors  std::invalid_argument: fewer than 2 features, negative others, pairs not in 1, ..., values
inline double recall_accuracy(Index features, Index others, Index pairs, Index values) {
  detail::expect_recall("recall_accuracy", features, others);
  if (pairs < 1 || pairs > values)
    refuse("recall_accuracy", "there are ", pairs, " pairs and ", values, " values, expected 1 to ", values, " pairs");
  const auto f = static_cast<double>(features), N = static_cast<double>(others);
  constexpr double step = 1 / 32.0, end = 9;
  double sum = 0, weights = 0;
  for (double z = -end; z <= end; z += step) {
    const double weight = std::exp(-z * z / 2), a = 1 + std::sqrt(N) / f * z;
    const double rho = std::sqrt(a * a + N * (f - 1) / (f * f)), seen = std::sqrt(rho * rho + 1);
    weights += weight;
    sum += weight *
           std::pow(unit_coordinate_law(features, rho > 0 ? a / rho : 0), static_cast<double>(values - pairs)) *
           std::pow(unit_coordinate_law(features, a / seen), static_cast<double>(pairs - 1));
  }
  return sum / weights;
}

/// The number of other pairs up to which the right value roughly stays ahead of V: (75)
///     N < f^2 / (2 log V) - f, or 0
/// Errors  std::invalid_argument: fewer than 2 features or values
inline double recall_capacity(Index features, Index values) {
  detail::expect_recall("recall_capacity", features, 0);
  if (values < 2) refuse("recall_capacity", "there are ", values, " values, expected at least 2");
  const auto f = static_cast<double>(features);
  return (std::max)(0.0, f * f / (2 * std::log(static_cast<double>(values))) - f);
}

/// Scores of a key that the delta rule with rate 1 wrote some pairs ago.
struct DeltaRuleScores {
  double right;   ///< mean of the right value's: (1 - 1/f)^age
  double unseen;  ///< variance of a token's that did not occur, at most 1/f
};

/// Mean and variance of scores after `age` pairs of fresh tokens, when `before` pairs had been written before the pair.
/// With s the variance and w = E |S^T e|^2 for a token e that did not occur, which starts from 0,
///     s <- s (1 - 2/f) + (w + 2 s) / (f (f + 2)) + 1/f^2,   w <- w (1 - 1/f) + 1/f                        (76)
/// and s = 1/f behind the pair itself.
/// Errors  std::invalid_argument: fewer than 2 features, negative numbers of pairs
inline DeltaRuleScores delta_rule_scores(Index features, Index age, Index before) {
  detail::expect_recall("delta_rule_scores", features, (std::min)(age, before));
  const auto f = static_cast<double>(features);
  double right = 1, s = 1 / f, w = 1 - std::pow(1 - 1 / f, static_cast<double>(before + 1));
  for (Index m = 0; m < age; ++m) {
    right *= 1 - 1 / f;
    s = s * (1 - 2 / f) + (w + 2 * s) / (f * (f + 2)) + 1 / (f * f);
    w = w * (1 - 1 / f) + 1 / f;
  }
  return {right, s};
}

/// The number of last pairs that the delta rule with rate 1 roughly holds among V values, f/2 log(f / (2 log V)), or 0.
/// Errors  std::invalid_argument: fewer than 2 features or values
inline double delta_rule_capacity(Index features, Index values) {
  detail::expect_recall("delta_rule_capacity", features, 0);
  if (values < 2) refuse("delta_rule_capacity", "there are ", values, " values, expected at least 2");
  const auto f = static_cast<double>(features);
  return (std::max)(0.0, f / 2 * std::log(f / (2 * std::log(static_cast<double>(values)))));
}

}  // namespace gdssm
