// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "gdssm/core/processes.hpp"
#include "reproduce/run/checkpoints.hpp"
#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// Runs experiments on several processes, which take up work as they become free. Process 0 alone has files, and says
/// who does what.
///     An experiment is run by one process, its owner, which sends what it has found to process 0.
///     A training run, of one experiment, seed and rate, is made by whoever comes to it first: the owner, or a process
///     that has no experiment of its own left and goes through the same one for its training runs alone. Its end, a
///     checkpoint, goes to process 0, from where the owner takes it as it would take one of a run that is resumed.
/// What is found is therefore what one process finds, bit for bit but for seconds, for any number of processes.
///     `checkpoints`  of process 0; on others null
///     `seconds`      from one checkpoint of a training run to the next
///     `found`        called on process 0, for each experiment, in order
/// Errors  those of experiments, checkpoints and processes
void run_sweep(Processes& processes, const std::vector<const Experiment*>& experiments, const Options& options,
               Checkpoints* checkpoints, double seconds,
               const std::function<void(const Experiment&, const Result&)>& found);

}  // namespace gdssm::reproduce
