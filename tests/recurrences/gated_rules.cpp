// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/gated_delta_net2.hpp"

#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("Gated DeltaNet-2 has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::GatedDeltaNet2;
  test::expect_rule(GatedDeltaNet2<>(4, 3));
  test::expect_rule(GatedDeltaNet2<>(1, 1));
  test::expect_same(GatedDeltaNet2<3, 2>(3, 2), GatedDeltaNet2<>(3, 2));
}

TEST_CASE("Comba has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Comba;
  test::expect_rule(Comba<>(4, 3));
  test::expect_rule(Comba<>(1, 1));
  test::expect_same(Comba<3, 2>(3, 2), Comba<>(3, 2));
}

TEST_CASE("RWKV-7 has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Rwkv7;
  test::expect_rule(Rwkv7<>(4, 3));
  test::expect_rule(Rwkv7<>(1, 1));
  test::expect_same(Rwkv7<3, 2>(3, 2), Rwkv7<>(3, 2));
}
