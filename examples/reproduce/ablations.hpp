// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/io/tensors.hpp"
#include "reproduce/checkpoint.hpp"

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

/// The paper's layer with one slot, or a pair of them, exchanged; a type, which is forgotten here.
struct Ablation {
  std::string name;
  std::string slug;    ///< in file names
  double closed_form;  ///< the expected loss of (7) adapted to it, at the best step; NaN where there is none
  Index parameters;
  std::function<AblationOutcome(const AblationJob&)> run;
};

/// Losses of one gradient step with the best size, of predicting zero, and of the best step from the last pair alone.
double one_step_loss();
double zero_loss();
double last_pair_loss();

// A file each, since each holds a few models that are long to compile.

/// The paper's layer itself, with initial decays far from 1, wider windows, stride 1, a shifted start.
std::vector<Ablation> window_ablations();
/// No attention, softmax attention, a vector as the state.
std::vector<Ablation> attention_ablations();
/// No gate, a gate on the side of the input; the latter with initial decays far from 1 and with none.
std::vector<Ablation> gate_ablations();
/// Decays fixed at 1, one for all.
std::vector<Ablation> decay_ablations();
/// One number or a diagonal for C; decay fixed at 1 and one number for C.
std::vector<Ablation> readout_ablations();
/// Selective decays, in the paper's layer, without attention and without gate.
std::vector<Ablation> selective_ablations();

}  // namespace gdssm::reproduce
