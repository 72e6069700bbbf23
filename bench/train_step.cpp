// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/gradient.hpp"

namespace {

using gdssm::Index;

// What the reference would call one step's forward and backward: loss and parameter gradient of `batch` tasks, lanes
// reduced. The count of work is the nominal one, batch (N (9 f^2 + 18 f) + 5 f^2) fused multiply-adds, to be held
// against `fma_peak`.
template <Index F, class Method>
void train_step(benchmark::State& state, Index features, Index context, Index batch) {
  using Lanes = gdssm::Lanes<float>;
  using Layer = gdssm::PaperLayer<F>;
  const Layer layer(features);
  const gdssm::LinearRegression tasks{.features = features, .outputs = features, .context = context};

  std::vector<gdssm::Context<float>> contexts;
  for (Index b = 0; b < batch; ++b) {
    const auto task = tasks.draw(1, static_cast<std::uint64_t>(b));
    contexts.push_back({gdssm::interleave(task.inputs, task.targets.leftCols(context)).cast<float>(),
                        task.targets.rightCols(1).cast<float>()});
  }
  const gdssm::Batch<Lanes> packed(layer.window(), contexts);

  auto parameters = gdssm::gradient_step(layer, 0.6f);
  parameters.recurrence.Lambda.setConstant(-0.5f);
  parameters.recurrence.log_step.setConstant(-4.0f);
  auto gradient = parameters;
  gdssm::BatchGradient<Layer, Lanes, gdssm::VectorTargets, Method> loss_gradient(layer, context, 1);
  for (auto _ : state) {
    float loss = loss_gradient(parameters, packed, gradient);
    benchmark::DoNotOptimize(loss);
    benchmark::ClobberMemory();
  }
  const double f = double(features), N = double(context);
  state.counters["FMA"] = benchmark::Counter(double(batch) * (N * (9 * f * f + 18 * f) + 5 * f * f),
                                             benchmark::Counter::kIsIterationInvariantRate);
  state.SetItemsProcessed(state.iterations() * batch);
}

template <Index F>
void add(Index size) {
  const std::string suffix = "/" + std::to_string(size) + "/" + std::to_string(size) + "/64";
  const auto named = [&](const char* name, auto* function) {
    benchmark::RegisterBenchmark((name + suffix).c_str(), function, size, size, Index(64))
        ->Unit(benchmark::kMicrosecond);
  };
  named(F == gdssm::Dynamic ? "train_step_dynamic" : "train_step", train_step<F, gdssm::StoredHistory>);
  named(F == gdssm::Dynamic ? "train_step_sensitivity_dynamic" : "train_step_sensitivity",
        train_step<F, gdssm::ForwardSensitivity>);
}

const bool registered = [] {
  add<10>(10);
  add<20>(20);
  add<50>(50);
  add<gdssm::Dynamic>(10);
  return true;
}();

}  // namespace
