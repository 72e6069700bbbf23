// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/tasks/discrete_draws.hpp"
#include "gdssm/tasks/sequence_task.hpp"

namespace gdssm {

/// What stands between the queries of `AssociativeRecall`.
enum class Filler {
  uniform,  ///< ids of the whole vocabulary, keys and values among them
  zero,     ///< the id 0, which is neither key nor value
};

/// Multi-query associative recall (MQAR): P pairs k_1 v_1 ... k_P v_P of distinct keys of 1, ..., V/2 - 1 and distinct
/// values of V/2, ..., V - 1; then every key once more, as a query, in random order among filler. A query is marked,
/// and its target is the key's value, which does not follow it. After the pairs every second position is a place, from
/// 0 to (T - 2P) / 2 - 1. Places are drawn one after the other among those left, with the weight (g + 1)^(a - 1) for
/// place g, and query i takes the i-th: a = 1 is uniform, and the smaller a, the sooner queries come.
/// Errors  std::invalid_argument, by `check`: T odd, below 4P or not below V, fewer than one pair, a that is not finite
/// Source  Arora et al., arXiv:2312.04927; github.com/HazyResearch/zoology, zoology/data/multiquery_ar.py
struct AssociativeRecall {
  Index ids = 256;                  ///< V
  Index tokens = 64;                ///< T
  Index pairs = 8;                  ///< P
  double exponent = 0.01;           ///< a
  Filler filler = Filler::uniform;  ///< between queries

  /// Throws std::invalid_argument, see above.
  void check() const {
    if (pairs < 1 || tokens % 2 != 0 || tokens < 4 * pairs || ids <= tokens)
      refuse("AssociativeRecall", "there are ", pairs, " pairs, ", tokens, " tokens and ", ids,
             " ids, expected at least one pair, an even number of tokens of at least 4 times the pairs, and more ids "
             "than tokens");
    if (!std::isfinite(exponent)) refuse("AssociativeRecall", "the exponent is ", exponent, ", expected a number");
  }

  Index vocabulary() const { return ids; }
  Index length() const { return tokens; }

  /// Task `index` of a seed as sequence b of a batch.
  /// Errors  as `check`; a batch of fewer tokens, no such sequence
  void draw(std::uint64_t seed, std::uint64_t index, MarkedSequences& batch, Index b) const {
    check();
    detail::begin_sequence("AssociativeRecall", tokens, 0, batch, b);
    RandomStream<> stream(seed, index);
    const auto keys = detail::draw_distinct(1, ids / 2 - 1, pairs, stream),
               values = detail::draw_distinct(ids / 2, ids - 1, pairs, stream), places = draw_places(stream);
    const auto sequence = batch.ids(b);
    const auto first = static_cast<std::size_t>(2 * pairs);
    if (filler == Filler::uniform)
      for (std::size_t t = first; t < static_cast<std::size_t>(tokens); ++t)
        sequence[t] = detail::draw_below(ids, stream);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      sequence[2 * i] = keys[i];
      sequence[2 * i + 1] = values[i];
      const std::size_t at = first + 2 * static_cast<std::size_t>(places[i]);
      sequence[at] = keys[i];
      detail::mark(batch, b, at, values[i]);
    }
  }

 private:
  // Clocks of rates w_g that ring in the order in which places of weights w_g are drawn: of those left, g is next with
  // probability w_g over the sum.
  std::vector<Index> draw_places(RandomStream<>& stream) const {
    std::vector<std::pair<double, Index>> clocks;
    for (Index g = 0; g < (tokens - 2 * pairs) / 2; ++g)
      clocks.emplace_back(stream.exponential() * std::pow(static_cast<double>(g + 1), 1 - exponent), g);
    const auto drawn = clocks.begin() + pairs;
    std::partial_sort(clocks.begin(), drawn, clocks.end());
    std::vector<Index> places;
    for (auto clock = clocks.begin(); clock != drawn; ++clock) places.push_back(clock->second);
    return places;
  }
};

}  // namespace gdssm
