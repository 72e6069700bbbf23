// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// Which coordinates of a prediction count, and how they are compared with the target. See `targets()` of tasks.
struct Targets {
  /// The mean of 1/2 |yhat - y|^2 over the coordinates that count, or the cross-entropy (13a) of logits yhat.
  enum class Loss { squared_error, cross_entropy };

  Loss loss = Loss::squared_error;  ///< how predictions are compared with targets
  Index count = 0;  ///< the number of coordinates that count, from the last (logits: from the first); 0: all

  friend bool operator==(const Targets&, const Targets&) = default;

  /// The number of coordinates that count, out of m.
  /// Errors  std::invalid_argument, beginning with `where`: m below `count`
  Index counted(Index m, const char* where = "Targets") const {
    if (count > m || count < 0) refuse(where, "predictions have ", m, " coordinates, expected at least ", count);
    return count == 0 ? m : count;
  }
};

/// Every coordinate of a prediction counts.
struct VectorTargets {
  /// The same as a `Targets` value.
  constexpr explicit(false) operator Targets() const { return {}; }
};

/// Only the last coordinate of a prediction counts. A scalar target is the last coordinate of its token.
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
struct ScalarTargets {
  /// The same as a `Targets` value.
  constexpr explicit(false) operator Targets() const { return {Targets::Loss::squared_error, 1}; }
};

/// The first `Classes` coordinates of a target are the probabilities of classes, and those of a prediction their
/// logits. Other coordinates do not count.
/// Source  docs/theory.md, classification
template <Index Classes>
struct ClassTargets {
  static_assert(Classes >= 2, "ClassTargets: there must be at least two classes");
  /// The same as a `Targets` value.
  constexpr explicit(false) operator Targets() const { return {Targets::Loss::cross_entropy, Classes}; }
};

/// The targets of a distribution of tasks; without `targets()` all coordinates count.
template <class Tasks>
Targets targets_of(const Tasks& tasks) {
  if constexpr (requires { tasks.targets(); })
    return tasks.targets();
  else
    return {};
}

}  // namespace gdssm
