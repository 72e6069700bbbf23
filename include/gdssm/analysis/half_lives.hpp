// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// The number of pairs after which half of a pair's share in the state is left, log(1/2) / log |L|. Infinite for
/// |L| >= 1, 0 for L = 0.
/// Source  docs/theory.md, closed form
inline double half_life(double decay) {
  const double size = std::abs(decay);
  if (!(size < 1)) return std::numeric_limits<double>::infinity();
  return size > 0 ? std::log(0.5) / std::log(size) : 0.0;
}

/// A summary of a layer's decays. Half-lives are in pairs.
struct HalfLives {
  double decay = 1;                              ///< mean of the decays
  bool equal = true;                             ///< whether all decays are one number
  double shortest = 0, median = 0, longest = 0;  ///< half-lives of single entries
};

/// The mean of the decays L, and the least, the median and the greatest of the half-lives log(1/2) / log |L_ij|. The
/// median of an even number of entries is the upper one.
/// Shapes  L (any)
/// Errors  std::invalid_argument: no decay
template <class Derived>
HalfLives half_lives(const Eigen::MatrixBase<Derived>& L) {
  if (L.size() < 1) refuse("half_lives", "there is no decay, expected at least one");
  std::vector<double> lives;
  for (Index j = 0; j < L.cols(); ++j)
    for (Index i = 0; i < L.rows(); ++i) lives.push_back(half_life(static_cast<double>(L(i, j))));
  std::sort(lives.begin(), lives.end());
  const auto least = static_cast<double>(L.minCoeff()), most = static_cast<double>(L.maxCoeff());
  const bool equal = most - least <= 1e-12 * (std::max)(std::abs(most), std::abs(least));
  return {equal ? most : static_cast<double>(L.mean()), equal, lives.front(), lives[lives.size() / 2], lives.back()};
}

}  // namespace gdssm
