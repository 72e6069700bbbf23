// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "gdssm/training/batch.hpp"

namespace gdssm {

/// Puts tasks of a distribution into batches, a group of lanes at a time, on any thread, groups apart from one another.
///     `Tasks`  sequence(seed, index, losses) -> tokens and targets of one task, and length(), the tokens in it; or, to
///              draw all lanes at once, workspace<S>() and sequence(seed, index, tokens, targets, workspace), as
///              `LinearRegression` has them; kept by reference
/// Errors  std::invalid_argument from `draw`: tasks of other sizes than the batch's
template <class S, class Tasks>
class TaskSource {
  static constexpr bool draws_lanes = requires(const Tasks& tasks) { tasks.template workspace<S>(); };

 public:
  /// For batches of up to so many groups.
  TaskSource(const Tasks& tasks, Index groups)
      : tasks_(tasks), scratch_(static_cast<std::size_t>(groups), scratch(tasks)) {}

  /// Tasks first, first + 1, ... of a seed become the batch's contexts; this draws those of group g.
  void draw(std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) {
    const Index begin = g * lane_count<S>, end = (std::min)(begin + lane_count<S>, batch.count());
    if constexpr (draws_lanes) {
      // Lanes beyond the batch's count are drawn too; they bear no loss.
      auto& [tokens, mask, targets, present] = batch.lane_group(g);
      tasks_.sequence(seed, first + static_cast<std::uint64_t>(begin), tokens.view(), targets.view(),
                      scratch_[static_cast<std::size_t>(g)]);
    } else {
      for (Index b = begin; b < end; ++b) {
        const auto [tokens, targets] = tasks_.sequence(seed, first + static_cast<std::uint64_t>(b), batch.losses());
        expect_equal("TaskSource", "the number of tokens of a task", tokens.cols(), batch.lane_group(g).tokens.cols());
        expect_equal("TaskSource", "the number of targets of a task", targets.cols(), batch.losses());
        batch.set(b, tokens, targets);
      }
    }
  }

 private:
  struct Unneeded {};
  static auto scratch([[maybe_unused]] const Tasks& tasks) {
    if constexpr (draws_lanes)
      return tasks.template workspace<S>();
    else
      return Unneeded();
  }

  const Tasks& tasks_;
  std::vector<decltype(scratch(std::declval<const Tasks&>()))> scratch_;
};

}  // namespace gdssm
