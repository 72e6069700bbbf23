// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/analysis/alignment.hpp"
#include "gdssm/analysis/sample.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "reproduce/models/any.hpp"
#include "reproduce/run/checkpoint.hpp"

namespace gdssm::reproduce {

/// How a model is trained; as it stands the way of the reference, with fresh tasks at every update.
struct Recipe {
  Index updates = 30000;
  AdamW optimizer = AdamW::reference();
  std::function<double(Index)> schedule = ConstantRate{};  ///< factor of the rates at update n = 1, 2, ...
  Index losses = 1;                                        ///< windows with a loss, the last of each context
  Index batch = 64;
  Index updates_per_draw = 1;                                         ///< updates made on each draw of tasks
  double longest_gradient = std::numeric_limits<double>::infinity();  ///< longer ones are shortened to it
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

/// Looks at the weights after every so many updates of a run, and at nothing else: the looks of a run that is taken up
/// again are those of one that went through.
template <class Parameters>
struct Follow {
  Index every = 0;  ///< 0: never
  std::function<void(Index update, const Parameters& parameters)> look = {};
};

/// A model and the tasks it is trained on, in single precision, a task a lane, their types forgotten.
class AnyTrainer {
 public:
  using Weights = NamedWeights<float>;

  AnyModel<Lane> model;
  TaskSource<Lane> tasks;
  Targets kind;  ///< what of a target counts

  /// Weights after a recipe's updates, on the tasks of a seed, and how the run ended. The run is taken up where its
  /// checkpoint stands, if it has one, and kept there from time to time and at the end; but not one that diverged.
  /// Errors  those of `gdssm::train` and of checkpoints
  std::pair<TrainingResult, Weights> train(const Recipe& recipe, std::uint64_t seed, const Weights& start,
                                           ThreadPool& pool, Checkpoint checkpoint,
                                           const Follow<Weights>& follow = {}) const;

  /// The loss after t = 1..N pairs.
  std::vector<Sample> losses_by_context(const Weights& weights, const TaskRange& range, ThreadPool& pool) const;
  /// The query's loss, task by task.
  std::vector<double> losses(const Weights& weights, const TaskRange& range, ThreadPool& pool) const;
  std::vector<double> losses(const Weights& weights, const TaskSource<Lane>& of, const TaskRange& range,
                             ThreadPool& pool) const;
  /// The share of right labels after t = 1..N pairs.
  std::vector<Sample> accuracy_by_context(const Weights& weights, const TaskRange& range, ThreadPool& pool) const;
  /// The alignment with other weights of the same model.
  Alignment align(const Weights& weights, const Weights& other, const TaskRange& range, ThreadPool& pool) const;
};

/// The same for a model whose type is known, with weights of that type.
///     `Tasks`  as `TaskSource` wants it
template <class Model, class Tasks = LinearRegression>
class Trainer {
 public:
  using Parameters = typename Model::template Parameters<float>;
  using Follow = reproduce::Follow<Parameters>;

  /// `name` leads messages.
  Trainer(std::string name, Model model, Tasks tasks)
      : name_(std::move(name)),
        model_(std::move(model)),
        tasks_(std::make_shared<const Tasks>(std::move(tasks))),
        any_{any_model(model_), task_source(*tasks_, model_.window()), targets_of(*tasks_)} {}

  const Model& model() const { return model_; }
  const Tasks& tasks() const { return *tasks_; }
  const AnyTrainer& any() const { return any_; }  ///< the same, its types forgotten

  /// Weights after a recipe's updates, as `AnyTrainer::train`.
  /// Errors  std::invalid_argument: the loss or its gradient ceased to be finite
  Parameters train(const Recipe& recipe, std::uint64_t seed, const Parameters& start, ThreadPool& pool,
                   const Checkpoint& checkpoint, const Follow& follow = {}) const {
    const auto look = [&](Index update, const Weights& weights) { follow.look(update, typed(weights)); };
    const auto [ended, weights] = any_.train(recipe, seed, Weights(start), pool, checkpoint, {follow.every, look});
    if (ended.status == TrainingStatus::diverged) refuse(name_, "seed ", seed, ": ", ended.message);
    return typed(weights);
  }

  std::vector<Sample> losses_by_context(const Parameters& parameters, const TaskRange& range, ThreadPool& pool) const {
    return any_.losses_by_context(Weights(parameters), range, pool);
  }
  std::vector<Sample> accuracy_by_context(const Parameters& parameters, const TaskRange& range,
                                          ThreadPool& pool) const {
    return any_.accuracy_by_context(Weights(parameters), range, pool);
  }
  /// Of the tasks trained on, or of others.
  std::vector<double> losses(const Parameters& parameters, const TaskRange& range, ThreadPool& pool) const {
    return any_.losses(Weights(parameters), range, pool);
  }
  std::vector<double> losses(const Parameters& parameters, const Tasks& tasks, const TaskRange& range,
                             ThreadPool& pool) const {
    return any_.losses(Weights(parameters), task_source(tasks, model_.window()), range, pool);
  }
  Alignment align(const Parameters& parameters, const Parameters& other, const TaskRange& range,
                  ThreadPool& pool) const {
    return any_.align(Weights(parameters), Weights(other), range, pool);
  }

 private:
  using Weights = AnyTrainer::Weights;

  Parameters typed(const Weights& weights) const {
    Parameters parameters = model_.template parameters<float>();
    weights.copy_to(parameters);
    return parameters;
  }

  std::string name_;
  Model model_;
  std::shared_ptr<const Tasks> tasks_;
  AnyTrainer any_;
};

/// f = N = 10, the paper's setting.
inline constexpr Index paper_features = 10;

}  // namespace gdssm::reproduce
