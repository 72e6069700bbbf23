// SPDX-License-Identifier: Apache-2.0
#include "reproduce/models/trainer.hpp"

#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/io/checkpoint_tensors.hpp"

namespace gdssm::reproduce {
namespace {

using Weights = AnyTrainer::Weights;
using Optimizer = ClippedGradient<AdamW>;

/// A run with the weights that were looked at on its way, one after the other.
struct FollowedRun {
  TrainingRun<Weights, Optimizer> run;
  std::vector<Weights> seen;

  template <class Visitor, class First, class... More>
  static void visit(Visitor&& visitor, First&& first, More&&... more) {
    gdssm::visit(visitor, first.run, more.run...);
    visit_list("seen", visitor, first.seen, more.seen...);
  }
  template <class Visitor, class... Self>
  static void visit_counters(Visitor&& visitor, Self&&... self) {
    gdssm::visit_counters(visitor, self.run...);
  }
};

}  // namespace

std::pair<TrainingResult, Weights> AnyTrainer::train(const Recipe& recipe, std::uint64_t seed, const Weights& start,
                                                     ThreadPool& pool, Checkpoint checkpoint,
                                                     const Follow<Weights>& follow) const {
  const Optimizer optimizer{recipe.optimizer, recipe.longest_gradient};
  const auto looks = static_cast<std::size_t>(follow.every > 0 ? recipe.updates / follow.every : 0);
  FollowedRun followed{begin_run(optimizer, start), std::vector<Weights>(looks, model.weights())};
  const CheckpointIdentity identity{{"seed", std::to_string(seed)},
                                    {"batch", std::to_string(recipe.batch)},
                                    {"updates", std::to_string(recipe.updates)},
                                    {"updates_per_draw", std::to_string(recipe.updates_per_draw)},
                                    {"losses", std::to_string(recipe.losses)}};
  if (const auto kept = checkpoint.read()) take_checkpoint(*kept, checkpoint.where(), identity, followed);
  const Index begin = followed.run.updates();
  for (Index k = 0; k < static_cast<Index>(looks) && (k + 1) * follow.every <= begin; ++k)
    follow.look((k + 1) * follow.every, followed.seen[static_cast<std::size_t>(k)]);
  TrainingResult ended =
      gdssm::train(model, tasks, kind, optimizer, recipe.schedule,
                   TrainingOptions{recipe.updates, recipe.batch, recipe.updates_per_draw, recipe.losses, seed},
                   followed.run, pool, [&](const TrainingProgress<Weights>& at) {
                     if (looks > 0 && at.update % follow.every == 0) {
                       followed.seen[static_cast<std::size_t>(at.update / follow.every - 1)] = at.parameters;
                       follow.look(at.update, at.parameters);
                     }
                     if (checkpoint.is_due()) checkpoint.write(checkpoint_of(followed, identity));
                     return false;
                   });
  const bool finished = ended.status == TrainingStatus::finished;
  if (checkpoint && finished && begin < ended.updates) checkpoint.write(checkpoint_of(followed, identity));
  checkpoint.finish(finished);
  return {std::move(ended), std::move(followed.run.parameters)};
}

std::vector<Sample> AnyTrainer::losses_by_context(const Weights& weights, const TaskRange& range,
                                                  ThreadPool& pool) const {
  return gdssm::loss_by_context(model.predictor(weights), tasks, range, kind, pool);
}

std::vector<double> AnyTrainer::losses(const Weights& weights, const TaskRange& range, ThreadPool& pool) const {
  return losses(weights, tasks, range, pool);
}

std::vector<double> AnyTrainer::losses(const Weights& weights, const TaskSource<Lane>& of, const TaskRange& range,
                                       ThreadPool& pool) const {
  return query_losses(model.predictor(weights), of, range, kind, pool);
}

std::vector<Sample> AnyTrainer::accuracy_by_context(const Weights& weights, const TaskRange& range,
                                                    ThreadPool& pool) const {
  return gdssm::accuracy_by_context(model.predictor(weights), tasks, range, kind, pool);
}

Alignment AnyTrainer::align(const Weights& weights, const Weights& other, const TaskRange& range,
                            ThreadPool& pool) const {
  return gdssm::align(model.query_derivative(weights), model.query_derivative(other), tasks, range, kind, pool);
}

}  // namespace gdssm::reproduce
