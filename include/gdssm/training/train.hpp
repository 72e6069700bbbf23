// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/named_weights.hpp"
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

/// Copies a value of one type, matrices and whole numbers, to one of another type that names the same.
template <class P, class From, class To>
void transfer(const From& from, To& to) {
  NamedWeights<P>(from).copy_to(to);
  std::vector<Index> counters;
  visit_counters([&](const Name&, const auto& counter) { counters.push_back(static_cast<Index>(counter)); }, from);
  std::size_t next = 0;
  visit_counters(
      [&](const Name&, auto& counter) {
        counter = static_cast<std::remove_reference_t<decltype(counter)>>(counters[next++]);
      },
      to);
}

/// What counts of a target, from what the tasks say, if they do, and what was asked for.
inline Targets agreed_targets(const Targets& said, bool tasks_say, const Targets& asked, Index outputs) {
  const auto text = [&](const Targets& kind) {
    return std::to_string(kind.counted(outputs, "train")) +
           (kind.loss == Targets::Loss::cross_entropy ? " classes" : " coordinates");
  };
  if (tasks_say && !(asked.loss == said.loss && asked.counted(outputs, "train") == said.counted(outputs, "train")))
    refuse("train", "targets are of another kind than the tasks say: ", text(asked), ", expected ", text(said));
  return asked;
}

/// Sensitivities, where a model has them.
template <class Model>
using BestMethod = std::conditional_t<Model::sensitive, ForwardSensitivity, StoredHistory>;

/// The loop, which knows no model: `gradient` makes the loss of one for batches of so many windows.
template <class S, class Optimizer>
TrainingResult run_training(const WindowSizes& window, Index outputs,
                            const std::function<LossAndGradient<S>(Index)>& gradient, const TaskSource<S>& tasks,
                            const Optimizer& optimizer, const std::function<double(Index)>& schedule,
                            const TrainingOptions& options, TrainingRun<NamedWeights<LaneScalar<S>>, Optimizer>& run,
                            ThreadPool& pool,
                            const std::function<bool(const TrainingProgress<NamedWeights<LaneScalar<S>>>&)>& stops) {
  if (options.batch < 1 || options.updates_per_draw < 1 || options.losses < 1 || options.updates < 0)
    refuse("train", "batch, updates a draw, losses and updates are ", options.batch, ", ", options.updates_per_draw,
           ", ", options.losses, " and ", options.updates, ", expected at least 1, 1, 1 and 0");
  Batch<S> batch(window, options.batch, tasks.length(), outputs, options.losses, tasks.ragged());
  const TaskSource<S> source(tasks, static_cast<Index>(batch.groups().size()));
  const LossAndGradient<S> loss_of = gradient(batch.windows());
  auto slope = run.parameters;
  auto good = run;
  Index drawn = -1;
  double loss = std::nan("");
  while (run.updates() < options.updates) {
    const Index draw = run.updates() / options.updates_per_draw;
    loss = static_cast<double>(loss_of(run.parameters, batch, slope, pool, [&](Index group) {
      if (draw != drawn) source.draw(options.seed, static_cast<std::uint64_t>(draw * options.batch), group, batch);
    }));
    drawn = draw;

    bool finite = std::isfinite(loss);
    visit([&](const Name&, const auto& matrix) { finite = finite && all_finite(matrix.data(), matrix.size()); }, slope);
    if (!finite) {
      const Index update = run.updates() + 1;
      run = good;
      return {TrainingStatus::diverged, run.updates(), loss,
              "the loss or its gradient was not finite at update " + std::to_string(update)};
    }
    good = run;
    optimizer.update(slope, schedule(run.updates() + 1), run.parameters, run.optimizer);
    if (stops && stops({run.updates(), loss, run.parameters}))
      return {TrainingStatus::stopped, run.updates(), loss,
              "a callback stopped the run after update " + std::to_string(run.updates())};
  }
  return {TrainingStatus::finished, run.updates(), loss, "all " + std::to_string(run.updates()) + " updates were made"};
}

}  // namespace detail

/// The training loop: draws tasks, takes the gradient of the mean loss over them, updates, and tells the callbacks, any
/// objects that can be called with a `TrainingProgress`; one that returns true stops the run.
///     `S`         what tasks run in, such as Lanes<float>
///     `Kind`      what of a target counts: as the tasks say, or one that they must agree with
///     `Method`    of the gradient
///     `Schedule`  factor of the learning rates for update n = 1, 2, ...
/// Same bits for any number of threads. `run` continues where it stands. The optimiser sees the weights as
/// `NamedWeights`, whatever the model.
/// Errors  std::invalid_argument: options below 1, tasks that don't fit the model, targets of another kind than the
///         tasks', what the optimiser refuses. Divergence is a status.
template <class S, class Kind = Targets, class Method = void, class Model, class Tasks, class Optimizer, class Schedule,
          class... Callback>
TrainingResult train(const Model& model, const Tasks& tasks, const Optimizer& optimizer, const Schedule& schedule,
                     const TrainingOptions& options,
                     TrainingRun<typename Model::template Parameters<LaneScalar<S>>, Optimizer>& run, ThreadPool& pool,
                     Callback&&... callback) {
  using P = LaneScalar<S>;
  using Weights = NamedWeights<P>;
  using Gradient = std::conditional_t<std::is_void_v<Method>, detail::BestMethod<Model>, Method>;
  expect_shapes("train", model.template parameters<P>(), run.parameters);
  Targets kind = targets_of(tasks);
  if constexpr (!std::is_same_v<Kind, Targets>)
    kind = detail::agreed_targets(
        kind, requires { tasks.targets(); }, Kind(), model.output_count());

  auto any = begin_run(optimizer, Weights(run.parameters));
  detail::transfer<P>(run, any);
  std::function<bool(const TrainingProgress<Weights>&)> stops;
  if constexpr (sizeof...(Callback) > 0)
    stops = [&](const TrainingProgress<Weights>& at) {
      detail::transfer<P>(any, run);
      const TrainingProgress<typename Model::template Parameters<P>> progress{at.update, at.loss, run.parameters};
      const auto wants_stop = [&](auto& call) {
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
  const auto gradient = [&](Index windows) {
    return loss_and_gradient<S, Gradient>(model, windows, options.losses, kind);
  };
  try {
    TrainingResult result = detail::run_training<S, Optimizer>(model.window(), model.output_count(), gradient,
                                                               TaskSource<S>(tasks, model.window(), 1), optimizer,
                                                               schedule, options, any, pool, stops);
    detail::transfer<P>(any, run);
    return result;
  } catch (...) {
    detail::transfer<P>(any, run);  // whatever failed, updates that were made are not lost
    throw;
  }
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
template <class P = float, class Model, class Tasks, class... Callback>
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
template <class P = float, class Model, class Tasks>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks,
                                                      const TrainingSettings& settings = {}) {
  return train<P>(model, tasks, settings, reference_initialization<P>(model, settings.seed));
}

}  // namespace gdssm
