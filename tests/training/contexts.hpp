// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "support/random.hpp"

#include "gdssm/training/batch.hpp"

namespace gdssm::test {

/// Random contexts of f features and m outputs, with given numbers of windows and losses for each.
template <class P>
std::vector<Context<P>> random_contexts(Index f, Index m, const std::vector<std::pair<Index, Index>>& sizes,
                                        Random& random) {
  std::vector<Context<P>> contexts;
  for (const auto& [windows, losses] : sizes) {
    Context<P> context{Eigen::MatrixX<P>(f, 2 * windows + 1), Eigen::MatrixX<P>(m, losses)};
    random.fill(context.tokens);
    random.fill(context.targets);
    contexts.push_back(std::move(context));
  }
  return contexts;
}

}  // namespace gdssm::test
