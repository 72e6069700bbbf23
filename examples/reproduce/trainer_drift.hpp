// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/tasks/drifting_regression.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

/// The paper's layer with decays that depend on the token.
using SelectiveLayer = AugmentedSsm<LocalAttention<>, SelectiveRecurrence<>, Readout<>, OutputGate<>>;

using DriftTrainer = Trainer<PaperLayer<>, VectorTargets, DriftingRegression>;
using SelectiveTrainer = Trainer<SelectiveLayer, VectorTargets, DriftingRegression, StoredHistory>;
using AnnouncedTrainer = Trainer<SelectiveLayer, VectorTargets, AnnouncedRegression, StoredHistory>;

// All but alignment.

extern template auto DriftTrainer::train(const Recipe&, std::uint64_t, const DriftTrainer::Parameters&, ThreadPool&,
                                         const Checkpoint&, const DriftTrainer::Follow&) const
    -> DriftTrainer::Parameters;
extern template std::vector<double> DriftTrainer::losses(const DriftTrainer::Parameters&, const DriftingRegression&,
                                                         const TaskRange&, ThreadPool&) const;
extern template auto SelectiveTrainer::train(const Recipe&, std::uint64_t, const SelectiveTrainer::Parameters&,
                                             ThreadPool&, const Checkpoint&, const SelectiveTrainer::Follow&) const
    -> SelectiveTrainer::Parameters;
extern template std::vector<double> SelectiveTrainer::losses(const SelectiveTrainer::Parameters&,
                                                             const DriftingRegression&, const TaskRange&,
                                                             ThreadPool&) const;
extern template auto AnnouncedTrainer::train(const Recipe&, std::uint64_t, const AnnouncedTrainer::Parameters&,
                                             ThreadPool&, const Checkpoint&, const AnnouncedTrainer::Follow&) const
    -> AnnouncedTrainer::Parameters;
extern template std::vector<double> AnnouncedTrainer::losses(const AnnouncedTrainer::Parameters&,
                                                             const AnnouncedRegression&, const TaskRange&,
                                                             ThreadPool&) const;

/// The loss per output of the best predictor of all, by sampling: the mean of what each possible last change leaves to
/// be believed, weighed by how likely the context makes it. Entries of W* normal, labels without noise.
/// Source  Adams, MacKay, arXiv:0710.3742, with Bayesian linear regression in each run
Sample optimal_loss(const DriftingRegression& tasks, const TaskRange& range, int threads);

}  // namespace gdssm::reproduce
