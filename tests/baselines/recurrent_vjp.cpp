// SPDX-License-Identifier: Apache-2.0
#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/selective_ssm.hpp"

namespace gdssm {
namespace {

using test::expect_model;

static_assert(CausalLayer<SelectiveSsmLayer> && CausalLayer<GatedLinearRnnLayer> && CausalLayer<RgLruLayer>);

TEST_CASE("the selective SSM steps as it goes forward, anywhere, and pulls back to weights, sequence and state",
          "[vjp][state]") {
  expect_model(SelectiveSsmLayer(1, 1, 1));
  expect_model(SelectiveSsmLayer(3, 2, 2));
}

TEST_CASE("the gated linear RNN steps as it goes forward, anywhere, and pulls back to weights, sequence and state",
          "[vjp][state]") {
  expect_model(GatedLinearRnnLayer(1, 1, 1));
  expect_model(GatedLinearRnnLayer(3, 2, 2));
}

TEST_CASE("the RG-LRU block steps as it goes forward, anywhere, and pulls back to weights, sequence and state",
          "[vjp][state]") {
  expect_model(RgLruLayer(1, 1));
  expect_model(RgLruLayer(3, 2));
}

TEST_CASE("layers say which columns, masks and workspaces do not fit", "[misuse]") {
  const RgLruLayer layer(3, 2);
  const auto c = layer.coefficients<double>();
  auto state = layer.initial_state<double>();
  auto ws = layer.workspace<double>();
  auto gradient_ws = layer.gradient_workspace<double>(1, 1);
  auto c_bar = layer.coefficients<double>();
  const Array<double> X(3, 2), low(2, 2), mask(1, 3);
  Array<double> Y(3, 2), wide(3, 3);
  CHECK_THROWS_WITH(layer.forward(c, {low.view()}, state, Y.view(), ws),
                    "ColumnLayer: the number of features is 2, expected 3");
  CHECK_THROWS_WITH(layer.forward(c, {X.view(), mask.view()}, state, Y.view(), ws),
                    "ColumnLayer: the length of the mask is 3, expected 2");
  CHECK_THROWS_WITH(layer.forward(c, {X.view()}, state, wide.view(), ws),
                    "ColumnLayer: outputs at the last 3 columns, expected 0 to 2");
  const auto nothing = [](Index, View<const double, Dynamic, 1>, View<double, Dynamic, 1>) {};
  CHECK_THROWS_WITH(layer.vjp(c, Sequence<double>{X.view()}, state, 2, nothing, c_bar, gradient_ws),
                    "ColumnLayer::vjp: the sequence has 2 columns, the workspace room for 1");
  CHECK_THROWS_WITH(RgLruLayer(3, 0), "RgLruLayer: the number of states is 0, expected at least 1");
}

}  // namespace
}  // namespace gdssm
