// SPDX-License-Identifier: Apache-2.0
#include "baselines/layer_case.hpp"
#include "blocks/prepare.hpp"
#include "support/catch.hpp"

#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/selective_ssm.hpp"

namespace gdssm {
namespace {

using test::check_vjp;
using test::LayerCase;

TEST_CASE("the selective SSM pulls back to its weights and to the sequence", "[vjp]") {
  check_vjp(LayerCase<SelectiveSsmLayer>{{1, 1, 1}, 1});
  check_vjp(LayerCase<SelectiveSsmLayer>{{3, 2, 2}, 3});
}

TEST_CASE("the gated linear RNN pulls back to its weights and to the sequence", "[vjp]") {
  check_vjp(test::Prepare<GatedLinearRnnLayer>{{2, 3, 2}});
  check_vjp(LayerCase<GatedLinearRnnLayer>{{1, 1, 1}, 1});
  check_vjp(LayerCase<GatedLinearRnnLayer>{{3, 2, 2}, 3});
}

TEST_CASE("the RG-LRU block pulls back to its weights and to the sequence", "[vjp]") {
  check_vjp(LayerCase<RgLruLayer>{{1, 1}, 1});
  check_vjp(LayerCase<RgLruLayer>{{3, 2}, 3});
}

}  // namespace
}  // namespace gdssm
