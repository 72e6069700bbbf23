// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

#include "gdssm/core/thread_pool.hpp"
#include "gdssm/training/gradient.hpp"
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

/// The training loop: draws tasks, takes the gradient of the mean loss over them, updates, and tells the callbacks, any
/// objects that can be called with a `TrainingProgress`; one that returns true stops the run.
///     `Tasks`     as `TaskSource` wants it
///     `Schedule`  factor of the learning rates for update n = 1, 2, ...
/// Same bits for any number of threads. `run` continues where it stands; S is the lanes that tasks run in.
/// Errors  std::invalid_argument: options below 1, tasks that don't fit the model. Divergence is a status.
template <class S, class Kind, class Method = ForwardSensitivity, class Model, class Tasks, class Optimizer,
          class Schedule, class... Callback>
TrainingResult train(const Model& model, const Tasks& tasks, const Optimizer& optimizer, const Schedule& schedule,
                     const TrainingOptions& options,
                     TrainingRun<typename Model::template Parameters<LaneScalar<S>>, Optimizer>& run, ThreadPool& pool,
                     Callback&&... callback) {
  if (options.batch < 1 || options.updates_per_draw < 1 || options.losses < 1 || options.updates < 0)
    refuse("train", "batch, updates a draw, losses and updates are ", options.batch, ", ", options.updates_per_draw,
           ", ", options.losses, " and ", options.updates, ", expected at least 1, 1, 1 and 0");
  Batch<S> batch(model.window(), options.batch, tasks.length(), model.output_count(), options.losses);
  TaskSource<S, Tasks> source(tasks, static_cast<Index>(batch.groups().size()));
  BatchGradient<Model, S, Kind, Method> loss_gradient(model, batch.windows(), options.losses);
  auto gradient = run.parameters;
  auto good = run;
  Index drawn = -1;
  double loss = std::nan("");

  while (run.updates() < options.updates) {
    const Index draw = run.updates() / options.updates_per_draw;
    const bool fresh = draw != drawn;
    loss = static_cast<double>(loss_gradient(run.parameters, batch, gradient, pool, [&](Index group) {
      if (fresh) source.draw(options.seed, static_cast<std::uint64_t>(draw * options.batch), group, batch);
    }));
    drawn = draw;

    bool finite = std::isfinite(loss);
    visit([&](const Name&, const auto& matrix) { finite = finite && matrix.allFinite(); }, gradient);
    if (!finite) {
      const Index update = run.updates() + 1;
      run = good;
      return {TrainingStatus::diverged, run.updates(), loss,
              "the loss or its gradient was not finite at update " + std::to_string(update)};
    }
    good = run;
    optimizer.update(gradient, schedule(run.updates() + 1), run.parameters, run.optimizer);

    const TrainingProgress<typename Model::template Parameters<LaneScalar<S>>> progress{run.updates(), loss,
                                                                                        run.parameters};
    [[maybe_unused]] const auto wants_stop = [&](auto& call) {
      if constexpr (std::is_void_v<decltype(call(progress))>) {
        call(progress);
        return false;
      } else {
        return static_cast<bool>(call(progress));
      }
    };
    [[maybe_unused]] bool stop = false;
    ((stop = wants_stop(callback) || stop), ...);  // every callback sees every update
    if (stop)
      return {TrainingStatus::stopped, run.updates(), loss,
              "a callback stopped the run after update " + std::to_string(run.updates())};
  }
  return {TrainingStatus::finished, run.updates(), loss, "all " + std::to_string(run.updates()) + " updates were made"};
}

}  // namespace gdssm
