// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainer_classification.hpp"

namespace gdssm::reproduce {

template class Trainer<PaperLayer<>, ClassTargets<label_classes>, Classification>;

std::vector<Sample> label_accuracy(const LabelTrainer& trainer, const LabelTrainer::Parameters& parameters,
                                   const TaskRange& range, ThreadPool& pool) {
  return accuracy_by_context<LabelTrainer::S, label_classes>(trainer.model(), parameters, trainer.tasks(), range, pool);
}

}  // namespace gdssm::reproduce
