// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/alignment.hpp"
#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"
#include "reproduce/checkpoint.hpp"
#include "reproduce/kept_training.hpp"

namespace gdssm::reproduce {

/// How a model is trained; as it stands the way of the reference, with fresh tasks at every update.
struct Recipe {
  Index updates = 30000;
  AdamW optimizer = AdamW::reference();
  std::function<double(Index)> schedule = ConstantRate{};  ///< factor of the rates at update n = 1, 2, ...
  Index losses = 1;                                        ///< windows with a loss, the last of each context
  Index batch = 64;
  Index updates_per_draw = 1;  ///< updates made on each draw of tasks
};

/// The reference's optimiser at a multiple of its rates, which fall to zero along a cosine: gets within a few updates
/// where constant rates get with many, and has no noise of the last updates.
inline Recipe falling_rates(Index updates, double factor = 10) {
  Recipe recipe{.updates = updates, .schedule = WarmUpCosine{0, updates}};
  for (ParameterGroup& group : recipe.optimizer.groups) group.learning_rate *= factor;
  return recipe;
}

/// The same weights but for a readout of zero: a start that isn't at the saddle, since where C = 0 alone is small the
/// gradient with respect to it is of first order.
template <class Parameters>
Parameters with_zero_readout(Parameters start) {
  fill(start.readout, 0);
  return start;
}

/// Evaluation tasks of a seed are none of those that any seed trains on.
inline TaskRange evaluation_tasks(std::uint64_t seed, Index count) { return {seed, count, std::uint64_t{1} << 56}; }

/// A model and the tasks it is trained on, in single precision, a task a lane. Everything that an experiment does with
/// them is compiled once for all experiments where `trainers.hpp` says so.
///     `Kind`    VectorTargets or ScalarTargets
///     `Tasks`   as `TaskSource` wants it
///     `Method`  of the gradient: ForwardSensitivity, or StoredHistory
template <class Model, class Kind = VectorTargets, class Tasks = LinearRegression, class Method = ForwardSensitivity>
class Trainer {
 public:
  using S = Lanes<float>;
  using Parameters = typename Model::template Parameters<float>;
  using Run = TrainingRun<Parameters>;
  using Follow = reproduce::Follow<Parameters>;

  /// `name` leads messages.
  Trainer(std::string name, Model model, Tasks tasks);

  const Model& model() const { return model_; }
  const Tasks& tasks() const { return tasks_; }

  /// Weights after a recipe's updates, on the tasks of a seed; kept, and taken up, as `train_kept` does.
  /// Errors  std::invalid_argument: the loss or its gradient ceased to be finite
  Parameters train(const Recipe& recipe, std::uint64_t seed, const Parameters& start, ThreadPool& pool,
                   const Checkpoint& checkpoint, const Follow& follow = {}) const;

  /// The loss after t = 1..N pairs.
  std::vector<Sample> losses_by_context(const Parameters& parameters, const TaskRange& range, ThreadPool& pool) const;

  /// The query's loss, task by task: of the tasks trained on, or of others.
  std::vector<double> losses(const Parameters& parameters, const TaskRange& range, ThreadPool& pool) const;
  std::vector<double> losses(const Parameters& parameters, const Tasks& tasks, const TaskRange& range,
                             ThreadPool& pool) const;

  /// The alignment with other weights of the same model.
  Alignment align(const Parameters& parameters, const Parameters& other, const TaskRange& range,
                  ThreadPool& pool) const;

 private:
  std::string name_;
  Model model_;
  Tasks tasks_;
};

// Defined outside the class, and so not inline: where `trainers.hpp` promises an instantiation none is made.

template <class Model, class Kind, class Tasks, class Method>
Trainer<Model, Kind, Tasks, Method>::Trainer(std::string name, Model model, Tasks tasks)
    : name_(std::move(name)), model_(std::move(model)), tasks_(std::move(tasks)) {}

template <class Model, class Kind, class Tasks, class Method>
auto Trainer<Model, Kind, Tasks, Method>::train(const Recipe& recipe, std::uint64_t seed, const Parameters& start,
                                                ThreadPool& pool, const Checkpoint& checkpoint,
                                                const Follow& follow) const -> Parameters {
  auto run = begin_run(recipe.optimizer, start);
  const TrainingResult ended = train_kept<S, Kind, Method>(model_, tasks_, recipe.optimizer, recipe.schedule,
                                                           {.updates = recipe.updates,
                                                            .batch = recipe.batch,
                                                            .updates_per_draw = recipe.updates_per_draw,
                                                            .losses = recipe.losses,
                                                            .seed = seed},
                                                           run, pool, checkpoint, follow);
  if (ended.status == TrainingStatus::diverged) refuse(name_, "seed ", seed, ": ", ended.message);
  return run.parameters;
}

template <class Model, class Kind, class Tasks, class Method>
std::vector<Sample> Trainer<Model, Kind, Tasks, Method>::losses_by_context(const Parameters& parameters,
                                                                           const TaskRange& range,
                                                                           ThreadPool& pool) const {
  return loss_by_context<S, Kind>(model_, parameters, tasks_, range, pool);
}

template <class Model, class Kind, class Tasks, class Method>
std::vector<double> Trainer<Model, Kind, Tasks, Method>::losses(const Parameters& parameters, const TaskRange& range,
                                                                ThreadPool& pool) const {
  return losses(parameters, tasks_, range, pool);
}
template <class Model, class Kind, class Tasks, class Method>
std::vector<double> Trainer<Model, Kind, Tasks, Method>::losses(const Parameters& parameters, const Tasks& tasks,
                                                                const TaskRange& range, ThreadPool& pool) const {
  return query_losses<S, Kind>(model_, parameters, tasks, range, pool);
}

template <class Model, class Kind, class Tasks, class Method>
Alignment Trainer<Model, Kind, Tasks, Method>::align(const Parameters& parameters, const Parameters& other,
                                                     const TaskRange& range, ThreadPool& pool) const {
  return gdssm::align<S, Kind>(model_, parameters, model_, other, tasks_, range, pool);
}

}  // namespace gdssm::reproduce
