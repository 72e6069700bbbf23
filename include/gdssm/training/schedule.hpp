// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <numbers>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// A constant learning rate: the factor is 1 at every update.
struct ConstantRate {
  double operator()(Index) const { return 1; }
};

/// A linear rise from 0 over `warm_up` updates, then half a cosine down to `floor` at update `updates`:
///     n / warm_up,   then   floor + (1 - floor) (1 + cos(pi (n - warm_up) / (updates - warm_up))) / 2
/// for update n = 1, 2, ..., and `floor` after update `updates`.
struct WarmUpCosine {
  Index warm_up;     ///< updates until the full rate
  Index updates;     ///< updates until the floor
  double floor = 0;  ///< the last factor

  /// Errors  std::invalid_argument: a warm-up that is negative or not shorter than the run, a floor outside [0, 1]
  double operator()(Index n) const {
    if (warm_up < 0 || updates <= warm_up || !(floor >= 0 && floor <= 1))
      refuse("WarmUpCosine", "warm-up, updates and floor are ", warm_up, ", ", updates, " and ", floor,
             ", expected 0 <= warm-up < updates and 0 <= floor <= 1");
    if (n < warm_up) return static_cast<double>(n) / static_cast<double>(warm_up);
    if (n >= updates) return floor;
    const double way = static_cast<double>(n - warm_up) / static_cast<double>(updates - warm_up);
    return floor + (1 - floor) * (1 + std::cos(std::numbers::pi * way)) / 2;
  }
};

}  // namespace gdssm
