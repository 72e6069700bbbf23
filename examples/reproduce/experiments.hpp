// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "reproduce/experiment.hpp"

namespace gdssm::reproduce {

// An experiment is a file of its own beside this one, and its name in both places here.
extern const Experiment theory;

/// All experiments, in the order of the report.
inline std::vector<const Experiment*> experiments() { return {&theory}; }

}  // namespace gdssm::reproduce
