// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gdssm {

/// Every coordinate of a prediction counts.
struct VectorTargets {};

/// Only the last coordinate of a prediction counts: a scalar target is stored as a token that is zero but for it.
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
struct ScalarTargets {};

}  // namespace gdssm
