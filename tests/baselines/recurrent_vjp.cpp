// SPDX-License-Identifier: Apache-2.0
#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/selective_ssm.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::LayerCase;

TEST_CASE("the selective SSM pulls back to its weights and to the sequence", "[vjp]") {
  expect_vjp(LayerCase<SelectiveSsmLayer>{{1, 1, 1}, 1});
  expect_vjp(LayerCase<SelectiveSsmLayer>{{3, 2, 2}, 3});
}

TEST_CASE("the gated linear RNN pulls back to its weights and to the sequence", "[vjp]") {
  const GatedLinearRnnLayer layer(2, 3, 2);
  expect_vjp(gdssm::detail::PrepareFunction<GatedLinearRnnLayer>{layer});
  expect_vjp(LayerCase<GatedLinearRnnLayer>{{1, 1, 1}, 1});
  expect_vjp(LayerCase<GatedLinearRnnLayer>{{3, 2, 2}, 3});
}

TEST_CASE("the RG-LRU block pulls back to its weights and to the sequence", "[vjp]") {
  expect_vjp(LayerCase<RgLruLayer>{{1, 1}, 1});
  expect_vjp(LayerCase<RgLruLayer>{{3, 2}, 3});
}

}  // namespace
}  // namespace gdssm
