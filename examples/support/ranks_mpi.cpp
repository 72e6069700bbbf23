// SPDX-License-Identifier: Apache-2.0
#include "gdssm/distributed/world.hpp"
#include "support/progress.hpp"
#include "support/ranks.hpp"

namespace gdssm::programs {

void with_ranks(const std::function<void(Processes&)>& body) {
  run_distributed([&](World& world) {
    Progress::drawn_here = world.rank() == 0;
    body(world);
  });
}

}  // namespace gdssm::programs
