// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/processes.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/training/division.hpp"
#include "gdssm/training/gradient.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/optimizer.hpp"
#include "gdssm/training/schedule.hpp"
#include "gdssm/training/task_source.hpp"

namespace gdssm {

/// The state of a training run. It and the options determine the rest of the run, bit for bit. A value, which can be
/// copied, and saved by io/checkpoint.hpp.
template <class Parameters, class Optimizer = AdamW>
struct TrainingRun {
  Parameters parameters;                                     ///< after the last update
  typename Optimizer::template State<Parameters> optimizer;  ///< moments and the number of updates

  Index updates() const { return optimizer.updates; }  ///< number made so far

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

/// A run before its first update.
template <class Parameters, class Optimizer>
TrainingRun<Parameters, Optimizer> begin_run(const Optimizer& optimizer, const Parameters& parameters) {
  return {parameters, optimizer.initial_state(parameters)};
}

/// The length of a run, and its tasks. Draw n of a run, from 0, has the tasks n batch, ..., (n + 1) batch - 1 of the
/// seed.
struct TrainingOptions {
  Index updates = 10000;       ///< in all, with those that the run has already made
  Index batch = 64;            ///< tasks in a draw
  Index updates_per_draw = 1;  ///< updates on each draw; the reference makes 3
  Index losses = 1;            ///< the last windows of each context that have a loss; N for all of N windows
  std::uint64_t seed = 0;      ///< seed of the tasks
  Division division = {};      ///< how each draw is divided among threads and processes
};

/// Why a run ended.
enum class TrainingStatus {
  finished,  ///< updates == options.updates
  stopped,   ///< a callback returned true
  diverged,  ///< a loss or a gradient was not finite; the run has the last weights at which both were finite
};

/// How a run ended.
struct TrainingResult {
  TrainingStatus status;  ///< why it ended
  Index updates;          ///< number made in all
  double loss;            ///< on the last draw, before the update; NaN if no update was made
  std::string message;    ///< the status in words
};

/// The argument of callbacks, after each update.
template <class Parameters>
struct TrainingProgress {
  Index update;                  ///< number of the update, from 1
  double loss;                   ///< on the draw, before the update
  const Parameters& parameters;  ///< after the update
};

namespace detail {

template <class T>
bool all_finite(const T* numbers, Index n) {
  bool finite = true;
  for (Index i = 0; i < n; ++i) finite = finite && std::isfinite(numbers[i]);
  return finite;
}

/// Copies the matrices and counters of a value to a value of another type with the same names.
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

/// The kind of targets that was asked for. Refuses it if the tasks say another.
inline Targets agreed_targets(const Targets& said, bool tasks_say, const Targets& asked, Index outputs) {
  const auto text = [&](const Targets& kind) {
    return std::to_string(kind.counted(outputs, "train")) +
           (kind.loss == Targets::Loss::cross_entropy ? " classes" : " coordinates");
  };
  if (tasks_say && !(asked.loss == said.loss && asked.counted(outputs, "train") == said.counted(outputs, "train")))
    refuse("train", "targets are of another kind than the tasks say: ", text(asked), ", expected ", text(said));
  return asked;
}

/// Forward sensitivity if a model has it, else stored history.
template <class Model>
using BestMethod = std::conditional_t<Model::sensitive, ForwardSensitivity, StoredHistory>;

/// What process 0 says.
inline bool agreed(bool stop, const Division& division) {
  if (division.processes) division.processes->broadcast(std::as_writable_bytes(std::span(&stop, 1)), 0);
  return stop;
}

/// Refuses a run that is not the same on all processes.
template <class Run>
void expect_same_run(const TrainingOptions& options, Index length, const Run& run) {
  if (!options.division.processes) return;
  const auto text = [](auto... numbers) { return ((std::to_string(numbers) + " ") + ...); };
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  visit(
      [&](const Name&, const auto& matrix) {
        for (const std::byte b : std::as_bytes(std::span(matrix.data(), static_cast<std::size_t>(matrix.size()))))
          hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
      },
      run);
  expect_same(*options.division.processes,
              {{"the seed of the tasks", std::to_string(options.seed)},
               {"updates, batch, updates a draw, losses and parts",
                text(options.updates, options.batch, options.updates_per_draw, options.losses, options.division.parts)},
               {"the tasks' length", std::to_string(length)},
               {"the number of updates made", std::to_string(run.updates())},
               {"a hash of the weights and the optimiser's state", std::to_string(hash)}});
}

/// The loop of updates, whatever is trained. `gradient(weights, slope)` writes the gradient of the loss for the update
/// that comes next, and returns the loss.
template <class P, class Optimizer>
TrainingResult run_updates(const std::function<double(const NamedWeights<P>&, NamedWeights<P>&)>& gradient,
                           const Optimizer& optimizer, const std::function<double(Index)>& schedule, Index updates,
                           TrainingRun<NamedWeights<P>, Optimizer>& run,
                           const std::function<bool(const TrainingProgress<NamedWeights<P>>&)>& stops) {
  auto slope = run.parameters;
  auto good = run;
  double loss = std::nan("");
  while (run.updates() < updates) {
    loss = gradient(run.parameters, slope);
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

/// The training loop on tasks, compiled once for all models.
template <class S, class Optimizer>
struct TrainingLoop {
  using Weights = NamedWeights<LaneScalar<S>>;

  const WindowSizes& window;
  Index outputs;
  const std::function<LossAndGradient<S>(Index)>& gradient;  ///< gradient(windows) returns the model's loss
  const TaskSource<S>& tasks;
  const Optimizer& optimizer;
  const std::function<double(Index)>& schedule;
  const TrainingOptions& options;
  ThreadPool& pool;
  const std::function<bool(const TrainingProgress<Weights>&)>& stops;

  TrainingResult operator()(TrainingRun<Weights, Optimizer>& run) const;
};

template <class S, class Optimizer>
TrainingResult TrainingLoop<S, Optimizer>::operator()(TrainingRun<Weights, Optimizer>& run) const {
  if (options.batch < 1 || options.updates_per_draw < 1 || options.losses < 1 || options.updates < 0)
    refuse("train", "batch, updates a draw, losses and updates are ", options.batch, ", ", options.updates_per_draw,
           ", ", options.losses, " and ", options.updates, ", expected at least 1, 1, 1 and 0");
  expect_same_run(options, tasks.length(), run);
  Batch<S> batch(window, options.batch, tasks.length(), outputs, options.losses, tasks.ragged());
  const TaskSource<S> source(tasks, static_cast<Index>(batch.groups().size()));
  const LossAndGradient<S> loss_of = gradient(batch.windows());
  std::function<bool(const TrainingProgress<Weights>&)> stops_all;
  if (stops) stops_all = [&](const auto& progress) { return agreed(stops(progress), options.division); };
  Index drawn = -1;
  return run_updates<LaneScalar<S>, Optimizer>(
      [&](const Weights& weights, Weights& slope) {
        const Index draw = run.updates() / options.updates_per_draw;
        const auto loss = static_cast<double>(loss_of(weights, batch, slope, pool, [&](Index group) {
          if (draw != drawn) source.draw(options.seed, static_cast<std::uint64_t>(draw * options.batch), group, batch);
        }));
        drawn = draw;
        return loss;
      },
      optimizer, schedule, options.updates, run, stops_all);
}

#ifdef GDSSM_COMPILED
extern template struct TrainingLoop<Lanes<float>, AdamW>;
#endif

/// What ends a run for its callbacks, which see the weights by their own type; `refresh` hands them over first.
template <class P, class Refresh, class Parameters, class... Callback>
std::function<bool(const TrainingProgress<NamedWeights<P>>&)> stops_by(Refresh refresh, const Parameters& parameters,
                                                                       Callback&... callback) {
  if constexpr (sizeof...(Callback) == 0)
    return {};
  else
    return [&parameters, refresh, &callback...](const TrainingProgress<NamedWeights<P>>& at) {
      refresh();
      const TrainingProgress<Parameters> progress{at.update, at.loss, parameters};
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
}

/// Trains a model by its named weights.
template <class S, class Kind, class Method, class Model, class Tasks, class Optimizer>
TrainingResult train_named(const Model& model, const Tasks& tasks, const Optimizer& optimizer,
                           const std::function<double(Index)>& schedule, const TrainingOptions& options,
                           TrainingRun<NamedWeights<LaneScalar<S>>, Optimizer>& run, ThreadPool& pool,
                           const std::function<bool(const TrainingProgress<NamedWeights<LaneScalar<S>>>&)>& stops) {
  using Gradient = std::conditional_t<std::is_void_v<Method>, BestMethod<Model>, Method>;
  Targets kind = targets_of(tasks);
  if constexpr (!std::is_same_v<Kind, Targets>)
    kind = agreed_targets(
        kind, requires { tasks.targets(); }, Kind(), model.output_count());
  const std::function<LossAndGradient<S>(Index)> gradient = [&](Index windows) {
    return loss_and_gradient<S, Gradient>(model, windows, options.losses, kind, options.division);
  };
  const TaskSource<S> source(tasks, model.window(), 1);
  return TrainingLoop<S, Optimizer>{
      model.window(), model.output_count(), gradient, source, optimizer, schedule, options, pool, stops}(run);
}

}  // namespace detail

/// Trains a model. For each update it draws tasks unless it repeats a draw, takes the gradient of the mean loss,
/// updates the weights, and calls the callbacks with a `TrainingProgress`. A callback that returns true stops the run.
///     `S`         the type of tokens, such as Lanes<float>
///     `Kind`      the kind of targets; by default what the tasks say, otherwise it must agree with them
///     `Method`    of the gradient, StoredHistory or ForwardSensitivity; by default the latter if the model has it
///     `Schedule`  returns the factor of the learning rates for update n = 1, 2, ...
/// Gives the same bits on any number of threads and of processes. Continues a `run` that has made updates. The
/// optimiser sees the weights of any model as `NamedWeights`. Where processes share the work, all of them call `train`
/// with the same arguments, and have the same run afterwards. Callbacks are called on each, and process 0 decides when
/// to stop.
/// Errors  std::invalid_argument: options below their least values, tasks that do not fit the model, targets of another
///         kind than the tasks', what the optimiser refuses; options, weights or an optimiser's state that are not the
///         same on all processes. Divergence is a status, not an error.
template <class S, class Kind = Targets, class Method = void, class Model, class Tasks, class Optimizer, class Schedule,
          class... Callback>
TrainingResult train(const Model& model, const Tasks& tasks, const Optimizer& optimizer, const Schedule& schedule,
                     const TrainingOptions& options,
                     TrainingRun<typename Model::template Parameters<LaneScalar<S>>, Optimizer>& run, ThreadPool& pool,
                     Callback&&... callback) {
  using P = LaneScalar<S>;
  expect_shapes("train", model.template parameters<P>(), run.parameters);
  auto any = begin_run(optimizer, NamedWeights<P>(run.parameters));
  detail::transfer<P>(run, any);
  const auto stops = detail::stops_by<P>([&] { detail::transfer<P>(any, run); }, run.parameters, callback...);
  try {
    TrainingResult result =
        detail::train_named<S, Kind, Method>(model, tasks, optimizer, schedule, options, any, pool, stops);
    detail::transfer<P>(any, run);
    return result;
  } catch (...) {
    detail::transfer<P>(any, run);  // whatever failed, updates that were made are not lost
    throw;
  }
}

/// Settings of the short form of `train`.
struct TrainingSettings {
  double rate = 1e-3;          ///< learning rate of AdamW for all weights, unless `optimizer` has groups
  Index updates = 10000;       ///< number of updates
  Index batch = 64;            ///< tasks in a draw
  Index updates_per_draw = 1;  ///< updates on each draw
  Index losses = 1;            ///< the last windows of each context that have a loss
  std::uint64_t seed = 1;      ///< seed of the tasks, and of random initial weights
  int threads = 1;             ///< number of threads; it does not change the results
  Division division = {};      ///< how each draw is divided among threads and processes
  AdamW optimizer = {};        ///< AdamW with groups of its own, instead of `rate`
  std::function<double(Index)> schedule = {};  ///< factor of the rate at update n; by default half a cosine to zero
};

/// How a run ended, and the trained weights.
template <class Parameters>
struct Trained : TrainingResult {
  Parameters weights;  ///< after the last update
};

/// Trains a model from given weights on a distribution of tasks.
///     auto run = train(layer, tasks, {.rate = 3e-3, .updates = 4000}, start);     // run.weights, run.message
/// Callbacks are as in the long form, which can also continue and save runs.
/// Errors  as the long form
template <class P = float, class Model, class Tasks, class... Callback>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks,
                                                      const TrainingSettings& settings,
                                                      const typename Model::template Parameters<P>& start,
                                                      Callback&&... callback) {
  const AdamW optimizer = settings.optimizer.groups.empty() ? AdamW{settings.rate} : settings.optimizer;
  const auto schedule = settings.schedule ? settings.schedule : WarmUpCosine{0, (std::max)(settings.updates, Index(1))};
  Trained<typename Model::template Parameters<P>> trained{{}, start};
  expect_shapes("train", model.template parameters<P>(), start);
  auto run = begin_run(optimizer, NamedWeights<P>(start));
  ThreadPool pool(settings.threads);
  const auto hand_over = [&] { run.parameters.copy_to(trained.weights); };
  static_cast<TrainingResult&>(trained) = detail::train_named<Lanes<P>, Targets, void>(
      model, tasks, optimizer, schedule,
      TrainingOptions{.updates = settings.updates,
                      .batch = settings.batch,
                      .updates_per_draw = settings.updates_per_draw,
                      .losses = settings.losses,
                      .seed = settings.seed,
                      .division = settings.division},
      run, pool, detail::stops_by<P>(hand_over, trained.weights, callback...));
  hand_over();
  return trained;
}

/// Trains a model from the random weights of `reference_initialization`.
///     auto run = train(layer, tasks, {.rate = 3e-3, .updates = 4000});
template <class P = float, class Model, class Tasks>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks,
                                                      const TrainingSettings& settings = {}) {
  return train<P>(model, tasks, settings, reference_initialization<P>(model, settings.seed));
}

/// The same on processes that share every draw, such as MPI's ranks; each of them calls it, and has the same result.
/// The result is that of one process, bit for bit. No more processes are of use than `settings.division.parts`.
///     auto run = train(layer, tasks, {.rate = 3e-3, .batch = 1024, .division = {.parts = 64}}, world);
template <class P = float, class Model, class Tasks, class... Callback>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks, TrainingSettings settings,
                                                      Processes& processes,
                                                      const typename Model::template Parameters<P>& start,
                                                      Callback&&... callback) {
  settings.division.processes = &processes;
  return train<P>(model, tasks, settings, start, callback...);
}
template <class P = float, class Model, class Tasks>
Trained<typename Model::template Parameters<P>> train(const Model& model, const Tasks& tasks,
                                                      const TrainingSettings& settings, Processes& processes) {
  return train<P>(model, tasks, settings, processes, reference_initialization<P>(model, settings.seed));
}

}  // namespace gdssm
