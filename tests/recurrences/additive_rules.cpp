// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/linear_attention.hpp"

#include "gdssm/blocks/recurrences/gated_linear_attention.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/ret_net.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("Linear attention has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::LinearAttention;
  test::expect_rule(LinearAttention<>(4, 3));
  test::expect_rule(LinearAttention<>(1, 1));
  test::expect_same(LinearAttention<3, 2>(3, 2), LinearAttention<>(3, 2));
}

TEST_CASE("RetNet has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::RetNet;
  test::expect_rule(RetNet<>(4, 3));
  test::expect_rule(RetNet<>(1, 1));
  test::expect_same(RetNet<3, 2>(3, 2), RetNet<>(3, 2));
}

TEST_CASE("Mamba-2 has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Mamba2;
  test::expect_rule(Mamba2<>(4, 3));
  test::expect_rule(Mamba2<>(1, 1));
  test::expect_same(Mamba2<3, 2>(3, 2), Mamba2<>(3, 2));
}

TEST_CASE("Gated linear attention has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::GatedLinearAttention;
  test::expect_rule(GatedLinearAttention<>(4, 3));
  test::expect_rule(GatedLinearAttention<>(1, 1));
  test::expect_same(GatedLinearAttention<3, 2>(3, 2), GatedLinearAttention<>(3, 2));
}
