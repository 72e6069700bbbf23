// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <benchmark/benchmark.h>

#include "gdssm/core/tiled_kernels.hpp"
#include "gdssm/core/view.hpp"

namespace {

using gdssm::Array;
using gdssm::Index;
using gdssm::View;

// One sequence through a matrix state with decay: M <- L * M + r l^T, forward only, the state tiled along its columns.
// Counted as two multiply-adds an element and token.
void matrix_recurrence(benchmark::State& state) {
  const Index f = state.range(0), length = state.range(1);
  Array<float> decay(f, f), memory(f, f), left(f, length), right(f, length);
  decay.fill(0.99f);
  for (Index i = 0; i < left.size(); ++i) {
    left[i] = 0.01f * static_cast<float>(i % 7 - 3);
    right[i] = 0.01f * static_cast<float>(i % 11 - 5);
  }
  for (auto _ : state) {
    gdssm::kernels::decayed_outer_scan<1>(std::as_const(decay).view(), std::as_const(left).view(), 1,
                                          std::as_const(right).view(), memory.view(), View<float>::absent());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * length);
  state.counters["FMA"] =
      benchmark::Counter(2.0 * static_cast<double>(f * f * length), benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(matrix_recurrence)
    ->Args({16, 4096})
    ->Args({32, 4096})
    ->Args({64, 4096})
    ->Args({128, 4096})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
