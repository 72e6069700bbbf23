// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// A model of tokens by counts of the last n of them, interpolated. With c(h y) the number of times that y came behind
/// the n - 1 tokens h, c(h) their sum and u(h) the number of different tokens behind h,
///     p_n(y | h) = (c(h y) + u(h) p_(n-1)(y | h without its first)) / (c(h) + u(h)),   p_0 = 1 / vocabulary
/// where h never came, it is p_(n-1). Nothing is to be tuned.
/// Source  Witten, Bell, The zero-frequency problem, IEEE Transactions on Information Theory 37 (1991), method C
class NGrams {
 public:
  /// Errors  std::invalid_argument: n not in 1..7, a vocabulary not in 1..256
  NGrams(Index n, Index vocabulary) : vocabulary_(vocabulary) {
    if (n < 1 || n > 7 || vocabulary < 1 || vocabulary > 256)
      refuse("NGrams", "n and the vocabulary are ", n, " and ", vocabulary, ", expected 1 to 7 and 1 to 256");
    contexts_.resize(static_cast<std::size_t>(n));
    counts_.resize(static_cast<std::size_t>(n));
  }

  /// Counts the tokens of a stretch from token `first` on, each behind those before it in the stretch. A stretch that
  /// grows by a token at a time is counted as it would be at once.
  /// Errors  std::invalid_argument: an id that the vocabulary does not have
  void learn(std::span<const Index> ids, std::size_t first = 0) {
    for (std::size_t t = first; t < ids.size(); ++t) {
      if (ids[t] < 0 || ids[t] >= vocabulary_)
        refuse("NGrams", "id ", t, " is ", ids[t], ", expected 0 to ", vocabulary_ - 1);
      for (std::size_t length = 0; length < contexts_.size() && length <= t; ++length) {
        const std::uint64_t key = key_of(ids.subspan(t - length, length));
        Context& context = contexts_[length][key];
        ++context.count;
        if (counts_[length][with(key, ids[t])]++ == 0) ++context.different;
      }
    }
  }

  /// The probability of a token behind a stretch, of which the last n - 1 tokens count, or as many as there are.
  double probability(std::span<const Index> before, Index id) const {
    double p = 1 / static_cast<double>(vocabulary_);
    for (std::size_t length = 0; length < contexts_.size() && length <= before.size(); ++length) {
      const std::uint64_t key = key_of(before.last(length));
      const auto context = contexts_[length].find(key);
      if (context == contexts_[length].end()) break;  // longer ones did not come either
      const auto count = counts_[length].find(with(key, id));
      const double different = context->second.different;
      p = ((count == counts_[length].end() ? 0.0 : count->second) + different * p) /
          (context->second.count + different);
    }
    return p;
  }

  /// Bits per token of a stretch: the mean of -log2 of the probability of each token but the first, given those before.
  double bits(std::span<const Index> ids) const {
    double sum = 0;
    for (std::size_t t = 1; t < ids.size(); ++t) {
      const std::size_t length = (std::min)(t, contexts_.size() - 1);
      sum -= std::log2(probability(ids.subspan(t - length, length), ids[t]));
    }
    return sum / static_cast<double>(ids.size() - 1);
  }

 private:
  struct Context {
    std::uint32_t count = 0, different = 0;
  };

  /// A byte a token, the oldest first, and the token behind them.
  static std::uint64_t with(std::uint64_t key, Index id) { return key << 8 | static_cast<std::uint64_t>(id); }
  static std::uint64_t key_of(std::span<const Index> ids) {
    std::uint64_t key = 0;
    for (const Index id : ids) key = with(key, id);
    return key;
  }

  Index vocabulary_;
  std::vector<std::unordered_map<std::uint64_t, Context>> contexts_;      // by length
  std::vector<std::unordered_map<std::uint64_t, std::uint32_t>> counts_;  // of a context and the token behind it
};

}  // namespace gdssm
