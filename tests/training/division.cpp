// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/division.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/message_of.hpp"
#include "support/processes.hpp"
#include "training/shared_run.hpp"

namespace gdssm {
namespace {

using test::shared_run;

TEST_CASE("weights, losses and checkpoints are the same bits on any number of processes and threads", "[theorem]") {
  for (const Index parts : {4, 11}) {
    const auto expected = shared_run(parts, nullptr, 1);
    REQUIRE(expected.back().find("nan") == std::string::npos);
    for (const Index size : {1, 2, 3, 5, 13}) {
      std::vector<std::vector<std::string>> found(static_cast<std::size_t>(size));
      test::run_as_processes(size, [&](Processes& world) {
        found[static_cast<std::size_t>(world.rank())] = shared_run(parts, &world, size == 3 ? 2 : 1);
      });
      CAPTURE(parts, size);
      for (const auto& files : found) CHECK((files == expected));
    }
  }
}

TEST_CASE("another number of parts differs by rounding", "[theorem]") {
  CHECK(shared_run(4, nullptr, 1).back() != shared_run(11, nullptr, 1).back());
}

TEST_CASE("each process draws the groups of its parts alone", "[theorem]") {
  using S = Lanes<float>;
  const PaperLayer<> layer(2);
  const auto p = reference_initialization<float>(layer, 1);
  std::vector<std::vector<Index>> drawn(3);
  test::run_as_processes(3, [&](Processes& world) {
    Batch<S> batch(layer.window(), 6 * lane_count<S>, 5, 2, 1);
    BatchGradient<PaperLayer<>, S> gradient(layer, 2, 1, {}, {.parts = 4, .processes = &world});
    auto p_bar = p;
    ThreadPool pool;
    gradient(p, batch, p_bar, pool, [&](Index g) { drawn[static_cast<std::size_t>(world.rank())].push_back(g); });
  });
  CHECK((drawn[0] == std::vector<Index>{0, 4, 1, 5}));
  CHECK((drawn[1] == std::vector<Index>{2}));
  CHECK((drawn[2] == std::vector<Index>{3}));
}

TEST_CASE("runs that differ between processes are refused before the first update, on each", "[misuse]") {
  const PaperLayer<> layer(2);
  const LinearRegression tasks{.features = 2, .outputs = 2, .context = 2};
  std::vector<std::string> messages(2);
  const auto both = [&](auto&& settings, auto&& start) {
    test::run_as_processes(2, [&](Processes& world) {
      messages[static_cast<std::size_t>(world.rank())] =
          test::message_of([&] { train(layer, tasks, settings(world.rank()), world, start(world.rank())); });
    });
    CHECK(messages[0] == messages[1]);
    return messages[0];
  };
  const auto weights = [&](Index seed) { return reference_initialization<float>(layer, std::uint64_t(seed)); };
  const auto same = [&](Index) { return weights(1); };
  CHECK(both([](Index r) { return TrainingSettings{.updates = 2, .seed = 7 + std::uint64_t(r)}; }, same) ==
        "rank 1: the seed of the tasks is 8, expected 7 as on rank 0");
  CHECK(both([](Index r) { return TrainingSettings{.updates = 2 + r}; }, same)
            .find("rank 1: updates, batch, updates a draw, losses and parts is 3 64 1 1 4") == 0);
  CHECK(both([](Index) { return TrainingSettings{.updates = 2}; }, weights)
            .find("rank 1: a hash of the weights and the optimiser's state is ") == 0);
  CHECK(both([](Index) { return TrainingSettings{.updates = 2}; }, same).empty());
}

TEST_CASE("fewer than one part is refused", "[misuse]") {
  using Gradient = BatchGradient<PaperLayer<>, float>;
  CHECK(test::message_of([] { Gradient(PaperLayer<>(2), 2, 1, {}, {.parts = 0}); }) ==
        "Division: the number of parts is 0, expected at least 1");
}

}  // namespace
}  // namespace gdssm
