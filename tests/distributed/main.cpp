// SPDX-License-Identifier: Apache-2.0
// Every rank runs every test; mpirun fails if one of them does.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "distributed/all_ranks.hpp"

namespace gdssm::test {

World*& all_ranks() {
  static World* world = nullptr;
  return world;
}

}  // namespace gdssm::test

int main(int argc, char** argv) {
  int failed = 0;
  gdssm::run_distributed([&](gdssm::World& world) {
    gdssm::test::all_ranks() = &world;
    failed = Catch::Session().run(argc, argv);
  });
  return failed == 0 ? 0 : 1;
}
