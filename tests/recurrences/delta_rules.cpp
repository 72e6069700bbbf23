// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/delta_rule.hpp"

#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("The delta rule has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::DeltaRule;
  test::expect_rule(DeltaRule<>(4, 3));
  test::expect_rule(DeltaRule<>(1, 1));
  test::expect_same(DeltaRule<3, 2>(3, 2), DeltaRule<>(3, 2));
}

TEST_CASE("The gated delta rule has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::GatedDeltaRule;
  test::expect_rule(GatedDeltaRule<>(4, 3));
  test::expect_rule(GatedDeltaRule<>(1, 1));
  test::expect_same(GatedDeltaRule<3, 2>(3, 2), GatedDeltaRule<>(3, 2));
}

TEST_CASE("KDA has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Kda;
  test::expect_rule(Kda<>(4, 3));
  test::expect_rule(Kda<>(1, 1));
  test::expect_same(Kda<3, 2>(3, 2), Kda<>(3, 2));
}
