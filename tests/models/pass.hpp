// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "support/vjp.hpp"

#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm::test {

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
    return bundle({"parameters", "tokens", "window", "memory"}, model.template parameters<T>(),
                  Array<T, Model::features>(model.feature_count(), first + Window::stride * (windows - 1)),
                  model.template initial_state<T>().window.tokens, model.template initial_state<T>().recurrence.memory);
  }

  template <class T>
  auto output(const auto& in) const {
    const auto& [p, tokens, window, memory] = in.parts;
    const Array<T> mask_row = masks<T>();
    auto state = first_state<T>(window, memory);
    auto ws = model.template workspace<T>();
    Array<T, Model::outputs> predictions(model.output_count(), k);
    model.forward(model.prepare(p), {tokens.view(), mask_row.size() > 0 ? mask_row.view() : View<const T>::absent()},
                  state, predictions.view(), ws);
    return bundle({"predictions", "window", "memory"}, predictions, shared(state), state.recurrence.memory);
  }

  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [p, tokens, window, memory] = in.parts;
    const auto& [predictions_bar, last_window_bar, last_memory_bar] = out_bar.parts;
    auto in_bar = input<T>();
    auto& [p_bar, tokens_bar, window_bar, memory_bar] = in_bar.parts;

    const Array<T> mask_row = masks<T>();
    auto state = first_state<T>(window, memory);
    auto state_bar = model.template initial_state<T>();
    for (Index i = 0; i < last_window_bar.size(); ++i) state_bar.window.tokens[i] = last_window_bar[i];
    state_bar.recurrence.memory = last_memory_bar;

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
    memory_bar = state_bar.recurrence.memory;
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
  auto first_state(const auto& window, const auto& memory) const {
    auto state = model.template initial_state<T>();
    state.window.tokens = window;
    state.window.held = held;
    state.recurrence.memory = memory;
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
