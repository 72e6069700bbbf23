// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "support/vjp.hpp"

#include "gdssm/blocks/factors.hpp"

namespace gdssm::test {

/// Coefficients, factors and Z_{t-1}^T -> Z_t^T.
template <class Block, Index Rank>
struct RecurrenceStep {
  Block recurrence;
  std::optional<int> mask = std::nullopt;

  template <class T>
  auto input() const {
    const Index rows = recurrence.row_count(), cols = recurrence.col_count();
    return bundle({"coefficients", "left", "right", "memory"}, recurrence.template coefficients<T>(),
                  Array<T, Block::rows, Rank>(rows, Rank), Array<T, Block::cols, Rank>(cols, Rank),
                  Array<T, Block::cols, Block::rows>(cols, rows));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, left, right, memory] = in.parts;
    const Factors<const T, Block::rows, Block::cols, Rank> G{left.view(), right.view()};
    const T m = mask.value_or(0) != 0 ? T(1) : T(0);
    auto state = recurrence.template initial_state<T>();
    state.memory = memory;
    auto ws = recurrence.template workspace<T>();
    recurrence.step(c, G, mask ? &m : nullptr, state, ws);
    return bundle({"memory"}, state.memory);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, left, right, memory] = in.parts;
    const Factors<const T, Block::rows, Block::cols, Rank> G{left.view(), right.view()};
    const T m = mask.value_or(0) != 0 ? T(1) : T(0);
    auto in_bar = input<T>();
    auto& [c_bar, left_bar, right_bar, memory_bar] = in_bar.parts;
    memory_bar = std::get<0>(out_bar.parts);
    auto ws = recurrence.template workspace<T>();
    recurrence.step_vjp(c, G, mask ? &m : nullptr, memory.view(), memory_bar.view(), c_bar,
                        Factors<T, Block::rows, Block::cols, Rank>{left_bar.view(), right_bar.view()}, ws);
    return in_bar;
  }
};

}  // namespace gdssm::test
