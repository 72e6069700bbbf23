// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "gdssm/models/augmented_ssm.hpp"

namespace {

using gdssm::Index;

template <class Parameters>
void fill_weights(Parameters& p) {
  p.attention.A.setConstant(0.1f);
  p.attention.A(0, 1) = 1.0f;
  p.recurrence.Lambda.setConstant(-0.5f);
  p.recurrence.log_step.setConstant(-4.0f);
  p.readout.C.setConstant(-0.01f);
  p.gate.d[2] = 1.0f;
}

// One task, one pair in, one prediction out: two tokens of width f. The model with all its weights, C full.
template <Index F>
void stream_step(benchmark::State& state) {
  const gdssm::PaperLayer<F> layer(F);
  auto parameters = layer.template parameters<float>();
  fill_weights(parameters);
  const auto coefficients = layer.prepare(parameters);
  auto memory = layer.template initial_state<float>();
  auto workspace = layer.template workspace<float>();
  const gdssm::Array<float, F> tokens = [] {
    gdssm::Array<float, F> t(F, 2);
    for (Index i = 0; i < t.size(); ++i) t[i] = 0.01f * static_cast<float>(i % 7 - 3);
    return t;
  }();
  gdssm::Array<float, F, 1> prediction;
  layer.template step<float, float>(coefficients, tokens.view().column(1), memory, prediction.view(), workspace);
  for (auto _ : state) {
    for (Index k = 0; k < 2; ++k)
      layer.template step<float, float>(coefficients, tokens.view().column(k), memory, prediction.view(), workspace);
    benchmark::DoNotOptimize(prediction.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

// The same arithmetic on raw arrays, the lower bound for a step.
template <Index F>
void stream_step_raw(benchmark::State& state) {
  constexpr std::size_t f = static_cast<std::size_t>(F);
  std::vector<float> decay(f * f, 0.99f), C(f * f, -0.01f), Z(f * f), window(3 * f), right(3 * f), o(f), u(f), y(f);
  const std::vector<float> A(9, 0.1f), d{0.0f, 0.0f, 1.0f}, pair(2 * f, 0.01f);
  for (auto _ : state) {
    for (std::size_t i = 0; i < f; ++i) {
      window[i] = window[2 * f + i];
      window[f + i] = pair[i];
      window[2 * f + i] = pair[f + i];
    }
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t i = 0; i < f; ++i)
        right[a * f + i] = A[a] * window[i] + A[3 + a] * window[f + i] + A[6 + a] * window[2 * f + i];
    for (std::size_t i = 0; i < f; ++i)
      for (std::size_t j = 0; j < f; ++j)
        Z[i * f + j] = decay[i * f + j] * Z[i * f + j] + window[i] * right[j] + window[f + i] * right[f + j] +
                       window[2 * f + i] * right[2 * f + j];
    for (std::size_t i = 0; i < f; ++i) o[i] = d[0] * window[i] + d[1] * window[f + i] + d[2] * window[2 * f + i];
    for (std::size_t j = 0; j < f; ++j) u[j] = y[j] = 0;
    for (std::size_t i = 0; i < f; ++i)
      for (std::size_t j = 0; j < f; ++j) u[j] += Z[i * f + j] * o[i];
    for (std::size_t j = 0; j < f; ++j)
      for (std::size_t i = 0; i < f; ++i) y[i] -= C[j * f + i] * u[j];
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

template <Index F>
void add() {
  benchmark::RegisterBenchmark(("stream_step/" + std::to_string(F)).c_str(), stream_step<F>);
  benchmark::RegisterBenchmark(("stream_step_raw/" + std::to_string(F)).c_str(), stream_step_raw<F>);
}

const bool registered = [] {
  add<10>();
  add<64>();
  return true;
}();

}  // namespace
