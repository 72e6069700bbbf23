// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/train.hpp"

#include "distributed/all_ranks.hpp"
#include "support/catch.hpp"
#include "training/shared_run.hpp"

namespace gdssm {
namespace {

TEST_CASE("ranks train to the weights, losses and checkpoints of one process, bit for bit", "[theorem]") {
  for (const Index parts : {4, 11}) {
    const auto expected = test::shared_run(parts, nullptr, 1);
    for (const int threads : {1, 2}) {
      CAPTURE(parts, threads);
      CHECK((test::shared_run(parts, test::all_ranks(), threads) == expected));
    }
  }
}

TEST_CASE("the short form takes the ranks, and gives each of them the result of one process", "[theorem]") {
  const PaperLayer<> layer(2);
  const LinearRegression tasks{.features = 2, .outputs = 2, .context = 3};
  const auto shared = train(layer, tasks, {.updates = 5, .threads = 2}, *test::all_ranks());
  const auto alone = train(layer, tasks, {.updates = 5});
  CHECK(identical(shared.weights, alone.weights));
  CHECK(shared.loss == alone.loss);
}

}  // namespace
}  // namespace gdssm
