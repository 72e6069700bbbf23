// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Random weights as the reference begins with, for any model whose blocks can be drawn:
///     A ~ N(0, 0.1^2),   Lambda = -1/2,   log_step ~ U(log 0.001, log 0.1) one a column,   C ~ N(0, 1/f),
///     d ~ N(0, 1)
/// so that L starts in [0.951, 0.9995]; what the reference does not have starts as the block's `draw` says. Each layer
/// of a stack has a random stream of its own, and so have the dense layers around one.
/// Source  arXiv:2410.11687v1 (code); docs/theory.md, discretisation
template <class T, class Model>
auto reference_initialization(const Model& model, std::uint64_t seed) {
  auto p = model.template parameters<T>();
  model.draw(p, seed);
  return p;
}

}  // namespace gdssm
