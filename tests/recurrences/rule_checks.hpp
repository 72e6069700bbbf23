// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/no_heap.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/recurrences/sequence_pass.hpp"

// What every learning rule has to show.
namespace gdssm::test {

/// All that a rule reads along a sequence: a bundle of constants, tokens, queries and the first state.
template <class T, class Rule>
auto rule_inputs(const Rule& rule, Index length) {
  return bundle({"constants", "tokens", "queries", "state"}, rule.template constants<InArrays<T>>(),
                tokens_of<T>(rule, length), Array<T, Rule::keys>(rule.key_count(), length),
                rule.template initial_state<T>());
}
/// All that it says: a bundle of outputs and the last state.
template <class T, class Rule, class Inputs>
auto rule_outputs(const Rule& rule, const Inputs& in, Index chunk) {
  const auto& [constants, tokens, queries, first] = in.parts;
  Array<T, Rule::values> o(rule.value_count(), queries.cols());
  auto state = first;
  SequencePass<Rule, T>(rule, queries.cols(), chunk).forward(constants, tokens, queries.view(), state, o.view());
  return bundle({"outputs", "state"}, o, state);
}
template <class T, class Rule, class Inputs, class Outputs>
auto rule_pull_back(const Rule& rule, const Inputs& in, const Outputs& out_bar, Index chunk) {
  const auto& [constants, tokens, queries, first] = in.parts;
  const auto& [o_bar, last_bar] = out_bar.parts;
  auto in_bar = rule_inputs<T>(rule, queries.cols());
  auto& [constants_bar, tokens_bar, queries_bar, state_bar] = in_bar.parts;
  state_bar = last_bar;
  SequencePass<Rule, T>(rule, queries.cols(), chunk)
      .vjp(constants, tokens, queries.view(), first, o_bar.view(), state_bar, constants_bar, tokens_bar,
           queries_bar.view());
  return in_bar;
}

/// Leaves inputs as they were drawn. Rules that are not defined everywhere have another of this form.
struct AsDrawn {
  void operator()(auto&) const {}
};

/// A rule along a sequence, for `check_vjp`.
template <class Rule, class Shift>
struct RuleFunction {
  const Rule& rule;
  Shift shift;
  Index length = 4, chunk = 2;

  template <class T>
  auto input() const {
    return rule_inputs<T>(rule, length);
  }
  template <class T>
  auto output(const auto& in) const {
    auto shifted = in;
    shift(shifted);
    return rule_outputs<T>(rule, shifted, chunk);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    auto shifted = in;
    shift(shifted);
    return rule_pull_back<T>(rule, shifted, out_bar, chunk);
  }
};

/// Tokens `begin` to `end` of a sequence.
template <class S, class Rule, class Inputs>
Inputs piece_of(const Rule& rule, const Inputs& whole, Index begin, Index end) {
  Inputs piece = whole;
  auto& [constants, tokens, queries, state] = piece.parts;
  tokens = tokens_of<S>(rule, end - begin);
  queries = Array<S, Rule::keys>(rule.key_count(), end - begin);
  const auto cut = [&](const Name&, const auto& from, auto& to) {
    for (Index i = 0; i < to.size(); ++i) to.data()[i] = from.data()[begin * from.rows() + i];
  };
  visit(cut, std::get<1>(whole.parts), tokens);
  cut(Name{}, std::get<2>(whole.parts), queries);
  return piece;
}

/// What steps and readouts give one by one is what the pass gives, bit for bit, cut anywhere, forward and back.
template <class S, class Rule, class Shift>
void expect_cuts(const Rule& rule, const Shift& shift, std::uint64_t seed) {
  const Index length = 7;
  auto in = rule_inputs<S>(rule, length);
  Random random(seed);
  random.fill(in);
  shift(in);
  const auto out = rule_outputs<S>(rule, in, 3);
  auto out_bar = out;
  random.fill(out_bar);
  const auto& [o_bar, last_bar] = out_bar.parts;
  const auto in_bar = rule_pull_back<S>(rule, in, out_bar, 3);

  for (const Index chunk : {1, 2, 7, 100}) {
    INFO("chunks of " << chunk);
    CHECK(identical(rule_outputs<S>(rule, in, chunk), out));
    CHECK(identical(rule_pull_back<S>(rule, in, out_bar, chunk), in_bar));
  }
  for (const Index cut : {0, 1, 4, 7}) {
    INFO("cut at " << cut);
    const auto front = piece_of<S>(rule, in, 0, cut);
    auto back = piece_of<S>(rule, in, cut, length);
    std::get<3>(back.parts) = std::get<1>(rule_outputs<S>(rule, front, 2).parts);
    CHECK(std::get<1>(rule_outputs<S>(rule, back, 2).parts) == std::get<1>(out.parts));

    auto back_bar = rule_outputs<S>(rule, back, 2), front_bar = rule_outputs<S>(rule, front, 2);
    auto& [back_o_bar, back_state_bar] = back_bar.parts;
    auto& [front_o_bar, front_state_bar] = front_bar.parts;
    for (Index i = 0; i < o_bar.size(); ++i)
      (i < front_o_bar.size() ? front_o_bar[i] : back_o_bar[i - front_o_bar.size()]) = o_bar[i];
    back_state_bar = last_bar;
    const auto back_in_bar = rule_pull_back<S>(rule, back, back_bar, 2);
    front_state_bar = std::get<3>(back_in_bar.parts);
    const auto front_in_bar = rule_pull_back<S>(rule, front, front_bar, 2);
    CHECK(identical(std::get<3>(front_in_bar.parts), std::get<3>(in_bar.parts)));
    CHECK(identical(std::get<1>(front_in_bar.parts), std::get<1>(piece_of<S>(rule, in_bar, 0, cut).parts)));
    CHECK(identical(std::get<1>(back_in_bar.parts), std::get<1>(piece_of<S>(rule, in_bar, cut, length).parts)));
  }

  auto [constants, tokens, queries, state] = in.parts;
  auto [constants_bar, tokens_bar, queries_bar, state_bar] = in_bar.parts;
  auto ws = rule.template workspace<S>();
  Array<S, Rule::values> o(rule.value_count(), length);
  const auto before = state;
  const auto step_and_back = [&rule, &c = constants, &x = tokens, &q = std::as_const(queries), &s = state, &o, &ws,
                              &before, &c_bar = constants_bar, &x_bar = tokens_bar, &q_bar = queries_bar,
                              &s_bar = state_bar] {
    for (Index t = 0; t < q.cols(); ++t) {
      rule.step(c, token_at<S>(rule, x, t), s, ws);
      rule.read(c, s, q.view().column(t), o.view().column(t), ws);
    }
    rule.read_vjp(c, s, q.view().column(0), std::as_const(o).view().column(0), s_bar, c_bar, q_bar.view().column(0),
                  ws);
    rule.step_vjp(c, token_at<S>(rule, x, 0), before, s_bar, c_bar, token_bar_at<S>(rule, x_bar, 0), ws);
  };
  CHECK(allocations_of(step_and_back) == 0);
  CHECK(o == std::get<0>(out.parts));
  CHECK(state == std::get<1>(out.parts));
}

/// Lanes do what numbers do, but for elementary functions, whose last bits differ.
template <class Rule, class Shift>
void expect_lanes(const Rule& rule, const Shift& shift, std::uint64_t seed) {
  using S = Lanes<float>;
  auto in = rule_inputs<S>(rule, 5);
  Random random(seed);
  random.fill(in);
  shift(in);
  auto out_bar = rule_outputs<S>(rule, in, 2);
  const auto out = out_bar;
  random.fill(out_bar);
  const auto in_bar = rule_pull_back<S>(rule, in, out_bar, 2);
  for (const Index lane : {Index(0), lane_count<S> - 1}) {
    auto one = rule_inputs<float>(rule, 5), one_bar = one;
    const auto take = [&](const Name&, const auto& lanes, auto& number) {
      for (Index i = 0; i < number.size(); ++i) number.data()[i] = lanes.data()[i][lane];
    };
    visit(take, in, one);
    auto of_one = rule_outputs<float>(rule, one, 2), of_one_bar = of_one, of_lane = of_one;
    visit(take, out, of_lane);
    visit(take, out_bar, of_one_bar);
    visit(take, in_bar, one_bar);
    const auto near = [](const Name& name, const auto& got, const auto& expected) {
      INFO(name.str());
      float worst = 0, largest = 1;
      for (Index i = 0; i < got.size(); ++i) {
        worst = std::max(worst, std::abs(got.data()[i] - expected.data()[i]));
        largest = std::max(largest, std::abs(expected.data()[i]));
      }
      CHECK(worst <= 2e-5f * largest);
    };
    visit(near, of_lane, of_one);
    visit(near, one_bar, rule_pull_back<float>(rule, one, of_one_bar, 2));
  }
}

/// All of this, and the derivatives.
template <class Rule, class Shift = AsDrawn>
void expect_rule(const Rule& rule, const Shift& shift = {}, std::uint64_t seed = 1) {
  static_assert(recurrences::LearningRule<Rule> && recurrences::LearningRule<Rule, Lanes<float>>);
  expect_vjp(RuleFunction<Rule, Shift>{rule, shift}, seed);
  expect_cuts<float>(rule, shift, seed);
  expect_lanes(rule, shift, seed);
}

/// A rule whose sizes are in its type says, bit for bit, what one of the same sizes at run time does.
template <class Fixed, class Rule, class Shift = AsDrawn>
void expect_same(const Fixed& fixed, const Rule& rule, const Shift& shift = {}, std::uint64_t seed = 1) {
  static_assert(recurrences::LearningRule<Fixed>);
  using S = float;
  auto in = rule_inputs<S>(rule, 5);
  Random random(seed);
  random.fill(in);
  shift(in);
  auto same_in = rule_inputs<S>(fixed, 5);
  const auto copy = [](const Name&, const auto& from, auto& to) {
    REQUIRE(to.size() == from.size());
    for (Index i = 0; i < to.size(); ++i) to.data()[i] = from.data()[i];
  };
  visit(copy, in, same_in);
  const auto out = rule_outputs<S>(rule, in, 2);
  const auto same_out = rule_outputs<S>(fixed, same_in, 2);
  CHECK(detail::entries<S>(out) == detail::entries<S>(same_out));
  CHECK(detail::entries<S>(rule_pull_back<S>(rule, in, out, 2)) ==
        detail::entries<S>(rule_pull_back<S>(fixed, same_in, same_out, 2)));
}

}  // namespace gdssm::test
