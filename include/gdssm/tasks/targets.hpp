// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// What of a prediction counts, and how it is held against its target. A distribution of tasks says it once, in
/// `targets()`.
struct Targets {
  /// 1/2 |yhat - y|^2, a mean over the coordinates that count; or the cross-entropy (13a) of logits yhat and
  /// probabilities y.
  enum class Loss { squared_error, cross_entropy };

  Loss loss = Loss::squared_error;  ///< how a prediction is held against its target
  Index count = 0;                  ///< coordinates that count: the last so many, of logits the first; 0: all

  friend bool operator==(const Targets&, const Targets&) = default;

  /// How many coordinates of m count.
  /// Errors  std::invalid_argument, beginning with `where`: fewer than `count`
  Index counted(Index m, const char* where = "Targets") const {
    if (count > m || count < 0) refuse(where, "predictions have ", m, " coordinates, expected at least ", count);
    return count == 0 ? m : count;
  }
};

/// Every coordinate of a prediction counts.
struct VectorTargets {
  /// As a value.
  constexpr explicit(false) operator Targets() const { return {}; }
};

/// Only the last coordinate of a prediction counts: a scalar target is stored as a token that is zero but for it.
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
struct ScalarTargets {
  /// As a value.
  constexpr explicit(false) operator Targets() const { return {Targets::Loss::squared_error, 1}; }
};

/// The first `Classes` coordinates of a target are the probabilities of classes, those of a prediction their logits;
/// others don't count.
/// Source  docs/theory.md, classification
template <Index Classes>
struct ClassTargets {
  static_assert(Classes >= 2, "ClassTargets: there must be at least two classes");
  /// As a value.
  constexpr explicit(false) operator Targets() const { return {Targets::Loss::cross_entropy, Classes}; }
};

/// What tasks say of their targets; all coordinates count where they say nothing.
template <class Tasks>
Targets targets_of(const Tasks& tasks) {
  if constexpr (requires { tasks.targets(); })
    return tasks.targets();
  else
    return {};
}

}  // namespace gdssm
