// SPDX-License-Identifier: Apache-2.0
// `linear-scalar`: linear regression with scalar targets, one gradient step, constructed and trained.

#include "reproduce/linear.hpp"

namespace gdssm::reproduce {
namespace {

Result run(const Options& options) { return LinearExperiment<ScalarTargets>("linear-scalar", 1, options).run(); }

}  // namespace

extern const Experiment linear_scalar{"linear-scalar", "Trained from random weights: linear regression, scalar targets",
                                      &run};

}  // namespace gdssm::reproduce
