// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainer_stacks.hpp"

namespace gdssm::reproduce {

template auto PaperStackTrainer::train(const Recipe&, std::uint64_t, const PaperStackTrainer::Parameters&, ThreadPool&,
                                       const Checkpoint&, const PaperStackTrainer::Follow&) const
    -> PaperStackTrainer::Parameters;
template std::vector<double> PaperStackTrainer::losses(const PaperStackTrainer::Parameters&, const LinearRegression&,
                                                       const TaskRange&, ThreadPool&) const;
template auto ReferenceStackTrainer::train(const Recipe&, std::uint64_t, const ReferenceStackTrainer::Parameters&,
                                           ThreadPool&, const Checkpoint&, const ReferenceStackTrainer::Follow&) const
    -> ReferenceStackTrainer::Parameters;
template std::vector<double> ReferenceStackTrainer::losses(const ReferenceStackTrainer::Parameters&,
                                                           const LinearRegression&, const TaskRange&,
                                                           ThreadPool&) const;

}  // namespace gdssm::reproduce
