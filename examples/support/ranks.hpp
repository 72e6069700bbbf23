// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "gdssm/core/processes.hpp"

namespace gdssm::programs {

/// Calls body(processes): with the ranks that mpirun has started where the program was built with MPI, else with this
/// process alone. Exceptions of a process alone pass through; of several, one that fails says why and ends all of them,
/// with exit status 1.
void with_ranks(const std::function<void(Processes&)>& body);

}  // namespace gdssm::programs
