// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/learning_recurrence.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "support/message_of.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"

using namespace gdssm;
using test::expect_vjp;

static_assert(RecurrenceBlock<LearningRecurrence<recurrences::DeltaRule<3>>>);
static_assert(RecurrenceBlock<LearningRecurrence<recurrences::Kda<>>>);
static_assert(RecurrenceBlock<LearningRecurrence<recurrences::Comba<>, 2, TrainedControls>>);
static_assert(ConstructedBlock<LearningRecurrence<recurrences::LinearAttention<3>>> &&
              !ConstructedBlock<LearningRecurrence<recurrences::DeltaRule<3>>>);

TEST_CASE("Learning rules in a slot pull back to controls, constants, factors and state", "[vjp]") {
  expect_vjp(LearningRecurrence<recurrences::DeltaRule<1>>());
  expect_vjp(LearningRecurrence<recurrences::Mamba2<>>(recurrences::Mamba2<>(3, 2)));
  expect_vjp(LearningRecurrence<recurrences::Kda<>, 1, TrainedControls>(recurrences::Kda<>(3, 2)));
}

TEST_CASE("Rules of several keys in a slot pull back to all of them", "[vjp]") {
  expect_vjp(LearningRecurrence<recurrences::Rwkv7<>, 2>(recurrences::Rwkv7<>(3, 2)));
  expect_vjp(LearningRecurrence<recurrences::DeltaProduct<>, 2>(recurrences::DeltaProduct<>(2, 3, 2)));
}

TEST_CASE("A rule in a slot takes its keys from the left factors, its values from the right, its controls by (45)",
          "[definition]") {
  test::Random random(1);
  const recurrences::Rwkv7<> rule(3, 2);
  const LearningRecurrence<recurrences::Rwkv7<>, 2> block(rule);
  REQUIRE(block.control_count() == 6);
  auto c = block.coefficients<double>();
  auto state = block.initial_state<double>();
  Array<double, Dynamic, 2> left(3, 2), right(2, 2);
  random.fill(c), random.fill(left), random.fill(right), random.fill(state);
  auto plain = state;
  auto ws = block.workspace<double>();
  block.step(c, Factors<const double, Dynamic, Dynamic, 2>{left.view(), right.view()},
             static_cast<const double*>(nullptr), state, ws);

  auto x = tokens_of<double>(rule, 1);
  const auto z = [&](Index i) {
    double sum = c.bias[i];
    for (Index j = 0; j < 6; ++j) sum += c.weight(i, j) * left[j];
    return sum;
  };
  for (Index j = 0; j < 3; ++j) {
    x.k.data()[j] = left(j, 0);
    x.kappa.data()[j] = left(j, 1);
    x.w.data()[j] = std::exp(-std::log(1 + std::exp(z(j))));
    x.a.data()[j] = 1 / (1 + std::exp(-z(3 + j)));
  }
  for (Index i = 0; i < 2; ++i) x.v.data()[i] = right(i, 0);
  auto rule_ws = rule.workspace<double>();
  rule.step({}, token_at<double>(rule, x, 0), plain, rule_ws);
  CHECK((state.memory.matrix() - plain.memory.matrix()).norm() < 1e-15);
}

TEST_CASE("A rule with more keys than its factors is refused", "[misuse]") {
  const recurrences::Comba<> rule(3, 2);
  CHECK(test::message_of([&] { LearningRecurrence<recurrences::Comba<>>{rule}; }) ==
        "LearningRecurrence: the rank is 1, expected at least 2, the keys and values of the rule");
}
