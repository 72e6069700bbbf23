// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cmath>
#include <utility>

#include "gdssm/blocks/recurrences/rule_scan.hpp"
#include "gdssm/core/random.hpp"

namespace {

using gdssm::Array;
using gdssm::Index;
using Rule = gdssm::recurrences::GatedDeltaRule<>;
using Scan = gdssm::RuleScan<Rule, float>;

// One head of the gated delta rule, keys and values of d entries, keys of length 1. Counted as 3 d^2 multiply-adds a
// token forward, also where the gradient is taken.
struct Head {
  Rule rule;
  Scan::Constants none;
  Scan::Tokens tokens;
  Array<float> queries;

  Head(Index d, Index length) : rule(d), tokens(gdssm::tokens_of<float>(rule, length)), queries(d, length) {
    gdssm::RandomStream<float> stream(1);
    const auto draw = [&](auto& member, float size) {
      for (Index i = 0; i < member.size(); ++i) member.data()[i] = size * stream.normal();
    };
    draw(tokens.v, 1), draw(queries, 1 / std::sqrt(static_cast<float>(d)));
    draw(tokens.k, 1 / std::sqrt(static_cast<float>(d)));
    for (Index t = 0; t < length; ++t) {
      tokens.beta.data()[t] = stream.uniform();
      tokens.alpha.data()[t] = 0.9f + 0.1f * stream.uniform();
    }
  }
};

void count(benchmark::State& state, Index d, Index length) {
  state.SetItemsProcessed(state.iterations() * length);
  state.counters["FMA"] =
      benchmark::Counter(3.0 * static_cast<double>(d * d * length), benchmark::Counter::kIsIterationInvariantRate);
}

void gated_delta_rule(benchmark::State& state) {
  const Index d = state.range(0), length = state.range(1);
  const Head x(d, length);
  auto memory = x.rule.initial_state<float>();
  Array<float> outputs(d, length);
  Scan scan(x.rule);
  for (auto _ : state) {
    memory.memory.fill(0);
    scan.forward(x.none, x.tokens, x.queries.view(), memory, outputs.view());
    benchmark::DoNotOptimize(outputs.data());
  }
  count(state, d, length);
}

// Forward, and the gradient of the sum of o and of the last state for everything, the first state included.
void gated_delta_rule_backward(benchmark::State& state) {
  const Index d = state.range(0), length = state.range(1);
  const Head x(d, length);
  Head bar(d, length);
  const auto first = x.rule.initial_state<float>();
  auto memory = first, memory_bar = first;
  Array<float> outputs(d, length), outputs_bar(d, length);
  outputs_bar.fill(1);
  Scan scan(x.rule);
  for (auto _ : state) {
    memory.memory.fill(0);
    scan.forward(x.none, x.tokens, x.queries.view(), memory, outputs.view());
    gdssm::fill(bar.tokens, 0);
    bar.queries.fill(0);
    memory_bar.memory.fill(1);
    scan.vjp(x.none, x.tokens, x.queries.view(), first, std::as_const(outputs_bar).view(), memory_bar, bar.none,
             bar.tokens, bar.queries.view());
    benchmark::DoNotOptimize(bar.tokens.k.data());
  }
  count(state, d, length);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  for (const Index d : {64, 128})
    for (const Index length : {1024, 4096}) benchmark->Args({d, length});
  for (const Index d : {16, 32, 256}) benchmark->Args({d, 4096});
  benchmark->Args({64, 16384})->Args({64, 65536})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(gated_delta_rule)->Apply(sizes);
BENCHMARK(gated_delta_rule_backward)->Apply(sizes);

}  // namespace
