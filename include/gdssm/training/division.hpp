// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/processes.hpp"

namespace gdssm {

/// How the sum over a batch is divided, to be computed side by side. Results depend on `parts` by rounding, and not at
/// all on threads and processes.
struct Division {
  /// Number of parts, at most one for each group of lanes. Four keep four threads busy; as many threads as there are in
  /// all processes need as many parts.
  Index parts = 4;
  /// The processes that share the parts, each with the same number or one more; none: this one has all. All of them
  /// must ask for the same sums in the same order.
  Processes* processes = nullptr;
};

}  // namespace gdssm
