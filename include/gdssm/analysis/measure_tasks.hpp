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

/// Tasks first, ..., first + count - 1 of a seed: what a measurement averages over. Two models measured on the same
/// range see the same tasks.
struct TaskRange {
  std::uint64_t seed;       ///< of the tasks
  Index count;              ///< how many
  std::uint64_t first = 0;  ///< index of the first
};

namespace detail {

/// Draws the tasks of a range, as many at once as S has lanes, and has them measured: make() is a callable for one
/// thread, measure(group, used, found) adds what the first `used` lanes of a group show to `found`, which begins as
/// `nothing`. Parts are fixed and merge(whole, part) is called in order, so the result doesn't depend on the pool.
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
