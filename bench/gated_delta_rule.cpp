// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cmath>
#include <utility>

#include "gdssm/blocks/recurrences/rank_one_scan.hpp"
#include "gdssm/core/random.hpp"

namespace {

using gdssm::Array;
using gdssm::Index;
using Scan = gdssm::recurrences::GatedDeltaScan<float>;

// One head of the gated delta rule, keys and values of d entries, keys of length 1. Counted as 3 d^2 multiply-adds a
// token forward, also where the gradient is taken.
struct Sequence {
  Array<float> keys, values, queries, betas, alphas;

  Sequence(Index d, Index length)
      : keys(d, length), values(d, length), queries(d, length), betas(1, length), alphas(1, length) {}

  static Sequence random(Index d, Index length) {
    Sequence x(d, length);
    gdssm::RandomStream<float> stream(1);
    for (auto* array : {&x.keys, &x.values, &x.queries})
      for (Index i = 0; i < array->size(); ++i) (*array)[i] = stream.normal() / std::sqrt(static_cast<float>(d));
    for (Index t = 0; t < length; ++t) {
      x.betas[t] = stream.uniform();
      x.alphas[t] = 0.9f + 0.1f * stream.uniform();
    }
    return x;
  }
  Scan::Sequence<const float> seen() const {
    return {keys.view(), values.view(), queries.view(), betas.view(), alphas.view()};
  }
  Scan::Sequence<float> written() { return {keys.view(), values.view(), queries.view(), betas.view(), alphas.view()}; }
};

void count(benchmark::State& state, Index d, Index length) {
  state.SetItemsProcessed(state.iterations() * length);
  state.counters["FMA"] =
      benchmark::Counter(3.0 * static_cast<double>(d * d * length), benchmark::Counter::kIsIterationInvariantRate);
}

void gated_delta_rule(benchmark::State& state) {
  const Index d = state.range(0), length = state.range(1);
  const Sequence x = Sequence::random(d, length);
  Array<float> memory(d, d), outputs(d, length);
  Scan scan(d, d);
  for (auto _ : state) {
    memory.fill(0);
    scan.forward(x.seen(), memory.view(), outputs.view());
    benchmark::DoNotOptimize(outputs.data());
  }
  count(state, d, length);
}

// Forward, and the gradient of the sum of o and of the last state for everything, the first state included.
void gated_delta_rule_backward(benchmark::State& state) {
  const Index d = state.range(0), length = state.range(1);
  const Sequence x = Sequence::random(d, length);
  Sequence bar(d, length);
  const Array<float> first(d, d);
  Array<float> memory(d, d), outputs(d, length), memory_bar(d, d), outputs_bar(d, length);
  outputs_bar.fill(1);
  Scan scan(d, d);
  for (auto _ : state) {
    memory.fill(0);
    scan.forward(x.seen(), memory.view(), outputs.view());
    for (auto* array : {&bar.keys, &bar.values, &bar.queries, &bar.betas, &bar.alphas}) array->fill(0);
    memory_bar.fill(1);
    scan.vjp(x.seen(), first.view(), std::as_const(outputs_bar).view(), memory_bar.view(), bar.written());
    benchmark::DoNotOptimize(bar.keys.data());
  }
  count(state, d, length);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  for (const Index d : {64, 128})
    for (const Index length : {1024, 4096}) benchmark->Args({d, length});
  benchmark->Unit(benchmark::kMicrosecond);
}

BENCHMARK(gated_delta_rule)->Apply(sizes);
BENCHMARK(gated_delta_rule_backward)->Apply(sizes);

}  // namespace
