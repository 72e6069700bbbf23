// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/training/task_source.hpp"

namespace gdssm {

/// Tasks first, ..., first + count - 1 of a seed, over which a measurement averages. The same range gives two models
/// the same tasks.
struct TaskRange {
  std::uint64_t seed;       ///< seed of the tasks
  Index count;              ///< number of tasks
  std::uint64_t first = 0;  ///< index of the first task
};

namespace detail {

/// Draws the tasks of a range, a group of lanes at a time, and measures them. make() returns a callable for one thread,
/// measure(group, used, found), which adds the results of the group's first `used` lanes to `found`. `found` begins as
/// `nothing`. The range is divided into fixed parts, and merge(whole, part) is called in order, so that the result does
/// not depend on the pool.
/// Errors  std::invalid_argument: an empty range
template <class S, class Found>
Found measure_tasks(const WindowSizes& window, Index outputs, const TaskSource<S>& source, const TaskRange& range,
                    Index losses, const Found& nothing,
                    const std::function<std::function<void(const LaneGroup<S>&, Index, Found&)>()>& make,
                    const std::function<void(Found&, const Found&)>& merge, ThreadPool& pool) {
  if (range.count < 1) refuse("TaskRange", "there are ", range.count, " tasks, expected at least one");
  constexpr Index lanes = lane_count<S>, most_parts = 64;
  const Index groups = (range.count + lanes - 1) / lanes, parts = (std::min)(groups, most_parts);
  std::vector<Found> found(static_cast<std::size_t>(parts), nothing);
  pool.run(parts, [&](Index part) {
    Batch<S> tasks(window, lanes, source.length(), outputs, losses, source.ragged());
    const TaskSource<S> drawn = source;
    const auto measure = make();
    for (Index g = part * groups / parts; g < (part + 1) * groups / parts; ++g) {
      drawn.draw(range.seed, range.first + static_cast<std::uint64_t>(g * lanes), 0, tasks);
      measure(tasks.groups().front(), (std::min)(lanes, range.count - g * lanes),
              found[static_cast<std::size_t>(part)]);
    }
  });
  Found whole = nothing;
  for (const Found& part : found) merge(whole, part);
  return whole;
}

}  // namespace detail
}  // namespace gdssm
