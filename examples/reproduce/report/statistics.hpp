// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "gdssm/analysis/sample.hpp"
#include "gdssm/core/error.hpp"
#include "reproduce/report/table.hpp"

namespace gdssm::reproduce {

/// A share as a percentage of two digits, or to the unit from a hundred on.
inline std::string percent_number(double share) { return rounded(100 * share, std::abs(share) < 0.995 ? 2 : 3); }
inline std::string percent(double share) { return percent_number(share) + " %"; }

/// A mean with its standard error, of one digit: 0.2062 ± 0.0004.
inline std::string with_error(double mean, double standard_error, int digits = 5) {
  return rounded(mean, digits) + " ± " + rounded(standard_error, 1);
}

/// Mean, least and most of a number that every seed has.
struct Spread {
  double mean, least, most;

  /// "0.2062 (0.2061 to 0.2063)", the mean alone where there is no spread.
  std::string text(int digits = 4) const {
    return least == most ? rounded(mean, digits)
                         : rounded(mean, digits) + " (" + rounded(least, digits) + " to " + rounded(most, digits) + ")";
  }
  std::string percent_text() const {
    return least == most ? percent(mean)
                         : percent(mean) + " (" + percent_number(least) + " to " + percent_number(most) + ")";
  }
};

/// The spread of of(seed) over a list that isn't empty.
template <class Seed, class Of>
Spread spread_over(const std::vector<Seed>& seeds, const Of& of) {
  Spread spread{0, of(seeds.front()), of(seeds.front())};
  for (const Seed& seed : seeds) {
    const double value = of(seed);
    spread.mean += value / static_cast<double>(seeds.size());
    spread.least = std::min(spread.least, value);
    spread.most = std::max(spread.most, value);
  }
  return spread;
}
inline Spread spread_over(const std::vector<double>& values) {
  return spread_over(values, [](double value) { return value; });
}

/// A number and its standard error.
struct Estimate {
  double value, standard_error;

  std::string text(int digits = 4) const { return with_error(value, standard_error, digits); }
  /// As a percentage: "0.12 ± 0.03 %".
  std::string percent_text() const { return percent_number(value) + " ± " + rounded(100 * standard_error, 1) + " %"; }
};

/// The mean of losses task by task.
inline Estimate mean_of(const std::vector<double>& losses) {
  Sample sample;
  for (const double loss : losses) sample.add(loss);
  return {sample.mean(), sample.standard_error()};
}

/// The mean over seeds of of(seed), with its standard error, which a single seed has none of: 0.
template <class Seed, class Of>
Estimate estimate_over(const std::vector<Seed>& seeds, const Of& of) {
  Sample sample;
  for (const Seed& seed : seeds) sample.add(of(seed));
  return {sample.mean(), seeds.size() > 1 ? sample.standard_error() : 0};
}

/// How far the mean of some losses is above that of others on the same tasks: r - 1, r the ratio of the means. The
/// tasks' own difficulty cancels: to first order r's error is that of the mean of loss - r other, over the other mean.
/// Errors  std::invalid_argument: lists of different lengths
inline Estimate excess(const std::vector<double>& losses, const std::vector<double>& others) {
  expect_equal("excess", "the number of losses", losses.size(), others.size());
  const double other = mean_of(others).value, ratio = mean_of(losses).value / other;
  Sample apart;
  for (std::size_t i = 0; i < losses.size(); ++i) apart.add(losses[i] - ratio * others[i]);
  return {ratio - 1, apart.standard_error() / other};
}

}  // namespace gdssm::reproduce
