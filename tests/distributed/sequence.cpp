// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/shared_layer_pass.hpp"

#include "distributed/all_ranks.hpp"
#include "models/shared_layer.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

TEST_CASE("ranks share one sequence, forward and back, with the bits of one process", "[theorem]") {
  OneProcess alone;
  CHECK((test::shared_layer_run(*test::all_ranks()) == test::shared_layer_run(alone)));
}

}  // namespace
}  // namespace gdssm
