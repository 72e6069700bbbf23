// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/thread_pool.hpp"

#include <stdexcept>
#include <vector>

#include "support/catch.hpp"

using gdssm::Index;
using gdssm::ThreadPool;

TEST_CASE("A pool does every piece once, on any number of threads, round after round", "[definition]") {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int round = 0; round < 2000; ++round) {
      std::vector<int> done(static_cast<std::size_t>(round % 37));
      pool.run(static_cast<Index>(done.size()), [&](Index i) { ++done[static_cast<std::size_t>(i)]; });
      REQUIRE(done == std::vector<int>(done.size(), 1));
    }
  }
}

TEST_CASE(
    "Of several failing pieces the lowest one's exception is rethrown, "
    "and the pool lives on",
    "[definition]") {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 200; ++round) {
      std::vector<int> done(16);
      std::string caught;
      try {
        pool.run(16, [&](Index i) {
          ++done[static_cast<std::size_t>(i)];
          if (i == 3 || i == 11) throw std::runtime_error("piece " + std::to_string(i));
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      REQUIRE(caught == "piece 3");
      REQUIRE(done == std::vector<int>(16, 1));
    }
  }
}

TEST_CASE("A pool of no threads is refused", "[misuse]") {
  CHECK_THROWS_WITH(ThreadPool(0), "ThreadPool: the number of threads is 0, expected at least 1");
}
