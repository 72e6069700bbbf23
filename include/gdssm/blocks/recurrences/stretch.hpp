// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/affine_summary.hpp"
#include "gdssm/blocks/recurrences/learning_rule.hpp"

namespace gdssm::recurrences {

/// A rule that says what a stretch of its tokens does to its memory: `LinearPart<T>` is one of the types of
/// affine_summary.hpp.
template <class R, class S = float>
concept RuleWithSummary = LearningRule<R> && requires {
  typename R::template LinearPart<S>;
};

}  // namespace gdssm::recurrences

namespace gdssm {

/// The affine summary of a stretch of a rule in scalar S.
template <class Rule, class S>
using SummaryOf = AffineSummary<typename Rule::template LinearPart<S>, typename Rule::template State<S>>;

/// What a stretch of tokens does to the memory, (22a): U by the rule's steps from zero, F by the same steps from starts
/// that show all of it, with nothing to learn.
///     `first`  the state before the stretch; of its memories nothing is read
/// Errors  no `LinearPart<T>`: static_assert; std::invalid_argument: a stretch that ends within a mini-batch
template <class S, class Rule>
auto affine_summary(const Rule& rule, const typename Rule::template Constants<InArrays<S>>& c,
                    const typename Rule::template Token<InSeries<S>>& tokens,
                    const typename Rule::template State<S>& first) {
  static_assert(recurrences::RuleWithSummary<Rule>,
                "affine_summary: a stretch of this rule is no affine map of its memory, as it has no LinearPart<T>");
  if constexpr (recurrences::RuleWithSummary<Rule>) {
    using Factor = typename Rule::template LinearPart<S>;
    constexpr TokenRole learned =
        std::is_same_v<Factor, LeftFactor<S, Rule::values>> ? TokenRole::key : TokenRole::value;
    auto ws = rule.template workspace<S>();
    const auto run = [&](const auto& sequence, auto& state) {
      Index length = 0;
      visit([&](const Name&, const auto& member) { length = member.cols(); }, sequence);
      for (Index t = 0; t < length; ++t) rule.step(c, token_at<S>(rule, sequence, t), state, ws);
    };
    const auto clear = [&](auto& state) {
      std::apply([](auto&... memory) { (memory.fill(S(0)), ...); }, detail::memories_of(state));
    };
    const auto forget = [&](const Name& name, auto& member) {
      if (Rule::role(name.leaf()) == learned)
        for (Index i = 0; i < member.size(); ++i) member.data()[i] = S(0);
    };

    AffineSummary<Factor, typename Rule::template State<S>> summary{{rule.value_count(), rule.key_count()}, first};
    clear(summary.offset);
    run(tokens, summary.offset);
    if constexpr (requires { rule.expect_whole(first); }) {
      rule.expect_whole(first);
      rule.expect_whole(summary.offset);
    }
    auto idle = tokens;
    visit(forget, idle);
    for (Index n = 0; n < Factor::probes(rule.value_count(), rule.key_count()); ++n) {
      auto state = first;
      visit(forget, state);
      clear(state);
      std::apply([&](auto&... memory) { Factor::begin(n, memory...); }, detail::memories_of(state));
      run(idle, state);
      std::apply([&](const auto&... memory) { summary.factor.take(n, memory...); }, detail::memories_of(state));
    }
    return summary;
  }
}
/// The same of a stretch that begins in the rule's initial state.
template <class S, class Rule>
auto affine_summary(const Rule& rule, const typename Rule::template Constants<InArrays<S>>& c,
                    const typename Rule::template Token<InSeries<S>>& tokens) {
  return affine_summary<S>(rule, c, tokens, rule.template initial_state<S>());
}

}  // namespace gdssm
