// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The reference's random initial weights, for any model whose blocks have `draw`:
///     A ~ N(0, 0.1^2),   Lambda = -1/2,   log_step ~ U(log 0.001, log 0.1) one a column,   C ~ N(0, 1/f),
///     d ~ N(0, 1)
/// L is then in [0.951, 0.9995] at first. Blocks that the reference does not have follow their own `draw`. Each layer
/// of a stack has its own random stream; so do the dense layers of a `NonlinearSsm` together. Source arXiv:2410.11687v1
/// (code); docs/theory.md, discretisation
template <class T, class Model>
auto reference_initialization(const Model& model, std::uint64_t seed) {
  auto p = model.template parameters<T>();
  model.draw(p, seed);
  return p;
}

}  // namespace gdssm
