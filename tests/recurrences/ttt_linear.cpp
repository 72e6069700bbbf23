// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/ttt_linear.hpp"

#include "gdssm/blocks/recurrences/ttt_linear_normed.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("TTT-linear has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::TttLinear;
  test::expect_rule(TttLinear<>(4, 3, 3));
  test::expect_rule(TttLinear<>(1, 1, 3));
  test::expect_same(TttLinear<3, 2>(3, 2, 3), TttLinear<>(3, 2, 3));
}

TEST_CASE("TTT-linear with layer norm has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::TttLinearNormed;
  test::expect_rule(TttLinearNormed<>(4, 3, 0.1));
  test::expect_rule(TttLinearNormed<>(2, 1, 0.1));
  test::expect_same(TttLinearNormed<3>(3, 3, 0.1), TttLinearNormed<>(3, 3, 0.1));
}
