// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/mamba3.hpp"

#include "gdssm/blocks/recurrences/turning_mamba3.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("Mamba-3 has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Mamba3;
  test::expect_rule(Mamba3<>(4, 3));
  test::expect_rule(Mamba3<>(1, 1));
  test::expect_same(Mamba3<3, 2>(3, 2), Mamba3<>(3, 2));
}

TEST_CASE("Mamba-3 with turning keys has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::TurningMamba3;
  test::expect_rule(TurningMamba3<>(4, 3));
  test::expect_rule(TurningMamba3<>(2, 1));
  test::expect_same(TurningMamba3<2, 2>(2, 2), TurningMamba3<>(2, 2));
}
