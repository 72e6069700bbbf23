// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/mesa.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

namespace {

/// A ridge, so that H + Lambda has an inverse.
struct Ridge {
  void operator()(auto& inputs) const {
    auto& lambda = std::get<0>(inputs.parts).lambda;
    for (Index j = 0; j < lambda.size(); ++j) lambda[j] += 4;
  }
};

}  // namespace

TEST_CASE("Mesa has the derivatives, the cuts and the lanes of a learning rule", "[vjp]") {
  using recurrences::Mesa;
  test::expect_rule(Mesa<>(4, 3), Ridge());
  test::expect_rule(Mesa<>(1, 1), Ridge());
  test::expect_same(Mesa<3, 2>(3, 2), Mesa<>(3, 2), Ridge());
}
