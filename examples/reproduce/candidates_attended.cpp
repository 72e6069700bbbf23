// SPDX-License-Identifier: Apache-2.0
#include "reproduce/recurrent_candidates.hpp"

namespace gdssm::reproduce {

std::vector<Candidate> attended_candidates(Index budget) {
  return recurrent_candidates<AttentionInput>("vec(X), vec(G)", "attended", budget);
}

}  // namespace gdssm::reproduce
