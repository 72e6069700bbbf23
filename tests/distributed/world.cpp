// SPDX-License-Identifier: Apache-2.0
#include "gdssm/distributed/world.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "distributed/all_ranks.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

TEST_CASE("MPI's errors are exceptions that name the rank, the call and MPI's reason", "[misuse]") {
  World world;
  const std::string me = "rank " + std::to_string(world.rank()) + " of " + std::to_string(world.size());
  std::string message;
  try {
    send_text(world, "lost", world.size());
  } catch (const MpiError& error) {
    message = error.what();
  }
  CAPTURE(message);
  CHECK(message.starts_with(me + ": MPI_Send: "));
  CHECK(message.find("rank", me.size()) != std::string::npos);
}

TEST_CASE("fewer bytes than expected are an error that says how many", "[misuse]") {
  World world;
  const std::uint32_t sent = 1;
  std::uint64_t expected = 0;
  if (world.size() == 1) return;  // a rank cannot send to itself before it receives
  const Index next = (world.rank() + 1) % world.size(), before = (world.rank() + world.size() - 1) % world.size();
  if (world.rank() % 2 == 0) world.send(std::as_bytes(std::span(&sent, 1)), next);
  try {
    world.receive(std::as_writable_bytes(std::span(&expected, 1)), before);
    FAIL("no error");
  } catch (const MpiError& error) {
    CHECK(
        std::string(error.what()).ends_with("MPI_Recv: rank " + std::to_string(before) + " sent 4 bytes, expected 8"));
  }
  if (world.rank() % 2 != 0) world.send(std::as_bytes(std::span(&sent, 1)), next);
}

TEST_CASE("texts go around, and worlds do not take one another's", "[regression]") {
  World one, other;
  if (one.size() == 1) return;
  const Index next = (one.rank() + 1) % one.size(), before = (one.rank() + one.size() - 1) % one.size();
  if (one.rank() == 0) {
    send_text(one, "one", next);
    send_text(other, "other", next);
  }
  const std::string second = receive_text(other, before), first = receive_text(one, before);
  if (one.rank() != 0) {
    send_text(one, first, next);
    send_text(other, second, next);
  }
  CHECK(first == "one");
  CHECK(second == "other");
  std::string all = one.rank() == one.size() - 1 ? std::string(1 << 20, 'x') : "";
  broadcast_text(one, all, one.size() - 1);
  CHECK(all == std::string(1 << 20, 'x'));
  expect_same(one, {{"the text", all}});
  CHECK(!one.waiting());
}

TEST_CASE("who sent what waits is known without waiting for it", "[regression]") {
  World world;
  if (world.size() == 1) return;
  if (world.rank() == world.size() - 1) send_text(world, "here", 0);
  if (world.rank() == 0) {
    std::optional<Index> from;
    while (!from) from = world.waiting();
    CHECK(*from == world.size() - 1);
    CHECK(receive_text(world, *from) == "here");
  }
  CHECK(!world.waiting());
}

TEST_CASE("what differs between ranks is found", "[misuse]") {
  World world;
  const std::string message = test::message_of([&] {
    expect_same(world, {{"--seed", world.rank() == 0 ? "3" : "4"}});
  });
  CHECK(message == (world.size() == 1 ? "" : "rank 1: --seed is 4, expected 3 as on rank 0"));
}

}  // namespace
}  // namespace gdssm
