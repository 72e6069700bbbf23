// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cmath>

#include "gdssm/deep/mixers.hpp"
#include "gdssm/deep/train.hpp"

namespace {

using gdssm::Index;

// A whole update of the character model: width / 64 heads of the gated delta rule of size 64, short convolutions of 4
// taps, 3 width hidden units, a vocabulary of 64, every token a target; loss, gradient, clipping and AdamW. Counted as
// the multiply-adds of the dense layers, three times those of a forward pass, and 9 n^2 a token and head.
void deep_step(benchmark::State& state) {
  const Index width = state.range(0), depth = state.range(1), length = state.range(2), batch = state.range(3);
  const Index heads = width / 64, hidden = 3 * width, vocabulary = 64;
  const gdssm::DeepModel<float> model({vocabulary, width, depth, heads, 64, hidden});
  const gdssm::ClippedGradient<gdssm::AdamW> optimizer{gdssm::deep_optimizer(1e-3)};
  auto run = gdssm::begin_run(optimizer, model.draw(1));
  gdssm::MarkedSequences tokens(batch, length);
  gdssm::RandomStream<> stream(1);
  for (Index b = 0; b < batch; ++b)
    for (std::size_t t = 0; t < static_cast<std::size_t>(length); ++t) {
      tokens.ids(b)[t] = static_cast<Index>(64 * stream.uniform());
      tokens.targets(b)[t] = static_cast<Index>(64 * stream.uniform());
      tokens.marked(b)[t] = 1;
    }
  gdssm::ThreadPool pool;
  gdssm::DeepGradient<float> gradient(model, batch, length, pool);
  auto slope = run.parameters;
  for (auto _ : state) {
    benchmark::DoNotOptimize(gradient(run.parameters, tokens, slope));
    optimizer.update(slope, 1, run.parameters, run.optimizer);
  }
  const auto dense = static_cast<double>(depth * (4 * width * width + 3 * width * hidden) + width * vocabulary);
  const auto rule = static_cast<double>(depth * heads * 64 * 64);
  state.SetItemsProcessed(state.iterations() * batch * length);
  state.counters["FMA"] = benchmark::Counter((3 * dense + 9 * rule) * static_cast<double>(batch * length),
                                             benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(deep_step)
    ->Args({128, 2, 256, 8})
    ->Args({64, 2, 256, 8})
    ->Args({256, 4, 256, 8})
    ->Unit(benchmark::kMillisecond);

}  // namespace
