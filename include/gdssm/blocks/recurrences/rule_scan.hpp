// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/rank_one_forms.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// A rule of rank one along a sequence by `RankOneScan`: in place of `SequencePass` where speed counts, with the same
/// calls. Its numbers are those of the rule's steps but for rounding, forward and back, and it must be asked for:
/// nothing in the library takes it in place of the steps.
///     `Rule`  one that has a `recurrences::RankOneForm`        `T`  float or double
/// Shapes  queries (Keys x T), outputs (Values x T), tokens as `tokens_of` makes them; o_t is read after token t
/// Errors  a rule without that form: static_assert; std::invalid_argument: lengths and sizes that differ
/// VJP     `vjp`
template <class Rule, class T>
class RuleScan {
  static_assert(recurrences::RuleOfRankOne<Rule>,
                "RuleScan: the rule's step must be (22) with a decay for each channel of the keys, and have a "
                "RankOneForm; SequencePass takes any rule");
  static constexpr Index keys = Rule::keys, values = Rule::values;
  using Form = recurrences::RankOneForm<Rule>;

 public:
  using Constants = typename Rule::template Constants<InArrays<T>>;
  using Tokens = typename Rule::template Token<InSeries<T>>;  ///< of a sequence
  using State = typename Rule::template State<T>;

  explicit RuleScan(const Rule& rule) : rule_(rule), scan_(rule.key_count(), rule.value_count()) {}

  /// Moves `state` through all tokens.
  void forward(const Constants& c, const Tokens& tokens, View<const T, keys> queries, State& state,
               View<T, values> outputs) {
    expect_sizes("RuleScan::forward", tokens, queries, outputs.as_const());
    scan_.forward(Forward{rule_, c, tokens, queries}, View<T>(state.memory.view()), View<T>(outputs));
  }

  /// VJP of `forward` from `first`: turns `state_bar` from the cotangent of the last state into that of `first`, and
  /// adds to all other cotangents.
  void vjp(const Constants& c, const Tokens& tokens, View<const T, keys> queries, const State& first,
           View<const T, values> outputs_bar, State& state_bar, Constants& c_bar, Tokens& tokens_bar,
           View<T, keys> queries_bar) {
    expect_sizes("RuleScan::vjp", tokens, queries, outputs_bar);
    expect_sizes("RuleScan::vjp", tokens_bar, queries_bar.as_const(), outputs_bar);
    scan_.vjp(Back{{rule_, c, tokens, queries}, c_bar, tokens_bar, queries_bar}, View<const T>(first.memory.view()),
              View<const T>(outputs_bar), View<T>(state_bar.memory.view()));
  }

 private:
  /// The steps of a sequence.
  struct Forward {
    const Rule& rule;
    const Constants& c;
    const Tokens& tokens;
    View<const T, keys> queries;

    Index count() const { return queries.cols() * Form::steps(rule); }
    bool reads(Index n) const { return Form::reads(rule, n % Form::steps(rule)); }
    Index answer(Index n) const {
      const Index steps = Form::steps(rule);
      return (n + 1) % steps == 0 ? n / steps : -1;
    }
    void make(Index n, const recurrences::RankOneStep<T>& to) const {
      const Index steps = Form::steps(rule), t = n / steps;
      Form::make(rule, c, token_at<T>(rule, tokens, t), n % steps, to);
      if ((n + 1) % steps != 0) return;
      for (Index j = 0; j < queries.rows(); ++j) to.query[j] = queries.data()[t * queries.rows() + j];
    }
  };
  /// The same, and where cotangents go.
  struct Back : Forward {
    Constants& c_bar;
    Tokens& tokens_bar;
    View<T, keys> queries_bar;

    void take(Index n, const recurrences::RankOneStep<T>& bar) const {
      const Index steps = Form::steps(this->rule), t = n / steps;
      Form::take(this->rule, this->c, token_at<T>(this->rule, this->tokens, t), n % steps, bar, c_bar,
                 token_bar_at<T>(this->rule, tokens_bar, t));
      if ((n + 1) % steps != 0) return;
      for (Index j = 0; j < queries_bar.rows(); ++j) queries_bar.data()[t * queries_bar.rows() + j] += bar.query[j];
    }
  };

  void expect_sizes(const char* where, const Tokens& tokens, const View<const T, keys>& queries,
                    const View<const T, values>& outputs) const {
    expect_equal(where, "the size of queries", queries.rows(), rule_.key_count());
    expect_equal(where, "the size of outputs", outputs.rows(), rule_.value_count());
    expect_equal(where, "the number of outputs", outputs.cols(), queries.cols());
    const auto expected = rule_.template token<InSeries<T>>();
    visit(
        [&](const Name& name, const auto& member, const auto& as) {
          if (member.rows() != as.rows() || member.cols() != queries.cols())
            gdssm::detail::refuse_shape(where, name, member.rows(), member.cols(), as.rows(), queries.cols());
        },
        tokens, expected);
  }

  Rule rule_;
  recurrences::RankOneScan<T> scan_;
};

}  // namespace gdssm
