// SPDX-License-Identifier: Apache-2.0
// Trains on all ranks that mpirun has started:  mpirun -n 4 consumer_mpi
#include <iostream>

#include "gdssm/distributed/world.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"

int main() {
  gdssm::run_distributed([](gdssm::World& world) {
    const gdssm::PaperLayer<> layer(2);
    const gdssm::LinearRegression tasks{.features = 2, .outputs = 2, .context = 4};
    const auto run = gdssm::train(layer, tasks, {.updates = 20}, world);
    if (world.rank() == 0) std::cout << "ranks: " << world.size() << ", " << run.message << '\n';
  });
}
