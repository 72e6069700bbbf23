// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/view.hpp"

namespace gdssm::reproduce {

/// Where a search ended.
struct Found {
  Eigen::VectorXd at;
  double value;
};

/// A low point of a function of a few numbers, by the simplex of Nelder and Mead: from `start` and one point more for
/// each number, `width` away from it, until values at the corners differ by a part of 1e-4, or after so many values.
/// Values that are not finite count as the highest.
/// Source  Nelder, Mead, The Computer Journal 7, 1965
inline Found simplex_search(const std::function<double(const Eigen::VectorXd&)>& function, const Eigen::VectorXd& start,
                            double width, Index most_values) {
  Index values = 0;
  const auto at = [&](Eigen::VectorXd point) {
    const double value = function(point);
    ++values;
    return Found{std::move(point), std::isfinite(value) ? value : std::numeric_limits<double>::max()};
  };
  const Index n = start.size();
  std::vector<Found> corners{at(start)};
  for (Index k = 0; k < n; ++k) {
    Eigen::VectorXd moved = start;
    moved[k] += width;
    corners.push_back(at(std::move(moved)));
  }
  const auto lower = [](const Found& a, const Found& b) { return a.value < b.value; };
  std::stable_sort(corners.begin(), corners.end(), lower);
  while (n > 0 && values < most_values && corners.back().value - corners.front().value > 1e-4 * corners.front().value) {
    Found& worst = corners.back();
    Eigen::VectorXd centre = Eigen::VectorXd::Zero(n);
    for (Index k = 0; k < n; ++k) centre += corners[static_cast<std::size_t>(k)].at / static_cast<double>(n);
    const auto beyond = [&](double times) { return at(centre + times * (centre - worst.at)); };
    Found next = beyond(1);
    if (next.value < corners.front().value) {
      if (Found farther = beyond(2); lower(farther, next)) next = std::move(farther);
    } else if (next.value >= corners[static_cast<std::size_t>(n - 1)].value) {
      next = beyond(next.value < worst.value ? 0.5 : -0.5);
    }
    if (lower(next, worst))
      worst = std::move(next);
    else
      for (std::size_t k = 1; k < corners.size(); ++k) corners[k] = at((corners[0].at + corners[k].at) / 2);
    std::stable_sort(corners.begin(), corners.end(), lower);
  }
  return corners.front();
}

}  // namespace gdssm::reproduce
