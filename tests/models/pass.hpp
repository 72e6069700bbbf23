// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "support/vjp.hpp"

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm::test {

/// The memories of a stack's layers, as one that can be visited.
template <class Memory>
struct Memories {
  std::vector<Memory> layers;

  template <class Visitor, class First, class... More>
  static void visit(Visitor&& visitor, First&& first, More&&... more) {
    for (std::size_t l = 0; l < first.layers.size(); ++l) {
      const std::string name = std::to_string(l);
      visitor(Name{name}, first.layers[l], more.layers[l]...);
    }
  }
};

/// What a model's state holds beside tokens: Z_t, or one a layer.
template <class State>
auto memories_of(const State& state) {
  if constexpr (requires { state.layers; }) {
    Memories<std::remove_cvref_t<decltype(state.layers.front().memory)>> memories;
    for (const auto& layer : state.layers) memories.layers.push_back(layer.memory);
    return memories;
  } else {
    return state.recurrence.memory;
  }
}

template <class State>
void set_memories(const auto& memories, State& state) {
  if constexpr (requires { state.layers; })
    for (std::size_t l = 0; l < state.layers.size(); ++l) state.layers[l].memory = memories.layers[l];
  else
    state.recurrence.memory = memories;
}

/// Parameters, tokens and first state -> the last k predictions and the last state.
template <class Model, class Method = StoredHistory>
struct Pass {
  using Window = typename Model::Window;

  Model model;
  Index windows;
  Index k;
  Index held = 0;              ///< tokens that the first state holds
  std::vector<int> mask = {};  ///< empty, or a number a window

  template <class T>
  auto input() const {
    const Index first = Window::width - held;
    const auto start = model.template initial_state<T>();
    return bundle({"parameters", "tokens", "window", "memories"}, model.template parameters<T>(),
                  Array<T, Model::features>(model.feature_count(), first + Window::stride * (windows - 1)),
                  start.window.tokens, memories_of(start));
  }

  template <class T>
  auto output(const auto& in) const {
    const auto& [p, tokens, window, memories] = in.parts;
    const Array<T> mask_row = masks<T>();
    auto state = first_state<T>(window, memories);
    auto ws = model.template workspace<T>();
    Array<T, Model::outputs> predictions(model.output_count(), k);
    model.forward(model.prepare(p), {tokens.view(), mask_row.size() > 0 ? mask_row.view() : View<const T>::absent()},
                  state, predictions.view(), ws);
    return bundle({"predictions", "window", "memories"}, predictions, shared(state), memories_of(state));
  }

  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [p, tokens, window, memories] = in.parts;
    const auto& [predictions_bar, last_window_bar, last_memories_bar] = out_bar.parts;
    auto in_bar = input<T>();
    auto& [p_bar, tokens_bar, window_bar, memories_bar] = in_bar.parts;

    const Array<T> mask_row = masks<T>();
    auto state = first_state<T>(window, memories);
    auto state_bar = model.template initial_state<T>();
    for (Index i = 0; i < last_window_bar.size(); ++i) state_bar.window.tokens[i] = last_window_bar[i];
    set_memories(last_memories_bar, state_bar);

    const auto c = model.prepare(p);
    auto c_bar = model.template coefficients<T>();
    auto ws = model.template gradient_workspace<T, Method>(windows, k);
    const auto& g = predictions_bar;
    model.vjp(
        c, {tokens.view(), mask_row.size() > 0 ? mask_row.view() : View<const T>::absent()}, state, k,
        [&g](Index j, View<const T, Model::outputs, 1>, View<T, Model::outputs, 1> y_bar) {
          for (Index i = 0; i < y_bar.size(); ++i) y_bar[i] = g(i, j);
        },
        c_bar, state_bar, tokens_bar.view(), ws);
    model.prepare_vjp(p, c, c_bar, p_bar);
    window_bar = state_bar.window.tokens;
    memories_bar = memories_of(state_bar);
    return in_bar;
  }

 private:
  template <class T>
  Array<T> masks() const {
    Array<T> row(1, static_cast<Index>(mask.size()));
    for (std::size_t t = 0; t < mask.size(); ++t) row[static_cast<Index>(t)] = mask[t] != 0 ? T(1) : T(0);
    return row;
  }

  template <class T>
  auto first_state(const auto& window, const auto& memories) const {
    auto state = model.template initial_state<T>();
    state.window.tokens = window;
    state.window.held = held;
    set_memories(memories, state);
    return state;
  }

  /// The tokens that the last state holds; the others are nobody's input.
  static auto shared(const auto& state) {
    auto tokens = state.window.tokens;
    for (Index i = state.window.held * tokens.rows(); i < tokens.size(); ++i) tokens[i] = 0;
    return tokens;
  }
};

}  // namespace gdssm::test
