// SPDX-License-Identifier: Apache-2.0
#pragma once

// Everything but io/, in the order of the theory.
#include "gdssm/core/dual.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/core/scan.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/core/tiles.hpp"
#include "gdssm/core/view.hpp"

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/blocks/discretization.hpp"
#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/blocks/output_gate.hpp"
#include "gdssm/blocks/readout.hpp"
#include "gdssm/blocks/sliding_window.hpp"
#include "gdssm/blocks/token_projection.hpp"

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"

#include "gdssm/tasks/constructed_regression.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/tasks/targets.hpp"
#include "gdssm/tasks/tokens.hpp"

#include "gdssm/construction/canonical.hpp"
#include "gdssm/construction/descent.hpp"
#include "gdssm/construction/drift.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/construction/step_size.hpp"

#include "gdssm/training/batch.hpp"
#include "gdssm/training/gradient.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/loss.hpp"
#include "gdssm/training/online_gradient.hpp"
#include "gdssm/training/optimizer.hpp"
#include "gdssm/training/schedule.hpp"
#include "gdssm/training/task_source.hpp"
#include "gdssm/training/train.hpp"

#include "gdssm/learners/gradient_descent.hpp"

#include "gdssm/analysis/alignment.hpp"
#include "gdssm/analysis/implicit_weights.hpp"
#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/analysis/task_range.hpp"

#include "gdssm/version.hpp"
