// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// All experiments, in the order of the report.
std::vector<const Experiment*> experiments();

}  // namespace gdssm::reproduce
