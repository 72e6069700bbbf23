// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/ridge.hpp"

#include <cmath>
#include <utility>

#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/recurrences/mesa.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;

static_assert(AttentionBlock<MomentProjection<>> && AttentionBlock<MomentProjection<3, 2, 5>>);
static_assert(ReadoutBlock<RidgeReadout<>> && ReadoutBlock<RidgeReadout<4, 2, 3>>);

TEST_CASE("keys and moments pull back to their maps and to the token", "[vjp]") {
  expect_vjp(MomentProjection<>(1, 1, 1));
  expect_vjp(MomentProjection<>(4, 3, 2));
}

TEST_CASE("a readout that solves pulls back to its weights, its penalties, the state and the query", "[vjp]") {
  expect_vjp(RidgeReadout<>(1, 1, 1));
  expect_vjp(RidgeReadout<>(4, 2, 3));
  expect_vjp(RidgeReadout<4, 2, 3>(4, 2, 3));
}

TEST_CASE("Moments that add up, and a readout that solves, are the Mesa layer without decays", "[theorem]") {
  const Index f = 4, r = 3, n = 2, T = 6;
  using Layer = AugmentedSsm<MomentProjection<>, UnitDecay<>, RidgeReadout<>, ProjectionGate<>>;
  const Layer layer({f, r, n}, {r, n + r}, {f, n, r}, {r, f});
  auto p = layer.parameters<double>();
  test::Random random(5);
  random.fill(p);
  const Eigen::MatrixXd X = Eigen::MatrixXd::Random(f, T), Y = layer.predict(p, X);

  const recurrences::Mesa<> rule(r, n);
  auto constants = rule.constants<InArrays<double>>();
  for (Index j = 0; j < r; ++j) constants.lambda[j] = std::exp(p.readout.log_ridge[j]);
  auto state = rule.initial_state<double>();
  auto ws = rule.workspace<double>();
  Array<double, Dynamic, 1> k(r, 1), v(n, 1), q(r, 1), o(n, 1);
  const double one = 1;
  for (Index t = 0; t < T; ++t) {
    k.matrix() = p.attention.key * X.col(t);
    v.matrix() = p.attention.value * X.col(t);
    q.matrix() = p.gate.D * X.col(t);
    rule.step(constants, {{{std::as_const(k).view(), std::as_const(v).view()}, {&one, 1, 1}}, {&one, 1, 1}}, state, ws);
    rule.read(constants, state, std::as_const(q).view(), o.view(), ws);
    CHECK((Y.col(t) + p.readout.C * o.matrix()).norm() < 1e-14);
  }
}

TEST_CASE("a readout that solves says which sizes it does not have", "[misuse]") {
  CHECK_THROWS_WITH(RidgeReadout<>(4, 0, 3),
                    "RidgeReadout: there are 4 outputs, 0 values and 3 keys, expected at "
                    "least 1 of each");
  CHECK_THROWS_WITH((RidgeReadout<4, 2, 3>(4, 2, 2)), "RidgeReadout: the number of keys is 2, expected 3");
}

}  // namespace
}  // namespace gdssm
