// SPDX-License-Identifier: Apache-2.0
#include "reproduce/trainer_nonlinear.hpp"

namespace gdssm::reproduce {

NonlinearTrainer::Parameters train_clipped(const NonlinearTrainer& trainer, const Recipe& recipe, std::uint64_t seed,
                                           const NonlinearTrainer::Parameters& start, ThreadPool& pool,
                                           const Checkpoint& checkpoint, const NonlinearTrainer::Follow& follow) {
  const ClippedGradient<AdamW> optimizer{recipe.optimizer};
  auto run = begin_run(optimizer, start);
  const TrainingResult ended = train_kept<NonlinearTrainer::S, VectorTargets>(
      trainer.model(), trainer.tasks(), optimizer, recipe.schedule,
      {.updates = recipe.updates, .batch = recipe.batch, .losses = recipe.losses, .seed = seed}, run, pool, checkpoint,
      follow);
  if (ended.status == TrainingStatus::diverged) refuse("nonlinear", "seed ", seed, ": ", ended.message);
  return run.parameters;
}

template std::vector<Sample> NonlinearTrainer::losses_by_context(const NonlinearTrainer::Parameters&, const TaskRange&,
                                                                 ThreadPool&) const;
template std::vector<double> NonlinearTrainer::losses(const NonlinearTrainer::Parameters&, const SineRegression&,
                                                      const TaskRange&, ThreadPool&) const;

}  // namespace gdssm::reproduce
