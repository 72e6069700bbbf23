// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/tasks/discrete_draws.hpp"
#include "gdssm/tasks/sequence_task.hpp"

namespace gdssm {

/// A text as a task of characters: excerpts of its first part to train on, in which every next character is a target,
/// and the rest of it to test with. A character is a byte; ids number those of the text in ascending order.
class CharacterText {
 public:
  /// The last `held_out` of the text, rounded up to a character, is for testing; `excerpt` is the number of targets of
  /// the sequences that `draw` draws.
  /// Errors  std::invalid_argument: a text whose first part has no excerpt, a share outside [0, 1)
  explicit CharacterText(std::string_view text, Index excerpt = 256, double held_out = 0.1) : excerpt_(excerpt) {
    if (!(held_out >= 0 && held_out < 1))
      refuse("CharacterText", "the held-out share is ", held_out, ", expected at least 0 and below 1");
    cut_ = static_cast<std::size_t>((1 - held_out) * static_cast<double>(text.size()));
    if (excerpt < 1 || static_cast<Index>(cut_) <= excerpt)
      refuse("CharacterText", "the text's first part has ", cut_, " characters and an excerpt ", excerpt,
             " targets, expected at least 1 of these, and more characters");
    std::vector<Index> numbers(256, 0);
    for (const char c : text) numbers[byte(c)] = 1;
    for (std::size_t b = 0; b < numbers.size(); ++b)
      if (numbers[b]) {
        numbers[b] = static_cast<Index>(characters_.size());
        characters_ += static_cast<char>(b);
      }
    ids_.reserve(text.size());
    for (const char c : text) ids_.push_back(numbers[byte(c)]);
  }

  Index vocabulary() const { return static_cast<Index>(characters_.size()); }  ///< distinct characters
  const std::string& characters() const { return characters_; }                ///< by their ids
  Index length() const { return excerpt_; }                                    ///< targets of an excerpt

  std::span<const Index> training() const { return std::span(ids_).first(cut_); }    ///< the first part
  std::span<const Index> held_out() const { return std::span(ids_).subspan(cut_); }  ///< the rest

  /// Excerpt `index` of a seed, from anywhere in the first part, as sequence b of a batch. All is marked, but what is
  /// behind it in a longer batch.
  /// Errors  std::invalid_argument: a batch without room, no such sequence
  void draw(std::uint64_t seed, std::uint64_t index, MarkedSequences& batch, Index b) const {
    detail::begin_sequence("CharacterText", excerpt_, 0, batch, b);
    RandomStream<> stream(seed, index);
    const auto begin = static_cast<std::size_t>(detail::draw_below(static_cast<Index>(cut_) - excerpt_, stream));
    for (std::size_t t = 0; t < static_cast<std::size_t>(excerpt_); ++t) {
      batch.ids(b)[t] = ids_[begin + t];
      detail::mark(batch, b, t, ids_[begin + t + 1]);
    }
  }

 private:
  static std::size_t byte(char c) { return static_cast<unsigned char>(c); }

  Index excerpt_;
  std::size_t cut_ = 0;
  std::string characters_;
  std::vector<Index> ids_;
};

}  // namespace gdssm
