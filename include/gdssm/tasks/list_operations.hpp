// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/tasks/discrete_draws.hpp"
#include "gdssm/tasks/sequence_task.hpp"

namespace gdssm {

/// The value of an expression of list operations, a digit: the minimum, the maximum, the median (of an even number the
/// mean of the middle two, rounded down) or the sum modulo 10 of arguments that are digits or expressions.
///     ids  0-9 digits, 10 [MIN, 11 [MAX, 12 [MED, 13 [SM, 14 ]
/// Errors  std::invalid_argument, with the position: other ids, an operator without arguments, one that is not closed,
///         more than one expression
inline Index evaluate_list_operations(std::span<const Index> ids) {
  constexpr const char* where = "evaluate_list_operations";
  struct List {
    Index operation;
    std::vector<Index> arguments;
  };
  std::vector<List> open{{-1, {}}};  // the whole, of one argument
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const Index id = ids[t];
    if (id < 0 || id > 14) refuse(where, "id ", t, " is ", id, ", expected 0 to 14");
    if (open.size() == 1 && !open[0].arguments.empty())
      refuse(where, "id ", t, " is ", id, ", expected the end, as the expression is complete");
    if (id < 10) {
      open.back().arguments.push_back(id);
    } else if (id < 14) {
      open.push_back({id, {}});
    } else {
      auto [operation, arguments] = open.back();
      if (open.size() == 1 || arguments.empty())
        refuse(where, "id ", t, " closes a list, expected one that is open and has an argument");
      open.pop_back();
      std::sort(arguments.begin(), arguments.end());
      const std::size_t half = arguments.size() / 2;
      open.back().arguments.push_back(operation == 10   ? arguments.front()
                                      : operation == 11 ? arguments.back()
                                      : operation == 13
                                          ? std::accumulate(arguments.begin(), arguments.end(), Index(0)) % 10
                                      : arguments.size() % 2 == 1 ? arguments[half]
                                                                  : (arguments[half - 1] + arguments[half]) / 2);
    }
  }
  if (open.size() > 1 || open[0].arguments.empty())
    refuse(where, "the ids end after ", ids.size(), ", expected a whole expression");
  return open[0].arguments[0];
}

/// ListOps: an expression of nested operations on lists of digits, and its value to be told at the end. A node of depth
/// d, the root's 1, is with probability 1/4, and below the largest depth only, an operator with 2, ..., arguments nodes
/// of depth d + 1 as arguments, else a digit; operators, digits and numbers of arguments are uniform. Expressions are
/// kept whose number of tokens is strictly between `shortest` and `longest`; a root of the standard sizes has
/// 3.5 1.5^(depth - 1) - 2.5 = 132 tokens on average, (58), and 8.1 % are kept. Only the last token is marked. Tasks
/// are independent: with the standard sizes two are equal with a probability below 10^-400, so none has to be compared
/// with those before.
///     ids  0-9 digits, 10-13 [MIN [MAX [MED [SM, 14 ], 15 padding, see `evaluate_list_operations`
/// Errors  std::invalid_argument, by `check`: a depth below 1, fewer than 2 arguments, no length between the two
/// Source  Nangia and Bowman, arXiv:1804.06028; Tay et al., arXiv:2011.04006,
///         github.com/google-research/long-range-arena, lra_benchmarks/data/listops.py
struct ListOperations {
  Index depth = 10;      ///< of the deepest digit
  Index arguments = 10;  ///< of one operator at most
  Index shortest = 500;  ///< every sequence has more tokens
  Index longest = 2000;  ///< every sequence has fewer

  static constexpr Index padding = 15;  ///< behind an expression

  /// Throws std::invalid_argument on a depth, arguments or lengths that no expression has.
  void check() const {
    if (depth < 1 || arguments < 2 || longest < shortest + 2 || longest < 2)
      refuse("ListOperations", "depth, arguments, shortest and longest are ", depth, ", ", arguments, ", ", shortest,
             " and ", longest, ", expected at least 1 and 2, and a length in between");
  }

  Index vocabulary() const { return padding + 1; }
  Index length() const { return longest - 1; }

  /// Task `index` of a seed as sequence b of a batch: expressions are drawn until one is kept.
  /// Errors  as `check`; none kept of 100,000; a batch without room, no such sequence
  void draw(std::uint64_t seed, std::uint64_t index, MarkedSequences& batch, Index b) const {
    check();
    detail::begin_sequence("ListOperations", length(), padding, batch, b);
    RandomStream<> stream(seed, index);
    for (int attempt = 0; attempt < 100000; ++attempt) {
      const std::vector<Index> drawn = expression(stream, longest);
      const auto count = static_cast<Index>(drawn.size());
      if (count <= shortest || count >= longest) continue;
      std::copy(drawn.begin(), drawn.end(), batch.ids(b).begin());
      detail::mark(batch, b, drawn.size() - 1, evaluate_list_operations(drawn));
      return;
    }
    refuse("ListOperations", "none of 100,000 expressions of depth ", depth, " with up to ", arguments,
           " arguments has more than ", shortest, " and fewer than ", longest, " tokens, expected one");
  }

  /// A root's tokens, whatever their number; from `most` tokens on they may break off.
  std::vector<Index> expression(RandomStream<>& stream, Index most) const {
    std::vector<Index> tokens;
    add_node(1, static_cast<std::size_t>(most), stream, tokens);
    return tokens;
  }

 private:
  void add_node(Index at_depth, std::size_t most, RandomStream<>& stream, std::vector<Index>& tokens) const {
    if (tokens.size() >= most) return;
    if (at_depth == depth || stream.uniform() >= 0.25) {
      tokens.push_back(detail::draw_below(10, stream));
      return;
    }
    tokens.push_back(10 + detail::draw_below(4, stream));
    const Index count = detail::draw_between(2, arguments, stream);
    for (Index i = 0; i < count; ++i) add_node(at_depth + 1, most, stream, tokens);
    tokens.push_back(14);
  }
};

}  // namespace gdssm
