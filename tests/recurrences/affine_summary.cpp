// SPDX-License-Identifier: Apache-2.0
// What a stretch of tokens does to a memory is an affine map, whose composition is what two stretches do.
#include "recurrences/exact_rules.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <type_traits>

#include "gdssm/blocks/recurrences/all.hpp"
#include "support/message_of.hpp"
#include "support/random.hpp"

using namespace gdssm;
using namespace gdssm::test;
namespace rules = gdssm::recurrences;

namespace {

bool is_vector(std::string_view name) { return name == "k" || name == "v" || name == "p" || name == "kappa"; }

/// Constants and tokens of a rule, and any first state.
template <class S, class Rule>
struct Stretch {
  using State = typename Rule::template State<S>;
  using Tokens = typename Rule::template Token<InSeries<S>>;

  Rule rule;
  typename Rule::template Constants<InArrays<S>> constants;
  Tokens tokens;
  State first;

  Stretch(const Rule& of, Index length, unsigned seed)
      : rule(of),
        constants(of.template constants<InArrays<S>>()),
        tokens(tokens_of<S>(of, length)),
        first(of.template initial_state<S>()) {
    Engine engine(seed);
    const auto draw = [&](const Name& name, auto& member) {
      for (Index i = 0; i < member.size(); ++i)
        member.data()[i] = number(is_vector(name.leaf()) ? random_fraction(engine) : random_share(engine));
    };
    visit(draw, constants);
    visit(draw, tokens);
    visit(
        [&](const Name& name, auto& member) {
          for (Index i = 0; i < member.size(); ++i)
            member.data()[i] = number(name.leaf() == "second_moment" ? random_share(engine) : random_fraction(engine));
        },
        first);
  }
  static S number(const Q& x) {
    if constexpr (std::is_same_v<S, Q>)
      return x;
    else
      return static_cast<S>(static_cast<double>(x));
  }

  Tokens piece(Index begin, Index end) const {
    Tokens some = tokens_of<S>(rule, end - begin);
    visit(
        [&](const Name&, const auto& from, auto& to) {
          for (Index i = 0; i < to.size(); ++i) to.data()[i] = from.data()[begin * from.rows() + i];
        },
        tokens, some);
    return some;
  }
  State run(State state, Index begin, Index end) const {
    auto ws = rule.template workspace<S>();
    for (Index t = begin; t < end; ++t) rule.step(constants, token_at<S>(rule, tokens, t), state, ws);
    return state;
  }
  auto summary(const State& from, Index begin, Index end) const {
    return affine_summary<S>(rule, constants, piece(begin, end), from);
  }
};

/// Memories, and for rules that keep nothing else that is read, the whole state.
template <class State>
bool same(const State& a, const State& b) {
  if constexpr (requires { a.position; })
    return a.memory == b.memory && a.position == b.position;
  else
    return a == b;
}

/// Theorem: F and U of a stretch are the same however it is cut, and give the state from any first one.
template <class Rule>
void expect_summary(const Rule& rule, Index part = 2) {
  const Stretch<Q, Rule> x(rule, 3 * part, 5);
  const Index length = 3 * part;
  const auto whole = x.summary(x.first, 0, length);
  CHECK(same(whole(x.first), x.run(x.first, 0, length)));
  const auto at_part = x.run(x.first, 0, part), at_parts = x.run(x.first, 0, 2 * part);
  const auto a = x.summary(x.first, 0, part), b = x.summary(at_part, part, 2 * part),
             c = x.summary(at_parts, 2 * part, length);
  const auto both = a.then(b).then(c);
  CHECK(both.factor == whole.factor);
  CHECK(same(both.offset, whole.offset));
  CHECK(same(both(x.first), whole(x.first)));
  const auto other = a.then(b.then(c));
  CHECK(other.factor == both.factor);
  CHECK(same(other.offset, both.offset));
  const auto none = x.summary(x.first, 0, 0), none_after = x.summary(at_part, part, part);
  CHECK(none.then(a).factor == a.factor);
  CHECK(same(none.then(a).offset, a.offset));
  CHECK(a.then(none_after).factor == a.factor);
  CHECK(same(a.then(none_after).offset, a.offset));
  CHECK(same(none(x.first), x.first));
  // The order matters, and so does every token.
  if constexpr (!std::is_same_v<Rule, rules::LinearAttention<>>) CHECK_FALSE(same(a.then(b).offset, b.then(a).offset));
}

/// In double, within 1e-12 of the largest entry.
template <class Rule>
void expect_summary_in_double(const Rule& rule) {
  const Stretch<double, Rule> x(rule, 12, 6);
  const auto summary = x.summary(x.first, 0, 5).then(x.summary(x.run(x.first, 0, 5), 5, 12));
  const auto got = summary(x.first), expected = x.run(x.first, 0, 12);
  visit(
      [](const Name& name, const auto& a, const auto& b) {
        CAPTURE(name.str());
        double apart = 0, largest = 1;
        for (Index i = 0; i < a.size(); ++i) {
          apart = std::max(apart, std::abs(a.data()[i] - b.data()[i]));
          largest = std::max(largest, std::abs(b.data()[i]));
        }
        CHECK(apart < 1e-12 * largest);
      },
      got, expected);
}

}  // namespace

TEST_CASE("Theorem: stretches of additive rules are scaled sums", "[theorem]") {
  expect_summary(rules::LinearAttention<>(3, 2));
  expect_summary(rules::RetNet<>(3, 2));
  expect_summary(rules::Mamba2<>(3, 2));
  expect_summary(rules::GatedLinearAttention<>(3, 2));
  expect_summary(rules::Mamba3<>(3, 2));
}

TEST_CASE("Theorem: stretches of rank-one rules are a matrix on the right, or on the left, and a sum", "[theorem]") {
  expect_summary(rules::DeltaRule<>(3, 2));
  expect_summary(rules::GatedDeltaRule<>(2, 3));
  expect_summary(rules::Kda<>(3, 2));
  expect_summary(rules::GatedDeltaNet2<>(3, 2));
  expect_summary(rules::DeltaProduct<>(3, 2, 2));
  expect_summary(rules::Comba<>(3, 2));
  expect_summary(rules::Rwkv7<3, 2>());
  expect_summary(rules::GatedOja<>(3, 2));
  expect_summary(rules::GatedOja<>(2, 3));
}

TEST_CASE("Theorem: stretches of Longhorn move every row by itself, those of its code every entry", "[theorem]") {
  expect_summary(rules::Longhorn<>(3, 2), 1);
  expect_summary(rules::LonghornDiagonal<>(3, 2), 1);
}

TEST_CASE("Theorem: stretches of rules with more state map it together, for the pairs before them", "[theorem]") {
  expect_summary(rules::Titans<>(3, 2));
  expect_summary(rules::OmegaRule<>(3, 2, 3), 1);
  expect_summary(rules::Mesa<>(3, 2));
}

TEST_CASE("Theorem: TTT-linear's stretches of whole mini-batches are a matrix on the right and a sum", "[theorem]") {
  const rules::TttLinear<> rule(3, 2, 2);
  Stretch<Q, rules::TttLinear<>> x(rule, 5, 7);
  const auto whole = x.summary(x.first, 0, 4);
  CHECK(same(whole(x.first), x.run(x.first, 0, 4)));
  const auto both = x.summary(x.first, 0, 2).then(x.summary(x.first, 2, 4));
  CHECK(both.factor == whole.factor);
  CHECK(same(both.offset, whole.offset));
  CHECK(message_of([&] { x.summary(x.first, 0, 3); }) ==
        "TttLinear: a stretch begins or ends after token 1 of a batch, expected after its last");
}

TEST_CASE("Summaries in double are those of the rules' steps, angles and logarithms included") {
  expect_summary_in_double(rules::TurningMamba3<>(4, 3));
  expect_summary_in_double(rules::PreconditionedGatedDeltaRule<>(3, 2, 1e-3, 1.5));
  expect_summary_in_double(rules::Mamba2<>(3, 2));
  expect_summary_in_double(rules::GatedDeltaRule<>(3, 5));
  expect_summary_in_double(rules::Rwkv7<>(5, 3));
  expect_summary_in_double(rules::Titans<>(5, 3));
  expect_summary_in_double(rules::Longhorn<>(4, 3));
}
