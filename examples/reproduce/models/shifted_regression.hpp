// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/tasks/linear_regression.hpp"

namespace gdssm::reproduce {

/// The same tasks read from one token earlier on: 0, x_1, y_1, ..., x_N, y_N, x_{N+1}, 0. Windows then are
/// [y_{t-1}; x_t; y_t], and in the last the query stands where the inputs stand, with zero for its target.
struct ShiftedRegression {
  LinearRegression regression{};

  Index length() const { return regression.length() + 2; }
  template <class S>
  using Workspace = LinearRegression::Workspace<S>;
  template <class S>
  Workspace<S> workspace() const {
    return regression.workspace<S>();
  }
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    tokens.columns(0, 1).fill(S(0));
    tokens.columns(length() - 1, 1).fill(S(0));
    regression.sequence(seed, index, tokens.columns(1, regression.length()), targets, ws);
  }
};

}  // namespace gdssm::reproduce
