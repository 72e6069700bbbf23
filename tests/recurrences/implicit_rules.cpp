// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/longhorn.hpp"

#include "gdssm/blocks/recurrences/longhorn_diagonal.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("Longhorn has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Longhorn;
  test::expect_rule(Longhorn<>(4, 3));
  test::expect_rule(Longhorn<>(1, 1));
  test::expect_same(Longhorn<3, 2>(3, 2), Longhorn<>(3, 2));
}

TEST_CASE("The recurrence of Longhorn's code has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::LonghornDiagonal;
  test::expect_rule(LonghornDiagonal<>(4, 3));
  test::expect_rule(LonghornDiagonal<>(1, 1));
  test::expect_same(LonghornDiagonal<3, 2>(3, 2), LonghornDiagonal<>(3, 2));
}
