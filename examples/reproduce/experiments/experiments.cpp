// SPDX-License-Identifier: Apache-2.0
#include "reproduce/experiments/experiments.hpp"

namespace gdssm::reproduce {

// An experiment is a file of its own beside this one, and its name in both places here.
extern const Experiment theory;
extern const Experiment linear_vector;
extern const Experiment linear_scalar;
extern const Experiment linear_all_positions;
extern const Experiment linear_online;
extern const Experiment features;
extern const Experiment constructed;
extern const Experiment interpolation;
extern const Experiment out_of_distribution;
extern const Experiment anisotropic;
extern const Experiment regimes;
extern const Experiment multi_step;
extern const Experiment drift;
extern const Experiment ablations;
extern const Experiment learning_rules;
extern const Experiment nonlinear;
extern const Experiment baselines;
extern const Experiment function_classes;
extern const Experiment classification;

std::vector<const Experiment*> experiments() {
  return {&theory,        &linear_vector, &linear_scalar, &linear_all_positions, &linear_online, &features,
          &constructed,   &interpolation, &regimes,       &out_of_distribution,  &anisotropic,   &multi_step,
          &nonlinear,     &drift,         &ablations,     &learning_rules,       &baselines,     &function_classes,
          &classification};
}

}  // namespace gdssm::reproduce
