// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// A batch of sequences of token ids of one length, some of whose positions are marked and have a target, the token
/// that a model is to answer there. Padding stands after a sequence's end and is never marked.
/// Shapes  ids, targets, marked (batch x length), a sequence after the other
/// Errors  std::invalid_argument: a batch or a length below 1
class MarkedSequences {
  template <class Vector>
  auto part(Vector& all, Index b) const {
    return std::span(all).subspan(static_cast<std::size_t>(b * length_), static_cast<std::size_t>(length_));
  }

 public:
  MarkedSequences(Index batch, Index length) : batch_(batch), length_(length) {
    if (batch < 1 || length < 1)
      refuse("MarkedSequences", "batch and length are ", batch, " and ", length, ", expected at least 1 each");
    const auto all = static_cast<std::size_t>(batch * length);
    ids_.assign(all, 0);
    targets_.assign(all, 0);
    marked_.assign(all, 0);
  }

  Index batch() const { return batch_; }    ///< sequences
  Index length() const { return length_; }  ///< tokens of each

  std::span<Index> ids(Index b) { return part(ids_, b); }              ///< of sequence b
  std::span<const Index> ids(Index b) const { return part(ids_, b); }  ///< of sequence b
  /// Of sequence b; they count where a position is marked.
  std::span<Index> targets(Index b) { return part(targets_, b); }
  std::span<const Index> targets(Index b) const { return part(targets_, b); }  ///< of sequence b
  /// 1 where sequence b has a target, else 0.
  std::span<char> marked(Index b) { return part(marked_, b); }
  std::span<const char> marked(Index b) const { return part(marked_, b); }  ///< of sequence b

  /// The number of marked positions.
  Index count() const { return static_cast<Index>(marked_.size()) - std::count(marked_.begin(), marked_.end(), 0); }

  /// Marks nothing, and sets every id and target.
  void fill(Index id) {
    std::fill(ids_.begin(), ids_.end(), id);
    std::fill(targets_.begin(), targets_.end(), id);
    std::fill(marked_.begin(), marked_.end(), char(0));
  }

 private:
  Index batch_, length_;
  std::vector<Index> ids_, targets_;
  std::vector<char> marked_;
};

}  // namespace gdssm
