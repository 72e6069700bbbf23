// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"

// Draws of whole numbers that several tasks share.
namespace gdssm::detail {

/// Uniform on 0, ..., count - 1. From 48 bits, so that no number is likelier than another by more than count / 2^48.
inline Index draw_below(Index count, RandomStream<>& stream) {
  const double high = stream.uniform(), low = stream.uniform();
  return static_cast<Index>((high + 0x1p-24 * low) * static_cast<double>(count));
}

/// Uniform on first, ..., last.
inline Index draw_between(Index first, Index last, RandomStream<>& stream) {
  return first + draw_below(last - first + 1, stream);
}

/// Puts `count` distinct ones of `items`, in random order, in front: the first steps of a Fisher-Yates shuffle.
template <class T>
void draw_to_front(std::span<T> items, Index count, RandomStream<>& stream) {
  for (Index i = 0; i < count; ++i)
    std::swap(items[static_cast<std::size_t>(i)],
              items[static_cast<std::size_t>(draw_between(i, static_cast<Index>(items.size()) - 1, stream))]);
}

/// `count` distinct numbers of first, ..., last, in random order.
inline std::vector<Index> draw_distinct(Index first, Index last, Index count, RandomStream<>& stream) {
  std::vector<Index> all(static_cast<std::size_t>(last - first + 1));
  std::iota(all.begin(), all.end(), first);
  draw_to_front(std::span(all), count, stream);
  all.resize(static_cast<std::size_t>(count));
  return all;
}

}  // namespace gdssm::detail
