// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include "gdssm/core/lanes.hpp"

namespace {

// One register's worth of floats, and enough independent chains to cover the latency of every FMA unit without running
// out of registers.
using Register = gdssm::Lanes<float, gdssm::detail::native_bytes / sizeof(float)>;
constexpr int chains = 10;
constexpr int rounds = 1000;

// The peak of one core: single-precision fused multiply-adds a second. Shares of the peak refer to the same run, since
// machines differ and drift.
void fma_peak(benchmark::State& state) {
  Register sum[chains];
  for (Register& s : sum) s = 1.0f;
  Register a = 0.999f, b = 0.001f;
  benchmark::DoNotOptimize(a);
  benchmark::DoNotOptimize(b);
  for (auto _ : state) {
    for (int r = 0; r < rounds; ++r)
#pragma GCC unroll 10
      for (int k = 0; k < chains; ++k) sum[k] = multiply_add(sum[k], a, b);
    benchmark::DoNotOptimize(sum);
  }
  state.counters["FMA"] = benchmark::Counter(double(rounds) * chains * double(Register::count),
                                             benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(fma_peak);

}  // namespace
