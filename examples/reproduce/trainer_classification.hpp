// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "gdssm/tasks/classification.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

inline constexpr Index label_classes = 4;

/// The paper's layer on classification, with the cross-entropy for its loss.
using LabelTrainer = Trainer<PaperLayer<>, ClassTargets<label_classes>, Classification>;

extern template class Trainer<PaperLayer<>, ClassTargets<label_classes>, Classification>;

/// The share of right labels after t = 1..N pairs.
std::vector<Sample> label_accuracy(const LabelTrainer& trainer, const LabelTrainer::Parameters& parameters,
                                   const TaskRange& range, ThreadPool& pool);

}  // namespace gdssm::reproduce
