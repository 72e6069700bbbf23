// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>

#include "gdssm/core/error.hpp"
#include "gdssm/tasks/marked_sequences.hpp"

namespace gdssm {

/// Tasks on token ids: a law of marked sequences. Satisfied by a type with
///     vocabulary()                       ids are 0, ..., vocabulary() - 1
///     length()                           the most tokens of a sequence
///     draw(seed, index, batch, b)        writes task `index` of `seed` as sequence b of a batch of any size that has
///                                        room for it, and padding behind it; the task depends on seed and index alone
template <class Tasks>
concept SequenceTask = requires(const Tasks& tasks, MarkedSequences& batch, std::uint64_t key, Index b) {
  { tasks.vocabulary() } -> std::convertible_to<Index>;
  { tasks.length() } -> std::convertible_to<Index>;
  tasks.draw(key, key, batch, b);
};

/// Fills a batch with the tasks first, first + 1, ... of a seed. Batch n of a run of batches of equal size begins with
/// n times that size.
/// Errors  those of the tasks
template <SequenceTask Tasks>
void draw_batch(const Tasks& tasks, std::uint64_t seed, std::uint64_t first, MarkedSequences& batch) {
  for (Index b = 0; b < batch.batch(); ++b) tasks.draw(seed, first + static_cast<std::uint64_t>(b), batch, b);
}

namespace detail {

/// Refuses a batch that has no room, or no such sequence, and pads and unmarks the sequence.
inline void begin_sequence(const char* where, Index length, Index padding, MarkedSequences& batch, Index b) {
  if (b < 0 || b >= batch.batch()) refuse(where, "the sequence is ", b, ", expected 0 to ", batch.batch() - 1);
  if (batch.length() < length)
    refuse(where, "the batch has room for ", batch.length(), " tokens, expected at least ", length);
  for (Index& id : batch.ids(b)) id = padding;
  for (Index& target : batch.targets(b)) target = padding;
  for (char& mark : batch.marked(b)) mark = 0;
}

/// Marks a position.
inline void mark(MarkedSequences& batch, Index b, std::size_t at, Index target) {
  batch.targets(b)[at] = target;
  batch.marked(b)[at] = 1;
}

}  // namespace detail
}  // namespace gdssm
