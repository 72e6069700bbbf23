// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/initialization.hpp"
#include "reproduce/candidate.hpp"

namespace gdssm::reproduce {

Candidate augmented_candidate() {
  const PaperLayer<candidate_features> layer;
  return make_candidate("augmented SSM", "augmented-ssm-1", "tokens", 1, layer,
                        [layer](std::uint64_t seed) { return reference_initialization<float>(layer, seed); });
}

}  // namespace gdssm::reproduce
