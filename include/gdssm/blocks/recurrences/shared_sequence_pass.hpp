// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "gdssm/blocks/hand_on.hpp"
#include "gdssm/blocks/recurrences/sequence_pass.hpp"
#include "gdssm/blocks/recurrences/stretch.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/processes.hpp"

namespace gdssm {

/// A learning rule along one long sequence that several processes share, and the VJP of the whole. The sequence is cut
/// into pieces, and a process has neighbouring pieces. Each process computes the summaries (F_p, U_p) of its pieces,
/// (22a). The states before the pieces are handed on in order, S_p = F_p(S_{p-1}) + U_p, and each piece is run again
/// from its own. Backward the cotangents are handed on in the same way, R_{p-1} = F_p*(R_p) + V_p, where V_p is what
/// the piece makes of a cotangent of zero. The summary of a rule with a matrix F costs as many more runs as there are
/// starts that show all of F: 1 for square memories. Results are those of `SequencePass` up to rounding, and the same
/// bits on any number of processes.
///     SharedSequencePass<Rule, float> pass(rule, length, 64, world);
///     pass.forward(c, tokens, queries, state, outputs);     // of pass.range()
/// Shapes  as for `SequencePass`, with the tokens of `range()` alone
/// Errors  static_assert: a rule without summary; std::invalid_argument: a rule whose state holds more than the
/// memories
///         that F maps, more pieces than tokens, and those of `SequencePass`
template <class Rule, class S>
class SharedSequencePass {
  static_assert(
      recurrences::RuleWithSummary<Rule>,
      "SharedSequencePass: a stretch of this rule is no affine map of its memory, as it has no LinearPart<T>");
  static constexpr Index keys = Rule::keys, values = Rule::values;
  using Summary = SummaryOf<Rule, S>;

 public:
  using Constants = typename Rule::template Constants<InArrays<S>>;  ///< of the rule
  using Tokens = typename Rule::template Token<InSeries<S>>;         ///< of this process's part of the sequence
  using State = typename Rule::template State<S>;                    ///< of the rule

  /// For a sequence of so many tokens. All processes must make the same.
  SharedSequencePass(const Rule& rule, Index length, Index pieces, Processes& processes)
      : rule_(rule),
        length_(length),
        pieces_(pieces),
        processes_(processes),
        piece_pass_(rule, pieces < 1 ? length : (length + pieces - 1) / pieces) {
    if (pieces < 1 || pieces > length)
      refuse("SharedSequencePass", length, " tokens in ", pieces, " pieces, expected at least one token in each");
    auto state = rule.template initial_state<S>();
    std::size_t members = 0;
    visit([&](const Name&, const auto&) { ++members; }, state);
    if (members != std::tuple_size_v<decltype(detail::memories_of(state))>)
      refuse("SharedSequencePass", "the rule's state holds more than its memory, expected a rule without a past");
    mine_ = items_of(processes.rank(), pieces, processes.size());
  }

  /// The tokens of this process.
  ItemRange range() const { return range_of(mine_.first, mine_.end()); }

  /// Outputs for the tokens of this process. `state` is the one before the sequence on entry, and the one after it on
  /// return, on every process.
  void forward(const Constants& c, const Tokens& tokens, View<const S, keys> queries, State& state,
               View<S, values> outputs) {
    const auto summaries = summaries_of(c, tokens, queries.cols());
    State last = state;
    const auto starts = starts_of(summaries, last);
    for (Index p = mine_.first; p < mine_.end(); ++p) {
      last = starts[own(p)];
      const ItemRange some = within(p);
      piece_pass_.forward(c, piece(tokens, p), queries.columns(some.first, some.count), last,
                          outputs.columns(some.first, some.count));
    }
    broadcast_value(processes_, last, owner_of(pieces_ - 1, pieces_, processes_.size()));
    state = last;
  }

  /// VJP of `forward` from `first`: turns `state_bar` from the cotangent of the last state into that of `first`, on
  /// every process, adds to those of the tokens and the queries of this process, and to `c_bar`, on every process.
  void vjp(const Constants& c, const Tokens& tokens, View<const S, keys> queries, const State& first,
           View<const S, values> outputs_bar, State& state_bar, Constants& c_bar, Tokens& tokens_bar,
           View<S, keys> queries_bar) {
    const auto summaries = summaries_of(c, tokens, queries.cols());
    State last = first;
    const auto starts = starts_of(summaries, last);
    const auto zero = rule_.template constants<InArrays<S>>();
    const auto pull = [&](Index p, State& bar, Constants& constants_bar, Tokens& piece_bar, View<S, keys> q_bar) {
      const ItemRange some = within(p);
      piece_pass_.vjp(c, piece(tokens, p), queries.columns(some.first, some.count), starts[own(p)],
                      outputs_bar.columns(some.first, some.count), bar, constants_bar, piece_bar, q_bar);
    };
    std::vector<Summary> back;
    for (Index p = mine_.first; p < mine_.end(); ++p) {
      const Index count = within(p).count;
      Summary& summary = back.emplace_back(Summary{summaries[own(p)].factor.adjoint(), state_bar});
      std::apply([](auto&... memory) { (memory.fill(S(0)), ...); }, detail::memories_of(summary.offset));
      auto unused = zero;
      auto no_tokens = tokens_of<S>(rule_, count);
      Array<S, keys> no_queries(queries.rows(), count);
      pull(p, summary.offset, unused, no_tokens, no_queries.view());
    }
    std::vector<State> ends(back.size(), state_bar);
    State bar = state_bar;
    hand_back(pieces_, processes_, bar, [&](Index p, State& at) {
      ends[own(p)] = at;
      at = back[own(p)](at);
    });
    std::vector<Constants> parts(back.size(), zero);
    for (Index p = mine_.first; p < mine_.end(); ++p) {
      const ItemRange some = within(p);
      auto piece_bar = tokens_of<S>(rule_, some.count);
      pull(p, ends[own(p)], parts[own(p)], piece_bar, queries_bar.columns(some.first, some.count));
      visit(
          [&](const Name&, auto& to, const auto& from) {
            S* const begin = to.data() + some.first * to.rows();
            for (Index i = 0; i < from.size(); ++i) begin[i] = begin[i] + from.data()[i];
          },
          tokens_bar, std::as_const(piece_bar));
    }
    if (!ends.empty()) state_bar = ends.front();
    broadcast_value(processes_, state_bar, 0);
    const Constants whole = sum_of_pieces(pieces_, processes_, parts, zero);
    visit(
        [](const Name&, auto& to, const auto& part) {
          for (Index i = 0; i < to.size(); ++i) to.data()[i] = to.data()[i] + part.data()[i];
        },
        c_bar, whole);
  }

 private:
  std::size_t own(Index p) const { return static_cast<std::size_t>(p - mine_.first); }
  ItemRange range_of(Index begin, Index end) const {
    const Index first = items_of(begin, length_, pieces_).first;
    return {first, items_of(end, length_, pieces_).first - first};
  }
  /// A piece among this process's tokens.
  ItemRange within(Index p) const {
    const ItemRange some = range_of(p, p + 1);
    return {some.first - range().first, some.count};
  }
  Tokens piece(const Tokens& tokens, Index p) const {
    const ItemRange some = within(p);
    Tokens part = tokens_of<S>(rule_, some.count);
    visit(
        [&](const Name&, const auto& from, auto& to) {
          const S* const begin = from.data() + some.first * from.rows();
          for (Index i = 0; i < to.size(); ++i) to.data()[i] = begin[i];
        },
        tokens, part);
    return part;
  }

  std::vector<Summary> summaries_of(const Constants& c, const Tokens& tokens, Index count) const {
    expect_equal("SharedSequencePass", "the number of tokens", count, range().count);
    std::vector<Summary> summaries;
    for (Index p = mine_.first; p < mine_.end(); ++p)
      summaries.push_back(affine_summary<S>(rule_, c, piece(tokens, p)));
    return summaries;
  }
  /// The states before this process's pieces; `state` becomes that after the last of all.
  std::vector<State> starts_of(const std::vector<Summary>& summaries, State& state) const {
    std::vector<State> starts;
    hand_on(pieces_, processes_, state, [&](Index p, State& at) {
      starts.push_back(at);
      at = summaries[own(p)](at);
    });
    return starts;
  }

  Rule rule_;
  Index length_, pieces_;
  Processes& processes_;
  SequencePass<Rule, S> piece_pass_;
  ItemRange mine_{};
};

}  // namespace gdssm
