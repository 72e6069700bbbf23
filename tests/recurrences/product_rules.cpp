// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/delta_product.hpp"

#include "gdssm/blocks/recurrences/gated_oja.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

TEST_CASE("DeltaProduct has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::DeltaProduct;
  test::expect_rule(DeltaProduct<>(4, 3, 2));
  test::expect_rule(DeltaProduct<>(1, 1, 2));
  test::expect_same(DeltaProduct<3, 2, 2>(3, 2, 2), DeltaProduct<>(3, 2, 2));
}

TEST_CASE("Gated Oja has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::GatedOja;
  test::expect_rule(GatedOja<>(4, 3));
  test::expect_rule(GatedOja<>(1, 1));
  test::expect_same(GatedOja<3, 2>(3, 2), GatedOja<>(3, 2));
}
