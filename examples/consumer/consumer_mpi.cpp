// SPDX-License-Identifier: Apache-2.0
// Says how many ranks mpirun has started:  mpirun -n 4 consumer_mpi
#include <iostream>

#include "gdssm/distributed/world.hpp"

int main() {
  gdssm::run_distributed([](gdssm::World& world) {
    expect_same(world, {{"the program", "consumer_mpi"}});
    if (world.rank() == 0) std::cout << "ranks: " << world.size() << '\n';
  });
}
