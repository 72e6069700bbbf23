// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "gdssm/core/parameters.hpp"
#include "gdssm/io/checkpoint_tensors.hpp"
#include "gdssm/training/train.hpp"
#include "reproduce/checkpoint.hpp"

namespace gdssm::reproduce {

/// Looks at the weights after every so many updates of a run, and at nothing else: the looks of a run that is taken up
/// again are those of one that went through.
template <class Parameters>
struct Follow {
  Index every = 0;  ///< 0: never
  std::function<void(Index update, const Parameters& parameters)> look = {};
};

namespace detail {

/// A run with the weights that were looked at on its way, a column a look.
template <class Run>
struct FollowedRun {
  Run run;
  Eigen::MatrixXf seen;

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    gdssm::visit(visitor, self.run...);
    visitor(Name{"seen"}, self.seen...);
  }
  template <class Visitor, class... Self>
  static void visit_counters(Visitor&& visitor, Self&&... self) {
    gdssm::visit_counters(visitor, self.run...);
  }
};

/// Copies weights to a column or a column to weights, by move(weight, number).
template <class Parameters, class Column, class Move>
void for_weights(Parameters& parameters, Column&& column, const Move& move) {
  Index at = 0;
  visit(
      [&](const Name&, auto& matrix) {
        for (Index i = 0; i < matrix.size(); ++i) move(matrix.data()[i], column[at++]);
      },
      parameters);
}

}  // namespace detail

/// `gdssm::train` of a run just begun, from where its checkpoint stands, if it has one. The checkpoint is kept up to
/// date, and holds the whole run in the end; but not one that diverged.
/// Errors  those of `train` and of checkpoints
template <class S, class Kind, class Method = ForwardSensitivity, class Model, class Tasks, class Optimizer,
          class Schedule, class Parameters>
TrainingResult train_kept(const Model& model, const Tasks& tasks, const Optimizer& optimizer, const Schedule& schedule,
                          const TrainingOptions& options, TrainingRun<Parameters, Optimizer>& run, ThreadPool& pool,
                          Checkpoint checkpoint, const Follow<Parameters>& follow = {}) {
  const Index looks = follow.every > 0 ? options.updates / follow.every : 0;
  detail::FollowedRun<TrainingRun<Parameters, Optimizer>> followed{run,
                                                                   Eigen::MatrixXf::Zero(count(run.parameters), looks)};
  const CheckpointIdentity identity{{"seed", std::to_string(options.seed)},
                                    {"batch", std::to_string(options.batch)},
                                    {"updates", std::to_string(options.updates)},
                                    {"updates_per_draw", std::to_string(options.updates_per_draw)},
                                    {"losses", std::to_string(options.losses)}};
  if (const auto kept = checkpoint.read()) take_checkpoint(*kept, checkpoint.where(), identity, followed);
  const Index begin = followed.run.updates();
  for (Index k = 0; k < looks && (k + 1) * follow.every <= begin; ++k) {
    detail::for_weights(run.parameters, followed.seen.col(k), [](float& weight, float number) { weight = number; });
    follow.look((k + 1) * follow.every, run.parameters);
  }
  TrainingResult ended = train<S, Kind, Method>(
      model, tasks, optimizer, schedule, options, followed.run, pool, [&](const TrainingProgress<Parameters>& at) {
        if (looks > 0 && at.update % follow.every == 0) {
          detail::for_weights(at.parameters, followed.seen.col(at.update / follow.every - 1),
                              [](const float& weight, float& number) { number = weight; });
          follow.look(at.update, at.parameters);
        }
        if (checkpoint.is_due()) checkpoint.write(checkpoint_of(followed, identity));
      });
  if (checkpoint && ended.status == TrainingStatus::finished && begin < ended.updates)
    checkpoint.write(checkpoint_of(followed, identity));
  run = std::move(followed.run);
  return ended;
}

}  // namespace gdssm::reproduce
