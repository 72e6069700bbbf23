// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/models/horner_stack.hpp"

namespace gdssm {

/// Parameters of the stack that predicts as K steps of gradient descent from zero do, of sizes a_1, ..., a_K in order:
///     W_k = W_{k-1} - a_k (W_{k-1} S - M),   k = 1..K
/// Layer M_k is the gradient step (7) of size a_k. Layer S_k is the same with A = e_0 e_0^T, so its state is S^T = S.
/// Errors  std::invalid_argument: a number of sizes other than the stack's steps
/// Source  docs/theory.md, K steps
template <class Layer, class T>
auto descent_steps(const HornerStack<Layer>& stack, const std::vector<T>& sizes) {
  expect_equal("descent_steps", "the number of step sizes", Index(sizes.size()), stack.steps());
  auto p = stack.template parameters<T>();
  for (Index k = 1; k <= stack.steps(); ++k) {
    const auto step = gradient_step(stack.layer(), sizes[static_cast<std::size_t>(k - 1)]);
    p.layers[static_cast<std::size_t>(stack.M(k))] = step;
    if (k == 1) continue;
    auto& S = p.layers[static_cast<std::size_t>(stack.S(k))];
    S = step;
    S.attention.A(0, 1) = T(0);
    S.attention.A(0, 0) = T(1);
  }
  return p;
}

/// K equal steps.
template <class Layer, class T>
auto descent_steps(const HornerStack<Layer>& stack, const T& size) {
  return descent_steps(stack, std::vector<T>(static_cast<std::size_t>(stack.steps()), size));
}

}  // namespace gdssm
