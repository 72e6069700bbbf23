// SPDX-License-Identifier: Apache-2.0
#include "reproduce/recurrent_candidates.hpp"

namespace gdssm::reproduce {

std::vector<Candidate> window_candidates(Index budget) {
  return recurrent_candidates<WindowInput>("vec(X)", "windows", budget);
}

}  // namespace gdssm::reproduce
