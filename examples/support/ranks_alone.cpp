// SPDX-License-Identifier: Apache-2.0
#include "support/ranks.hpp"

namespace gdssm::programs {

void with_ranks(const std::function<void(Processes&)>& body) {
  OneProcess alone;
  body(alone);
}

}  // namespace gdssm::programs
