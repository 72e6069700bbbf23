// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/tensors.hpp"
#include "reproduce/models/any.hpp"
#include "reproduce/run/checkpoint.hpp"

namespace gdssm::reproduce {

inline constexpr Index ablation_features = 10, ablation_context = 10;

/// One training run of an ablation, and the tasks on which its weights are then measured.
struct AblationJob {
  std::uint64_t seed;
  double factor;  ///< of the reference's rates
  Index updates;
  TaskRange validation;  ///< for the choice of the rate
  TaskRange evaluation;  ///< for what is reported
  TaskRange alignment;   ///< for the cosine
  Checkpoint checkpoint;
};

/// What came of it.
struct AblationOutcome {
  bool diverged = false;
  double validation = 0;         ///< loss
  std::vector<double> losses{};  ///< task by task, of the evaluation
  double cosine = 0;             ///< of sensitivities to the query with those of one gradient step
  Safetensors weights{};
};

/// The paper's layer with one slot, or a pair of them, exchanged.
struct Ablation {
  std::string name;
  std::string slug;    ///< in file names
  double closed_form;  ///< the expected loss of (7) adapted to it, at the best step; NaN where there is none
  AnyModel<Lane> model;
  bool shifted = false;     ///< it reads the tasks from one token earlier on
  bool far_decays = false;  ///< its decays begin far from 1
};

/// All of them.
std::vector<Ablation> all_ablations();

/// Trains an ablation as the paper's layer is, from the reference's start with the readout at zero, on fresh tasks at
/// every update, 64 at a time, the rates falling to zero along a cosine.
AblationOutcome run_ablation(const Ablation& ablation, const AblationJob& job);

/// Losses of one gradient step with the best size, of predicting zero, and of the best step from the last pair alone.
double one_step_loss();
double zero_loss();
double last_pair_loss();

}  // namespace gdssm::reproduce
