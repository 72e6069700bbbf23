// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/io/tensors.hpp"
#include "reproduce/models/any.hpp"
#include "reproduce/run/checkpoint.hpp"

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

/// A model that is trained as the others are.
struct Candidate {
  std::string name;
  std::string slug;   ///< in file names
  std::string reads;  ///< what it is given
  Index depth;
  AnyModel<Lane> model;
};

/// f = N = 10, scalar targets: the augmented SSM itself; attention and fast weights on pairs; recurrences on
/// concatenated windows, and on windows with what local attention makes of them. Depths 1 and 2, each of the width at
/// which its parameters come nearest to the budget.
std::vector<Candidate> all_candidates(Index budget);

/// Trains by Adam on fresh tasks at every update, 64 at a time, gradients longer than 1 shortened to it; the rate rises
/// over a twentieth of the run and falls to zero along a cosine.
Outcome run_candidate(const Candidate& candidate, const Job& job);

/// Losses, task by task, of linear self-attention on pairs in closed form: K layers, each a step of GD++ (10b).
std::vector<double> constructed_attention_losses(const std::vector<double>& a, const std::vector<double>& gamma,
                                                 const TaskRange& tasks);

}  // namespace gdssm::reproduce
