// SPDX-License-Identifier: Apache-2.0
// `linear-all-positions`: as `linear-vector`, with a loss at every position of the context, for which another step is
// best.

#include "reproduce/linear.hpp"

namespace gdssm::reproduce {
namespace {

Result run(const Options& options) {
  return LinearExperiment<VectorTargets>("linear-all-positions", 10, options).run();
}

}  // namespace

extern const Experiment linear_all_positions{"linear-all-positions", "A loss at every position of the context", &run};

}  // namespace gdssm::reproduce
