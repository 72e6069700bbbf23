// SPDX-License-Identifier: Apache-2.0
#include "models/pass.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Pass;

template <class Model>
void check_composition(const Model& model) {
  expect_vjp(Pass<Model>{model, 4, 2});
  expect_vjp(Pass<Model, ForwardSensitivity>{model, 4, 4, 0, {0, 1, 0, 1}});
}

TEST_CASE("the layer pulls back with every discretisation", "[vjp]") {
  check_composition(PaperLayer<3, Bilinear>());
  check_composition(PaperLayer<3, GivenDecay>());
}

TEST_CASE("the layer pulls back with decays of exactly one and zero", "[vjp]") {
  using Layer = PaperLayer<3, GivenDecay>;
  for (const double decay : {1.0, 0.0}) {
    CAPTURE(decay);
    const Pass<Layer> history{{}, 4, 2};
    const Pass<Layer, ForwardSensitivity> sensitivity{{}, 4, 2};
    auto point = history.input<double>();
    test::Random(5).fill(point);
    std::get<0>(point.parts).recurrence.Lambda.setConstant(decay);
    expect_vjp_at(history, point);
    expect_vjp_at(sensitivity, point);
  }
}

TEST_CASE("the layer pulls back with fewer outputs than features", "[vjp]") {
  check_composition(AugmentedSsm<LocalAttention<3>, DiagonalRecurrence<3>, Readout<2, 3>, OutputGate<3>>());
}

TEST_CASE("the layer pulls back with windows of five tokens that advance by one", "[vjp]") {
  using Layer = AugmentedSsm<LocalAttention<3, 5, 1>, DiagonalRecurrence<3>, Readout<3>, OutputGate<3, 5>>;
  check_composition(Layer());
  expect_vjp(Pass<Layer>{{}, 4, 2, 3});
  expect_vjp(Pass<Layer>{{}, 1, 1, 4});
}

TEST_CASE("the layer pulls back with windows that leave tokens out", "[vjp]") {
  check_composition(AugmentedSsm<LocalAttention<2, 2, 5>, DiagonalRecurrence<2>, Readout<2>, OutputGate<2, 2>>());
}

TEST_CASE("the layer pulls back with a preconditioned gate", "[vjp]") {
  check_composition(AugmentedSsm<LocalAttention<3>, DiagonalRecurrence<3>, Readout<3>, PreconditionedGate<3>>());
  check_composition(AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, Readout<>, PreconditionedGate<>>(4));
}

TEST_CASE("the layer pulls back with decays that depend on the token", "[vjp]") {
  using Layer = AugmentedSsm<LocalAttention<2>, SelectiveRecurrence<2>, Readout<2>, OutputGate<2>>;
  expect_vjp(Pass<Layer>{{}, 4, 2});
  expect_vjp(Pass<Layer>{{}, 3, 3, 2, {1, 0, 1}});
}

TEST_CASE("the layer without attention pulls back", "[vjp]") {
  check_composition(AugmentedSsm<TokenProjection<3, 6>, DiagonalRecurrence<3, 1>, Readout<1>, ProjectionGate<3, 6>>());
  using Layer = AugmentedSsm<TokenProjection<>, DiagonalRecurrence<Dynamic, 1>, Readout<1>, ProjectionGate<>>;
  check_composition(Layer({3, 6}, {3, 1}, {}, {3, 6}));
}

}  // namespace
}  // namespace gdssm
