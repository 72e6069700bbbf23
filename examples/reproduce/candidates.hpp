// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/io/tensors.hpp"
#include "reproduce/checkpoint.hpp"

namespace gdssm::reproduce {

/// One training run of a candidate, and the tasks on which its weights are then measured.
struct Job {
  std::uint64_t seed;
  double rate;  ///< highest learning rate of the run
  Index updates;
  TaskRange validation;  ///< for the choice of the rate
  TaskRange evaluation;  ///< for what is reported
  Checkpoint checkpoint;
};

/// What came of it.
struct Outcome {
  bool diverged = false;
  Sample validation{}, evaluation{};  ///< losses; none if it diverged
  Safetensors weights{};
};

/// A model that is trained as the others are, its type forgotten.
struct Candidate {
  std::string name;
  std::string slug;   ///< in file names
  std::string reads;  ///< what it is given
  Index depth;
  Index parameters;
  std::function<Outcome(const Job&)> run;
};

// f = N = 10, scalar targets. Widths are those at which parameters come nearest to the budget, depths 1 and 2. A file
// each, since each holds a few models that are long to compile.

/// Attention and fast weights on pairs: linear and softmax attention, DeltaNet, MesaNet.
std::vector<Candidate> pair_candidates(Index budget);
/// Recurrences on concatenated windows: S5, S6, gated linear RNN, RG-LRU.
std::vector<Candidate> window_candidates(Index budget);
/// The same on windows with what local attention makes of them.
std::vector<Candidate> attended_candidates(Index budget);
/// The augmented SSM itself, whose size is what it is.
Candidate augmented_candidate();

/// Losses, task by task, of linear self-attention on pairs in closed form: K layers, each a step of GD++ (10b).
std::vector<double> constructed_attention_losses(const std::vector<double>& a, const std::vector<double>& gamma,
                                                 const TaskRange& tasks);

}  // namespace gdssm::reproduce
