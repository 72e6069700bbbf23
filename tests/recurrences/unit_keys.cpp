// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/unit_keys.hpp"

#include <cmath>

#include "recurrences/rule_checks.hpp"
#include "support/catch.hpp"

#include "gdssm/blocks/recurrences/delta_rule.hpp"

using namespace gdssm;

TEST_CASE("Rules on keys of length one pull back, cut anywhere, in lanes too", "[vjp]") {
  test::expect_rule(recurrences::UnitKeys<recurrences::DeltaRule<>>(3, 2));
  test::expect_vjp(test::RuleFunction<recurrences::UnitKeys<recurrences::DeltaRule<2>>, test::AsDrawn>{{}, {}});
}

TEST_CASE("A rule on unit keys is the rule on keys over their length, as (B8a) has it", "[definition]") {
  const recurrences::DeltaRule<> plain(3, 2);
  const recurrences::UnitKeys<recurrences::DeltaRule<>> unit(3, 2);
  auto in = test::rule_inputs<double>(unit, 5);
  test::Random(7).fill(in);
  auto normalised = in;
  auto& k = std::get<1>(normalised.parts).k;
  for (Index t = 0; t < 5; ++t) {
    Eigen::Map<Eigen::VectorXd> key(k[t].data(), 3);
    key /= std::sqrt(key.squaredNorm() + 1e-6);
  }
  const auto got = test::rule_outputs<double>(unit, in, 2), expected = test::rule_outputs<double>(plain, normalised, 2);
  CHECK((std::get<0>(got.parts).matrix() - std::get<0>(expected.parts).matrix()).norm() < 1e-15);
}
