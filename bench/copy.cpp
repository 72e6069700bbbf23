// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

// The memory's limit for a scan of `length` tokens of `state` floats: one touched array copied into another.
void copy(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0) * state.range(1));
  std::vector<float> from(size, 1.0f), to(size, 2.0f);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), size * sizeof(float));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(2 * size * sizeof(float)));
}

BENCHMARK(copy)->Args({65536, 64})->Args({262144, 64})->Unit(benchmark::kMillisecond);

}  // namespace
