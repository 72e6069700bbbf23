// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "gdssm/core/random.hpp"
#include "gdssm/models/shared_layer_pass.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm::test {

/// All numbers of a pass forward and back over 29 windows in 7 pieces, put together from all processes.
inline std::vector<double> shared_layer_run(Processes& world) {
  constexpr Index windows = 29, f = 3;
  const PaperLayer<> layer(f);
  const auto c = layer.prepare(reference_initialization<double>(layer, 4));
  RandomStream<double> random(9, 0);
  Array<double> all(f, 2 * windows + 1), w(f, windows);
  for (auto* array : {&all, &w})
    for (Index i = 0; i < array->size(); ++i) (*array)[i] = random.uniform() - 0.5;
  const SharedLayerPass<PaperLayer<>, double> pass(layer, windows, 7, world);
  const ItemRange mine = pass.windows(), read = pass.tokens();
  const View<const double> tokens = View<const double>(all.view()).columns(read.first, read.count);

  auto state = layer.initial_state<double>(), bar = state;
  for (Index i = 0; i < f * f; ++i) {
    state.recurrence.memory[i] = random.uniform();
    bar.recurrence.memory[i] = random.uniform();
  }
  const auto first = state;
  Array<double> predictions(f, mine.count), tokens_bar(f, read.count);
  auto c_bar = layer.coefficients<double>();
  pass.forward(c, tokens, state, predictions.view());
  pass.vjp(
      c, tokens, first,
      [&](Index j, auto, auto g) {
        for (Index i = 0; i < f; ++i) g[i] = w(i, mine.first + j);
      },
      c_bar, bar, tokens_bar.view());

  // A token that two processes read has the same cotangent on both.
  std::vector<double> numbers, own(predictions.data(), predictions.data() + predictions.size());
  own.insert(own.end(), tokens_bar.data(), tokens_bar.data() + tokens_bar.size());
  const std::size_t split = static_cast<std::size_t>(predictions.size());
  std::vector<double> gathered_predictions, gathered_tokens;
  for (Index r = 0; r < world.size(); ++r) {
    std::string text(reinterpret_cast<const char*>(own.data()), own.size() * sizeof(double));
    std::string cut = std::to_string(split);
    broadcast_text(world, text, r);
    broadcast_text(world, cut, r);
    std::vector<double> theirs(text.size() / sizeof(double));
    std::copy(text.begin(), text.end(), reinterpret_cast<char*>(theirs.data()));
    const auto middle = theirs.begin() + std::stol(cut);
    gathered_predictions.insert(gathered_predictions.end(), theirs.begin(), middle);
    const bool overlaps = !gathered_tokens.empty() && middle != theirs.end();
    if (overlaps)  // one token of f numbers
      for (Index i = 0; i < f; ++i)
        if (*(gathered_tokens.end() - f + i) != *(middle + i)) gathered_tokens.push_back(-1e9);
    gathered_tokens.insert(gathered_tokens.end(), overlaps ? middle + f : middle, theirs.end());
  }
  numbers = gathered_predictions;
  numbers.insert(numbers.end(), gathered_tokens.begin(), gathered_tokens.end());
  const auto add = [&](const Name&, const auto& m) { numbers.insert(numbers.end(), m.data(), m.data() + m.size()); };
  visit(add, c_bar);
  visit(add, state.recurrence);
  visit(add, bar.recurrence);
  numbers.push_back(static_cast<double>(state.recurrence.windows[0]));
  return numbers;
}

}  // namespace gdssm::test
