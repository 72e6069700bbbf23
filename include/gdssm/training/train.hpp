// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "gdssm/core/thread_pool.hpp"
#include "gdssm/training/gradient.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/optimizer.hpp"
#include "gdssm/training/schedule.hpp"
#include "gdssm/training/task_source.hpp"

namespace gdssm {

/// Everything that a training run carries from one update to the next: with it and the options the rest of the run
/// follows bit for bit. A value, to be copied, or saved (io/checkpoint.hpp) through `visit` and `visit_counters`.
template <class Parameters, class Optimizer = AdamW>
struct TrainingRun {
  Parameters parameters;                                     ///< what is trained, as the last update left it
  typename Optimizer::template State<Parameters> optimizer;  ///< moments and the number of updates

  Index updates() const { return optimizer.updates; }  ///< so far

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visit_part("parameters", visitor, self.parameters...);
    visit_part("optimizer", visitor, self.optimizer...);
  }
  template <class Visitor, class... Self>
  static void visit_counters(Visitor&& visitor, Self&&... self) {
    visit_counters_of_part("optimizer", visitor, self.optimizer...);
  }
};

/// A run at its beginning.
template <class Parameters, class Optimizer>
TrainingRun<Parameters, Optimizer> begin_run(const Optimizer& optimizer, const Parameters& parameters) {
  return {parameters, optimizer.initial_state(parameters)};
}

/// How long and on what. Draw n of a run (from 0) holds the tasks n batch, ..., (n + 1) batch - 1 of the seed.
struct TrainingOptions {
  Index updates = 10000;       ///< total, those that the run has behind it included
  Index batch = 64;            ///< tasks in a draw
  Index updates_per_draw = 1;  ///< updates made on each draw; the reference makes 3
  Index losses = 1;            ///< windows with a loss, the last of each context; N: a loss at every position
  std::uint64_t seed = 0;      ///< of the tasks
};

/// Why a run ended.
enum class TrainingStatus {
  finished,  ///< updates == options.updates
  stopped,   ///< a callback returned true
  diverged,  ///< a loss or a gradient was not finite; the run holds the last weights at which both were
};

/// How a run ended.
struct TrainingResult {
  TrainingStatus status;  ///< why it ended
  Index updates;          ///< made in all
  double loss;            ///< of the last draw, before its update; NaN if there was none
  std::string message;    ///< the status in words, with the update
};

/// What callbacks see after each update.
template <class Parameters>
struct TrainingProgress {
  Index update;                  ///< from 1
  double loss;                   ///< over the draw, before the update
  const Parameters& parameters;  ///< after it
};

namespace detail {

template <class T>
bool all_finite(const T* numbers, Index n) {
  bool finite = true;
  for (Index i = 0; i < n; ++i) finite = finite && std::isfinite(numbers[i]);
  return finite;
}

/// The loop, which knows the shape of the parameters and no model.
template <class Parameters, class Optimizer>
TrainingResult run_training(const Optimizer& optimizer, const std::function<double(Index)>& schedule,
                            const TrainingOptions& options, TrainingRun<Parameters, Optimizer>& run,
                            const std::function<double(Index, bool, Parameters&)>& loss_and_gradient,
                            const std::function<bool(const TrainingProgress<Parameters>&)>& stops) {
  auto gradient = run.parameters;
  auto good = run;
  Index drawn = -1;
  double loss = std::nan("");
  while (run.updates() < options.updates) {
    const Index draw = run.updates() / options.updates_per_draw;
    loss = loss_and_gradient(draw, draw != drawn, gradient);
    drawn = draw;

    bool finite = std::isfinite(loss);
    visit([&](const Name&, const auto& matrix) { finite = finite && all_finite(matrix.data(), matrix.size()); },
          gradient);
    if (!finite) {
      const Index update = run.updates() + 1;
      run = good;
      return {TrainingStatus::diverged, run.updates(), loss,
              "the loss or its gradient was not finite at update " + std::to_string(update)};
    }
    good = run;
    optimizer.update(gradient, schedule(run.updates() + 1), run.parameters, run.optimizer);
    if (stops && stops({run.updates(), loss, run.parameters}))
      return {TrainingStatus::stopped, run.updates(), loss,
              "a callback stopped the run after update " + std::to_string(run.updates())};
  }
  return {TrainingStatus::finished, run.updates(), loss, "all " + std::to_string(run.updates()) + " updates were made"};
}

/// Sensitivities, where a model has them.
template <class Model>
using BestMethod = std::conditional_t<Model::sensitive, ForwardSensitivity, StoredHistory>;

}  // namespace detail

/// The training loop: draws tasks, takes the gradient of the mean loss over them, updates, and tells the callbacks, any
/// objects that can be called with a `TrainingProgress`; one that returns true stops the run.
///     `S`         what tasks run in, such as Lanes<float>
///     `Kind`      what of a target counts: as the tasks say, or one that they must agree with
///     `Method`    of the gradient
///     `Schedule`  factor of the learning rates for update n = 1, 2, ...
/// Same bits for any number of threads. `run` continues where it stands.
/// Errors  std::invalid_argument: options below 1, tasks that don't fit the model, targets of another kind than the
///         tasks'. Divergence is a status.
template <class S, class Kind = Targets, class Method = void, class Model, TaskDistribution Tasks, class Optimizer,
          class Schedule, class... Callback>
TrainingResult train(const Model& model, const Tasks& tasks, const Optimizer& optimizer, const Schedule& schedule,
                     const TrainingOptions& options,
                     TrainingRun<typename Model::template Parameters<LaneScalar<S>>, Optimizer>& run, ThreadPool& pool,
                     Callback&&... callback) {
  using Parameters = typename Model::template Parameters<LaneScalar<S>>;
  using Gradient = std::conditional_t<std::is_void_v<Method>, detail::BestMethod<Model>, Method>;
  if (options.batch < 1 || options.updates_per_draw < 1 || options.losses < 1 || options.updates < 0)
    refuse("train", "batch, updates a draw, losses and updates are ", options.batch, ", ", options.updates_per_draw,
           ", ", options.losses, " and ", options.updates, ", expected at least 1, 1, 1 and 0");
  Targets kind = targets_of(tasks);
  if constexpr (!std::is_same_v<Kind, Targets>) {
    const Index m = model.output_count();
    const Targets asked = Kind();
    if (requires { tasks.targets(); } &&
        !(asked.loss == kind.loss && asked.counted(m, "train") == kind.counted(m, "train")))
      refuse("train", "targets are of another kind than the tasks say: ", asked.counted(m), " ",
             asked.loss == Targets::Loss::cross_entropy ? "classes" : "coordinates", ", expected ", kind.counted(m),
             " ", kind.loss == Targets::Loss::cross_entropy ? "classes" : "coordinates");
    kind = asked;
  }
  Batch<S> batch(model.window(), options.batch, tasks.length(), model.output_count(), options.losses,
                 detail::is_ragged<Tasks>);
  const TaskSource<S> source(tasks, model.window(), static_cast<Index>(batch.groups().size()));
  BatchGradient<Model, S, Targets, Gradient> loss_gradient(model, batch.windows(), options.losses, kind);
  const auto loss_and_gradient = [&](Index draw, bool fresh, Parameters& gradient) {
    return static_cast<double>(loss_gradient(run.parameters, batch, gradient, pool, [&](Index group) {
      if (fresh) source.draw(options.seed, static_cast<std::uint64_t>(draw * options.batch), group, batch);
    }));
  };
  const auto stops = [&](const TrainingProgress<Parameters>& progress) {
    [[maybe_unused]] const auto wants_stop = [&](auto& call) {
      if constexpr (std::is_void_v<decltype(call(progress))>) {
        call(progress);
        return false;
      } else {
        return static_cast<bool>(call(progress));
      }
    };
    bool stop = false;
    ((stop = wants_stop(callback) || stop), ...);  // every callback sees every update
    return stop;
  };
  return detail::run_training<Parameters, Optimizer>(optimizer, schedule, options, run, loss_and_gradient, stops);
}

/// How a model is trained by the short call; every setting has a default.
struct TrainingSettings {
  double rate = 1e-3;                          ///< learning rate of AdamW, for all weights; `optimizer` takes its place
  Index updates = 10000;                       ///< in all
  Index batch = 64;                            ///< tasks in a draw
  Index updates_per_draw = 1;                  ///< updates made on each draw
  Index losses = 1;                            ///< windows with a loss, the last of each context
  std::uint64_t seed = 1;                      ///< of the tasks, and of the start that is drawn
  int threads = 1;                             ///< that share the work; the results are the same bits for any number
  AdamW optimizer = {};                        ///< groups with rates and decays of their own
  std::function<double(Index)> schedule = {};  ///< factor of the rates at update n; by default half a cosine to zero
};

/// What training made of a model.
template <class Parameters>
struct Trained : TrainingResult {
  Parameters weights;  ///< after the last update
};

/// Trains a model from given weights on a distribution of tasks.
///     auto run = train(layer, tasks, {.rate = 3e-3, .updates = 4000}, start);     // run.weights, run.message
/// Callbacks are called as by the long form, which also continues and saves runs.
/// Errors  as the long form's
template <class P = float, class Model, TaskDistribution Tasks, class... Callback>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks,
                                                      const TrainingSettings& settings,
                                                      const typename Model::template Parameters<P>& start,
                                                      Callback&&... callback) {
  const AdamW optimizer = settings.optimizer.groups.empty() ? AdamW{settings.rate} : settings.optimizer;
  const auto schedule = settings.schedule ? settings.schedule : WarmUpCosine{0, (std::max)(settings.updates, Index(1))};
  auto run = begin_run(optimizer, start);
  ThreadPool pool(settings.threads);
  TrainingResult result = train<Lanes<P>>(model, tasks, optimizer, schedule,
                                          TrainingOptions{.updates = settings.updates,
                                                          .batch = settings.batch,
                                                          .updates_per_draw = settings.updates_per_draw,
                                                          .losses = settings.losses,
                                                          .seed = settings.seed},
                                          run, pool, callback...);
  return {std::move(result), std::move(run.parameters)};
}

/// Trains a model from random weights, those of `reference_initialization`.
///     auto run = train(layer, tasks, {.rate = 3e-3, .updates = 4000});
template <class P = float, class Model, TaskDistribution Tasks>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks,
                                                      const TrainingSettings& settings = {}) {
  return train<P>(model, tasks, settings, reference_initialization<P>(model, settings.seed));
}

}  // namespace gdssm
