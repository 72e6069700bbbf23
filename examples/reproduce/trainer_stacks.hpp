// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

using PaperStack = HornerStack<PaperLayer<10>>;
using ReferenceStack = TwoStepStack<PaperLayer<10>>;
using PaperStackTrainer = Trainer<PaperStack>;
using ReferenceStackTrainer = Trainer<ReferenceStack>;

// All but alignment, which takes long to compile and for the reference's stack doesn't exist.

extern template auto PaperStackTrainer::train(const Recipe&, std::uint64_t, const PaperStackTrainer::Parameters&,
                                              ThreadPool&, const Checkpoint&, const PaperStackTrainer::Follow&) const
    -> PaperStackTrainer::Parameters;
extern template std::vector<double> PaperStackTrainer::losses(const PaperStackTrainer::Parameters&,
                                                              const LinearRegression&, const TaskRange&,
                                                              ThreadPool&) const;
extern template auto ReferenceStackTrainer::train(const Recipe&, std::uint64_t,
                                                  const ReferenceStackTrainer::Parameters&, ThreadPool&,
                                                  const Checkpoint&, const ReferenceStackTrainer::Follow&) const
    -> ReferenceStackTrainer::Parameters;
extern template std::vector<double> ReferenceStackTrainer::losses(const ReferenceStackTrainer::Parameters&,
                                                                  const LinearRegression&, const TaskRange&,
                                                                  ThreadPool&) const;

}  // namespace gdssm::reproduce
