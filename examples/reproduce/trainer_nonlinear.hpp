// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/tasks/sine_regression.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

/// The reference's nonlinear model, f = 20.
using NonlinearModel = NonlinearSsm<PaperLayer<20>>;
using NonlinearTrainer = Trainer<NonlinearModel, VectorTargets, SineRegression>;

/// As `Trainer::train`, with gradients longer than 1 shortened to it.
NonlinearTrainer::Parameters train_clipped(const NonlinearTrainer& trainer, const Recipe& recipe, std::uint64_t seed,
                                           const NonlinearTrainer::Parameters& start, ThreadPool& pool,
                                           const Checkpoint& checkpoint, const NonlinearTrainer::Follow& follow);

extern template std::vector<Sample> NonlinearTrainer::losses_by_context(const NonlinearTrainer::Parameters&,
                                                                        const TaskRange&, ThreadPool&) const;
extern template std::vector<double> NonlinearTrainer::losses(const NonlinearTrainer::Parameters&, const SineRegression&,
                                                             const TaskRange&, ThreadPool&) const;

}  // namespace gdssm::reproduce
