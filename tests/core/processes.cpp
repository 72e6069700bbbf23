// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/processes.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/message_of.hpp"
#include "support/processes.hpp"

namespace gdssm {
namespace {

/// What fold_in_fours makes of parts 0, 1, ..., with brackets around every sum, on so many processes.
std::string folded(Index parts, Index processes) {
  std::string whole;
  test::run_as_processes(processes, [&](Processes& world) {
    std::vector<std::string> part(static_cast<std::size_t>(parts));
    const ItemRange mine = items_of(world.rank(), parts, world.size());
    for (Index i = mine.first; i < mine.end(); ++i) part[static_cast<std::size_t>(i)] = std::to_string(i);
    const auto take = [&](Index first, const std::string& other) {
      std::string& to = part[static_cast<std::size_t>(first)];
      to = "(" + to + "+" + other + ")";
    };
    fold_in_fours(
        parts, world, [&](Index first, Index other) { take(first, part[static_cast<std::size_t>(other)]); },
        [&](Index other, Index to) { send_text(world, part[static_cast<std::size_t>(other)], to); },
        [&](Index first, Index from) { take(first, receive_text(world, from)); });
    if (world.rank() == 0) whole = part[0];
  });
  return whole;
}

TEST_CASE("every item belongs to the one process whose range has it", "[theorem]") {
  for (Index n = 1; n <= 40; ++n)
    for (Index processes = 1; processes <= 9; ++processes) {
      Index next = 0;
      for (Index rank = 0; rank < processes; ++rank) {
        const ItemRange mine = items_of(rank, n, processes);
        REQUIRE(mine.first == next);
        REQUIRE((mine.count == n / processes || mine.count == (n + processes - 1) / processes));
        for (; next < mine.end(); ++next) REQUIRE(owner_of(next, n, processes) == rank);
      }
      REQUIRE(next == n);
    }
}

TEST_CASE("four parts are added up one after the other", "[theorem]") {
  CHECK(folded(1, 1) == "0");
  CHECK(folded(4, 1) == "(((0+1)+2)+3)");
  CHECK(folded(6, 1) == "((((0+1)+2)+3)+(4+5))");
}

TEST_CASE("parts are put together in the same order on any number of processes", "[theorem]") {
  for (const Index parts : {1, 3, 4, 7, 21, 67})
    for (const Index processes : {2, 3, 5, 8}) {
      CAPTURE(parts, processes);
      CHECK(folded(parts, processes) == folded(parts, 1));
    }
}

TEST_CASE("texts arrive whole, empty ones too", "[regression]") {
  test::run_as_processes(3, [](Processes& world) {
    const std::string texts[] = {"", std::string(100000, 'x'), std::string("a\0b", 3)};
    std::string all = texts[world.rank()];
    broadcast_text(world, all, 1);
    if (all != texts[1]) throw std::runtime_error("broadcast");
    const Index next = (world.rank() + 1) % 3, before = (world.rank() + 2) % 3;
    send_text(world, texts[world.rank()], next);
    if (receive_text(world, before) != texts[before]) throw std::runtime_error("receive_text");
    if (world.waiting()) throw std::runtime_error("waiting");
  });
  SUCCEED();
}

TEST_CASE("what differs between processes is refused on all of them, with name, rank and both values", "[misuse]") {
  std::vector<std::string> messages(3);
  test::run_as_processes(3, [&](Processes& world) {
    const std::string seed = world.rank() == 2 ? "4" : "3";
    messages[static_cast<std::size_t>(world.rank())] = test::message_of([&] {
      expect_same(world, {{"the program", "p"}, {"--seed", seed}, {"--quick", "0"}});
    });
  });
  for (const std::string& message : messages) CHECK(message == "rank 2: --seed is 4, expected 3 as on rank 0");
}

TEST_CASE("a program on its own needs nobody, and refuses to talk to others", "[misuse]") {
  OneProcess alone;
  expect_same(alone, {{"--seed", "1"}});
  std::string text = "kept";
  broadcast_text(alone, text, 0);
  CHECK(text == "kept");
  CHECK(!alone.waiting());
  CHECK(test::message_of([&] { receive_text(alone, 1); }) ==
        "OneProcess: process 1 is asked for, expected none: this process is alone");
}

}  // namespace
}  // namespace gdssm
