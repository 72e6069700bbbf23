// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/preconditioned_gated_delta_rule.hpp"

#include "recurrences/rule_checks.hpp"

using namespace gdssm;

namespace {

/// Second moments and what adds to them above zero, for the logarithm.
struct Positive {
  void operator()(auto& inputs) const {
    auto& [constants, tokens, queries, state] = inputs.parts;
    for (Index j = 0; j < state.second_moment.size(); ++j) state.second_moment[j] += 1;
    for (auto* control : {&tokens.alpha_A, &tokens.beta_A})
      for (Index t = 0; t < control->size(); ++t) control->data()[t] += 1;
  }
};

}  // namespace

TEST_CASE("The preconditioned gated delta rule has the derivatives, the cuts and the lanes of a learning rule",
          "[vjp]") {
  using recurrences::PreconditionedGatedDeltaRule;
  test::expect_rule(PreconditionedGatedDeltaRule<>(4, 3), Positive());
  test::expect_rule(PreconditionedGatedDeltaRule<>(1, 1), Positive());
  test::expect_same(PreconditionedGatedDeltaRule<3, 2>(3, 2), PreconditionedGatedDeltaRule<>(3, 2), Positive());
}
