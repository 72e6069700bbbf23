// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/gradient.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/optimizer.hpp"
#include "gdssm/training/redrawn_gradient.hpp"
#include "gdssm/training/task_source.hpp"

namespace {

using gdssm::Index;

enum class Tasks { drawn_once, fresh };

// One whole update on one thread: loss and gradient of `batch` tasks, lanes reduced, the reference's optimiser; with
// `fresh` the tasks are drawn too. The count of work is the nominal one, batch (N (9 f^2 + 18 f) + 5 f^2)
// multiply-adds, to be held against `fma_peak`.
template <Index F, class Method>
void train_step(benchmark::State& state, Index features, Index context, Index batch_size, Tasks kind) {
  using Lanes = gdssm::Lanes<float>;
  using Layer = gdssm::PaperLayer<F>;
  const Layer layer(features);
  const gdssm::LinearRegression tasks{.features = features, .outputs = features, .context = context};
  gdssm::Batch<Lanes> batch(layer.window(), batch_size, tasks.length(), features, 1);
  const Index groups = static_cast<Index>(batch.groups().size());
  const gdssm::TaskSource<Lanes> source(tasks, layer.window(), groups);

  const auto optimizer = gdssm::AdamW::reference();
  auto parameters = gdssm::reference_initialization<float>(layer, 1);
  auto moments = optimizer.initial_state(parameters);
  auto gradient = parameters;
  gdssm::BatchGradient<Layer, Lanes, gdssm::VectorTargets, Method> loss_gradient(layer, context, 1);
  std::uint64_t first = 0;
  const auto draw = [&] {
    for (Index g = 0; g < groups; ++g) source.draw(1, first, g, batch);
    first += static_cast<std::uint64_t>(batch_size);
  };
  draw();
  for (auto _ : state) {
    if (kind == Tasks::fresh) draw();
    float loss = loss_gradient(parameters, batch, gradient);
    optimizer.update(gradient, 1, parameters, moments);
    benchmark::DoNotOptimize(loss);
    benchmark::ClobberMemory();
  }
  const double f = double(features), N = double(context);
  state.counters["FMA"] = benchmark::Counter(double(batch_size) * (N * (9 * f * f + 18 * f) + 5 * f * f),
                                             benchmark::Counter::kIsIterationInvariantRate);
  state.SetItemsProcessed(state.iterations() * batch_size);
}

// One update over contexts that are not stored: tokens are drawn again where they are needed. `peak` is the peak memory
// of the process so far.
void train_step_redrawn(benchmark::State& state) {
  using Lanes = gdssm::Lanes<float>;
  using Layer = gdssm::PaperLayer<10>;
  const Layer layer;
  const gdssm::LinearRegression tasks{.context = state.range(1)};
  const Index batch_size = state.range(2);
  const auto optimizer = gdssm::AdamW::reference();
  auto parameters = gdssm::reference_initialization<float>(layer, 1);
  auto moments = optimizer.initial_state(parameters);
  auto gradient = parameters;
  gdssm::RedrawnGradient<Layer, Lanes, gdssm::LinearRegression> loss_gradient(layer, tasks);
  gdssm::ThreadPool alone;
  std::uint64_t first = 0;
  for (auto _ : state) {
    float loss = loss_gradient(parameters, 1, first, batch_size, gradient, alone);
    optimizer.update(gradient, 1, parameters, moments);
    first += static_cast<std::uint64_t>(batch_size);
    benchmark::DoNotOptimize(loss);
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak"] = benchmark::Counter(1024.0 * static_cast<double>(usage.ru_maxrss),
                                              benchmark::Counter::kDefaults, benchmark::Counter::kIs1024);
  state.SetItemsProcessed(state.iterations() * batch_size);
}

BENCHMARK(train_step_redrawn)->Args({10, 10, 16})->Args({10, 1000000, 16})->Unit(benchmark::kMillisecond);

template <Index F, class Method>
void add(const std::string& name, Index size, Tasks kind) {
  benchmark::RegisterBenchmark((name + "/" + std::to_string(size) + "/" + std::to_string(size) + "/64").c_str(),
                               [=](benchmark::State& state) { train_step<F, Method>(state, size, size, 64, kind); })
      ->Unit(benchmark::kMicrosecond);
}

template <Index F>
void add_size() {
  using gdssm::ForwardSensitivity;
  add<F, ForwardSensitivity>("train_step", F, Tasks::drawn_once);
  add<F, ForwardSensitivity>("train_step_with_tasks", F, Tasks::fresh);
}

const bool registered = [] {
  add_size<10>();
  add_size<20>();
  add_size<50>();
  add<10, gdssm::StoredHistory>("train_step_stored_history", 10, Tasks::drawn_once);
  add<gdssm::Dynamic, gdssm::ForwardSensitivity>("train_step_dynamic", 10, Tasks::drawn_once);
  return true;
}();

}  // namespace
