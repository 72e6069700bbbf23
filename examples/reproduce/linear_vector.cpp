// SPDX-License-Identifier: Apache-2.0
// `linear-vector`: linear regression with vector targets, one gradient step, constructed and trained.

#include "reproduce/linear.hpp"

namespace gdssm::reproduce {
namespace {

Result run(const Options& options) { return LinearExperiment<VectorTargets>("linear-vector", 1, options).run(); }

}  // namespace

extern const Experiment linear_vector{"linear-vector", "Trained from random weights: linear regression, vector targets",
                                      &run};

}  // namespace gdssm::reproduce
