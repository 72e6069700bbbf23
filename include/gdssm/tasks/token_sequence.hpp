// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// A task in tokens, and the targets of its predictions.
/// Shapes  tokens (f x (2N+1)), targets (f x k) for the last k windows
struct TokenSequence {
  Eigen::MatrixXd tokens;
  Eigen::MatrixXd targets;
};

namespace detail {

inline void expect_losses(const char* where, Index losses, Index most) {
  if (losses < 1 || losses > most) refuse(where, "there are ", losses, " losses, expected 1 to ", most);
}

}  // namespace detail

}  // namespace gdssm
