// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/titans.hpp"

#include "gdssm/blocks/recurrences/omega_rule.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("Titans has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Titans;
  test::expect_rule(Titans<>(4, 3));
  test::expect_rule(Titans<>(1, 1));
  test::expect_same(Titans<3, 2>(3, 2), Titans<>(3, 2));
}

TEST_CASE("The Omega rule has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::OmegaRule;
  test::expect_rule(OmegaRule<>(4, 3, 3));
  test::expect_rule(OmegaRule<>(1, 1, 1));
  test::expect_same(OmegaRule<3, 2, 3>(3, 2, 3), OmegaRule<>(3, 2, 3));
}
