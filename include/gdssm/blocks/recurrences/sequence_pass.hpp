// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "gdssm/blocks/recurrences/learning_rule.hpp"
#include "gdssm/core/error.hpp"

namespace gdssm {

/// A learning rule along a sequence, and the VJP of the whole, for sequences of up to `length` tokens. The VJP keeps
/// the states at chunk starts and makes those within a chunk again: room for length/chunk + chunk states, and each
/// token is stepped twice. Cut into pieces, the state handed on, a sequence gives the same bits, forward and back.
/// Shapes  queries (Keys x T), outputs (Values x T), tokens as `tokens_of` makes them; o_t is read after token t
/// Errors  std::invalid_argument: a chunk of less than one token, lengths that differ, a sequence that is too long
template <class Rule, class S>
class SequencePass {
  static_assert(detail::expect_learning_rule<Rule>());
  static constexpr Index keys = Rule::keys, values = Rule::values;

 public:
  using Constants = typename Rule::template Constants<InArrays<S>>;
  /// All tokens of a sequence.
  using Tokens = typename Rule::template Token<InSeries<S>>;
  using State = typename Rule::template State<S>;

  /// Chunks of about the square root of `length`, for which the room is least.
  SequencePass(const Rule& rule, Index length) : SequencePass(rule, length, root(length)) {}
  SequencePass(const Rule& rule, Index length, Index chunk)
      : rule_(rule), length_(length), chunk_(chunk), ws_(rule.template workspace<S>()) {
    if (length < 0) refuse("SequencePass", "the length is ", length, ", expected at least 0");
    if (chunk <= 0) refuse("SequencePass", "the chunk is ", chunk, ", expected at least 1");
    const auto state = rule.template initial_state<S>();
    starts_.assign(static_cast<std::size_t>((length + chunk - 1) / chunk), state);
    within_.assign(static_cast<std::size_t>((length < chunk ? length : chunk) + 1), state);
  }

  /// Steps through all tokens from `state`, which is left as it is after the last.
  void forward(const Constants& c, const Tokens& tokens, View<const S, keys> queries, State& state,
               View<S, values> outputs) {
    expect_lengths("SequencePass::forward", queries.cols(), tokens, outputs.cols());
    for (Index t = 0; t < queries.cols(); ++t) {
      rule_.step(c, token_at<S>(rule_, tokens, t), state, ws_);
      rule_.read(c, state, queries.column(t), outputs.column(t), ws_);
    }
  }

  /// VJP of `forward` from `first`: turns `state_bar` from the cotangent of the last state into that of `first`, and
  /// adds to all other cotangents.
  void vjp(const Constants& c, const Tokens& tokens, View<const S, keys> queries, const State& first,
           View<const S, values> outputs_bar, State& state_bar, Constants& c_bar, Tokens& tokens_bar,
           View<S, keys> queries_bar) {
    expect_lengths("SequencePass::vjp", queries.cols(), tokens, outputs_bar.cols());
    expect_lengths("SequencePass::vjp", queries.cols(), tokens_bar, queries_bar.cols());
    const Index T = queries.cols(), chunks = (T + chunk_ - 1) / chunk_;
    within_[0] = first;
    for (Index t = 0; t < T; ++t) {
      if (t % chunk_ == 0) start(t / chunk_) = within_[0];
      if (t / chunk_ + 1 < chunks) rule_.step(c, token_at<S>(rule_, tokens, t), within_[0], ws_);
    }
    for (Index n = chunks - 1; n >= 0; --n) {
      const Index begin = n * chunk_, end = n + 1 < chunks ? begin + chunk_ : T;
      within_[0] = start(n);
      for (Index t = begin; t < end; ++t) {
        within(t - begin + 1) = within(t - begin);
        rule_.step(c, token_at<S>(rule_, tokens, t), within(t - begin + 1), ws_);
      }
      for (Index t = end - 1; t >= begin; --t) {
        rule_.read_vjp(c, within(t - begin + 1), queries.column(t), outputs_bar.column(t), state_bar, c_bar,
                       queries_bar.column(t), ws_);
        rule_.step_vjp(c, token_at<S>(rule_, tokens, t), within(t - begin), state_bar, c_bar,
                       token_bar_at<S>(rule_, tokens_bar, t), ws_);
      }
    }
  }

 private:
  static Index root(Index length) {
    Index chunk = 1;
    while (chunk * chunk < length) ++chunk;
    return chunk;
  }
  State& start(Index n) { return starts_[static_cast<std::size_t>(n)]; }
  State& within(Index n) { return within_[static_cast<std::size_t>(n)]; }

  void expect_lengths(const char* where, Index length, const Tokens& tokens, Index outputs) const {
    if (length > length_) refuse(where, "the sequence has ", length, " tokens, expected at most ", length_);
    expect_equal(where, "the number of outputs", outputs, length);
    visit(
        [&](const Name& name, const auto& member) {
          if (member.cols() != length) refuse(where, name.str(), " has ", member.cols(), " tokens, expected ", length);
        },
        tokens);
  }

  Rule rule_;
  Index length_, chunk_;
  typename Rule::template Workspace<S> ws_;
  std::vector<State> starts_, within_;
};

}  // namespace gdssm
