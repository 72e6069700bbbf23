// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/tasks/drifting_regression.hpp"

namespace gdssm::reproduce {

/// The loss per output of the best predictor of all, by sampling: the mean of what each possible last change leaves to
/// be believed, weighed by how likely the context makes it. Entries of W* normal, labels without noise.
/// Source  Adams, MacKay, arXiv:0710.3742, with Bayesian linear regression in each run
Sample optimal_loss(const DriftingRegression& tasks, const TaskRange& range, int threads);

}  // namespace gdssm::reproduce
