// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"
#include "support/catch.hpp"

namespace gdssm::test {

/// Every lane of tasks drawn together has the same bits as its task drawn alone.
template <class S>
void check_lanes(const auto& tasks, Index losses) {
  using T = LaneScalar<S>;
  constexpr std::uint64_t seed = 7, first = 100;
  const auto shape = tasks.sequence(seed, first, losses);
  Array<S> tokens(shape.tokens.rows(), shape.tokens.cols()), targets(shape.targets.rows(), losses);
  Array<T> tokens_alone(tokens.rows(), tokens.cols()), targets_alone(targets.rows(), losses);
  auto ws = tasks.template workspace<S>();
  auto ws_alone = tasks.template workspace<T>();
  tasks.sequence(seed, first, tokens.view(), targets.view(), ws);
  for (Index i = 0; i < lane_count<S>; ++i) {
    tasks.sequence(seed, first + static_cast<std::uint64_t>(i), tokens_alone.view(), targets_alone.view(), ws_alone);
    for (Index j = 0; j < tokens.size(); ++j) REQUIRE(lane(tokens[j], i) == tokens_alone[j]);
    for (Index j = 0; j < targets.size(); ++j) REQUIRE(lane(targets[j], i) == targets_alone[j]);
  }
}

/// The message with which a task refuses its options after `change`; empty if it accepts them.
template <class Tasks>
std::string refusal(auto&& change) {
  Tasks tasks;
  change(tasks);
  try {
    tasks.draw(0, 0);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace gdssm::test
