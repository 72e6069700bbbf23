// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <new>
#include <string>
#include <tuple>
#include <utility>

#include <benchmark/benchmark.h>

#include "gdssm/core/scan.hpp"
#include "gdssm/core/thread_pool.hpp"

namespace {

using gdssm::Dynamic;
using gdssm::Index;
using gdssm::View;
using gdssm::kernels::Stores;

/// Floats in whole cache lines, touched.
class Buffer {
 public:
  explicit Buffer(Index size) : data_(new (std::align_val_t(64)) float[static_cast<std::size_t>(size)]) {
    for (Index i = 0; i < size; ++i) data_[i] = 0.001f * static_cast<float>(i % 1000) - 0.5f;
  }
  ~Buffer() { operator delete[](data_, std::align_val_t(64)); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* data() { return data_; }

 private:
  float* data_;
};

struct Scan {
  Scan(Index length, Index channels)
      : inputs(length * channels),
        outputs(length * channels),
        decay(channels, 1),
        state(channels, 1),
        decay_bar(channels, 1),
        u(inputs.data(), channels, length),
        z(outputs.data(), channels, length) {
    for (Index i = 0; i < channels; ++i) decay[i] = 1.0f - 0.001f * static_cast<float>(i + 1);
  }
  Buffer inputs, outputs;
  gdssm::Array<float, Dynamic, 1> decay, state, decay_bar;
  View<const float> u;
  View<float> z;
};

// Every state of one constant decay a channel.
void scan_forward(benchmark::State& state, Stores stores, int threads) {
  Scan scan(state.range(0), state.range(1));
  gdssm::ThreadPool pool(threads);
  for (auto _ : state) {
    gdssm::kernels::diagonal_scan(std::as_const(scan.decay).view(), scan.u, scan.state.view(), scan.z, stores, pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1) * 8);
}

// The gradient of the sum of squares of z with respect to u and the decays.
void scan_forward_backward(benchmark::State& state, Stores stores, int threads) {
  Scan scan(state.range(0), state.range(1));
  gdssm::ThreadPool pool(threads);
  const auto cotangent = [](const auto& z) { return z + z; };
  for (auto _ : state) {
    gdssm::kernels::diagonal_scan_gradient(std::as_const(scan.decay).view(), scan.u, std::as_const(scan.state).view(),
                                           cotangent, scan.z, scan.decay_bar.view(), stores, pool);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1) * 12);
}

// What two cores can copy at once: half of the array each.
void copy_two_threads(benchmark::State& state) {
  const Index size = state.range(0) * state.range(1);
  Buffer from(size), to(size);
  gdssm::ThreadPool pool(2);
  for (auto _ : state) {
    pool.run(2, [&](Index half) {
      std::memcpy(to.data() + half * size / 2, from.data() + half * size / 2,
                  static_cast<std::size_t>(size / 2) * sizeof(float));
    });
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * size * 8);
}

BENCHMARK(copy_two_threads)->Args({262144, 64})->Unit(benchmark::kMillisecond);

// The scan's registered forms: as they are meant for this length, with plain stores, and on two cores.
template <class Function>
void add(const std::string& name, Function function) {
  for (const auto& [suffix, stores, threads] : {std::tuple{"", Stores::streaming, 1},
                                                {"_cached_stores", Stores::cached, 1},
                                                {"_two_threads", Stores::streaming, 2}}) {
    auto* const benchmark = benchmark::RegisterBenchmark(
        (name + suffix).c_str(),
        [=, stores = stores, threads = threads](benchmark::State& state) { function(state, stores, threads); });
    benchmark->Args({262144, 64})->Unit(benchmark::kMillisecond);
  }
}

const bool registered = [] {
  add("scan_forward", scan_forward);
  add("scan_forward_backward", scan_forward_backward);
  return true;
}();

}  // namespace
