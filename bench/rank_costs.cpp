// SPDX-License-Identifier: Apache-2.0
// What ranks of MPI cost, for the model in docs/distributed.md:  mpirun -n 2 rank_costs
// Prints the time of a message by its size, and of a training update that the ranks share beside one that each makes on
// its own; with --alone nothing is shared, and no message sent.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "gdssm/distributed/world.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"

namespace {

using gdssm::Index;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// The median of five times, each of `count` calls, in microseconds a call.
template <class Call>
double microseconds(Index count, const Call& call) {
  std::vector<double> times;
  for (int k = 0; k < 5; ++k) {
    const auto begin = Clock::now();
    for (Index i = 0; i < count; ++i) call();
    times.push_back(1e6 * since(begin) / static_cast<double>(count));
  }
  std::nth_element(times.begin(), times.begin() + 2, times.end());
  return times[2];
}

/// Bytes to the other rank and back.
void print_messages(gdssm::World& world) {
  if (world.rank() == 0) std::printf("| bytes | one way, us | broadcast, us |\n|---|---|---|\n");
  for (const std::size_t size : {8u, 1024u, 16384u, 131072u, 1048576u, 8388608u}) {
    std::vector<std::byte> bytes(size);
    const Index count = size > 100000 ? 50 : 2000;
    const double both_ways = microseconds(count, [&] {
      if (world.rank() == 0) {
        world.send(bytes, 1);
        world.receive(bytes, 1);
      } else if (world.rank() == 1) {
        world.receive(bytes, 0);
        world.send(bytes, 0);
      }
    });
    const double broadcast = microseconds(count, [&] { world.broadcast(bytes, 0); });
    if (world.rank() == 0) std::printf("| %zu | %.2f | %.2f |\n", size, both_ways / 2, broadcast);
  }
}

/// Updates of the paper's layer.
void print_updates(gdssm::World& world, bool alone) {
  if (world.rank() == 0)
    std::printf("| f = N | batch | parts | %s, us an update |\n|---|---|---|---|\n", alone ? "alone" : "shared");
  using Setting = struct { Index f, batch, parts; };
  for (const auto& [f, batch, parts] :
       {Setting{10, 64, 4}, Setting{10, 1024, 64}, Setting{20, 256, 16}, Setting{50, 64, 4}}) {
    const gdssm::PaperLayer<> layer(f);
    const gdssm::LinearRegression tasks{.features = f, .outputs = f, .context = f};
    const Index updates = 40000 / (f * f) * 64 / batch + 10;
    std::vector<double> times;
    for (int k = 0; k < 3; ++k) {
      const auto begin = Clock::now();
      gdssm::train(
          layer, tasks,
          {.updates = updates, .batch = batch, .division = {.parts = parts, .processes = alone ? nullptr : &world}},
          gdssm::reference_initialization<float>(layer, 1));
      times.push_back(1e6 * since(begin) / static_cast<double>(updates));
    }
    std::sort(times.begin(), times.end());
    if (world.rank() == 0)
      std::printf("| %ld | %ld | %ld | %.1f |\n", static_cast<long>(f), static_cast<long>(batch),
                  static_cast<long>(parts), times[1]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool alone = argc > 1 && std::string(argv[1]) == "--alone";
  gdssm::run_distributed([&](gdssm::World& world) {
    if (!alone && world.size() > 1) print_messages(world);
    print_updates(world, alone);
  });
}
