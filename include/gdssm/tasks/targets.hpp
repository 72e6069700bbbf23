// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/view.hpp"

namespace gdssm {

/// Every coordinate of a prediction counts.
struct VectorTargets {};

/// Only the last coordinate of a prediction counts: a scalar target is stored as a token that is zero but for it.
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
struct ScalarTargets {};

/// The first `Classes` coordinates of a target are the probabilities of classes, those of a prediction their logits;
/// others don't count.
/// Source  docs/theory.md, classification
template <Index Classes>
struct ClassTargets {
  static_assert(Classes >= 2, "ClassTargets: there must be at least two classes");
};

}  // namespace gdssm
