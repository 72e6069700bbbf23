// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "reproduce/experiment.hpp"

namespace gdssm::reproduce {

// An experiment is a file of its own beside this one, and its name in both places here.
extern const Experiment theory;
extern const Experiment linear_vector;
extern const Experiment linear_scalar;
extern const Experiment linear_all_positions;
extern const Experiment linear_online;
extern const Experiment baselines;

/// All experiments, in the order of the report.
inline std::vector<const Experiment*> experiments() {
  return {&theory, &linear_vector, &linear_scalar, &linear_all_positions, &linear_online, &baselines};
}

}  // namespace gdssm::reproduce
