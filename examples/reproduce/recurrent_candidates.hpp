// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/s5.hpp"
#include "gdssm/baselines/selective_ssm.hpp"
#include "reproduce/candidate.hpp"

namespace gdssm::reproduce {

/// The recurrences of the literature, in depths 1 and 2, on one input. What there is to remember, M, has f numbers:
/// S5 has a pair of states for each, S6 eight for each channel, the others as many as the budget allows for maps
/// between all of them.
template <class Input>
std::vector<Candidate> recurrent_candidates(const std::string& reads, const std::string& slug_of_input, Index budget) {
  std::vector<Candidate> candidates;
  for (const Index depth : {1, 2}) {
    const std::string tail = "-" + slug_of_input + "-" + std::to_string(depth);
    const auto add = [&](const char* name, const std::string& slug, const auto& layer) {
      candidates.push_back(fitted_candidate<Input>(name, slug + tail, reads, depth, budget, layer));
    };
    add("S5", "s5", [](Index d) { return S5Layer(d, candidate_features); });
    add("selective SSM (S6)", "s6", [](Index d) { return SelectiveSsmLayer(d, d, 8); });
    add("gated linear RNN", "gated-linear-rnn", [](Index d) { return GatedLinearRnnLayer(d, d, d); });
    add("RG-LRU", "rg-lru", [](Index d) { return RgLruLayer(d, d); });
  }
  return candidates;
}

}  // namespace gdssm::reproduce
