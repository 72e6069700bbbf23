// SPDX-License-Identifier: Apache-2.0
#include "support/exact.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "models/runs.hpp"
#include "support/catch.hpp"

#include "gdssm/models/horner_stack.hpp"

// Properties of any weights and decays, in exact arithmetic and therefore without tolerances.
namespace gdssm {
namespace {

using test::Engine;
using test::ExactLayer;
using test::fill_with_fractions;
using test::Rational;
using test::run;

template <class Model>
typename Model::template Coefficients<Rational> exact_coefficients(const Model& model, Engine& engine) {
  auto p = model.template parameters<Rational>();
  fill_with_fractions(p, engine);
  return model.prepare(p);
}

template <class Model>
Array<Rational, Model::features> exact_tokens(const Model& model, Index windows, Engine& engine) {
  Array<Rational, Model::features> tokens(model.feature_count(), 2 * windows + 1);
  fill_with_fractions(tokens, engine);
  return tokens;
}

/// The memories of a state: one for a layer, several for a stack.
template <class State, class Visitor>
void for_each_memory(State& state, Visitor&& visitor) {
  if constexpr (requires { state.recurrence; })
    visitor(state.recurrence.memory);
  else
    for (auto& layer : state.layers) visitor(layer.memory);
}

template <class Model>
typename Model::template State<Rational> exact_state(const Model& model, Engine& engine) {
  auto state = model.template initial_state<Rational>();
  for_each_memory(state, [&](auto& memory) { fill_with_fractions(memory, engine); });
  return state;
}

template <class Model, class Check>
void for_every_size(Check&& check) {
  for (Index f = 1; f <= 4; ++f)
    for (const Index n : {1, 2, 5, 8}) {
      CAPTURE(f, n);
      if constexpr (std::is_constructible_v<Model, Index>)
        check(Model(f), n);
      else if (f < 4)
        check(Model(ExactLayer<>(f), 2), std::min<Index>(n, 5));
    }
}

/// Predictions and last state of a run in two parts are those of the whole, for every cut at the end of a window.
template <class Model>
void check_parts(const Model& model, Index n, Engine& engine) {
  const auto c = exact_coefficients(model, engine);
  const auto tokens = exact_tokens(model, n, engine);
  const auto start = exact_state(model, engine);
  auto whole = start;
  const auto predictions = run<Rational>(model, c, {tokens.view()}, whole, n);
  for (Index cut = 1; cut < n; ++cut) {
    CAPTURE(cut);
    auto state = start;
    const Index first = 2 * cut + 1;
    CHECK(run<Rational>(model, c, {tokens.view().columns(0, first)}, state, cut).matrix() ==
          predictions.matrix().leftCols(cut));
    CHECK(run<Rational>(model, c, {tokens.view().columns(first, tokens.cols() - first)}, state, n - cut).matrix() ==
          predictions.matrix().rightCols(n - cut));
    CHECK(state == whole);
  }
  CHECK(!(whole == start));
}

TEST_CASE("Theorem: a sequence in two parts equals the whole, whatever the decays", "[theorem]") {
  Engine engine(31);
  for_every_size<ExactLayer<>>([&](const auto& model, Index n) { check_parts(model, n, engine); });
  check_parts(ExactLayer<3>(), 6, engine);
  for_every_size<HornerStack<ExactLayer<>>>([&](const auto& model, Index n) { check_parts(model, n, engine); });
}

template <class Model>
void check_step(const Model& model, Index n, Engine& engine) {
  const auto c = exact_coefficients(model, engine);
  const auto tokens = exact_tokens(model, n, engine);
  auto state = exact_state(model, engine), streamed = state;
  const auto predictions = run<Rational>(model, c, {tokens.view()}, state, n);
  auto ws = model.template workspace<Rational>();
  Array<Rational, Model::outputs, 1> prediction(model.output_count(), 1);
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i)
    if (model.step(c, tokens.view().column(i), streamed, prediction.view(), ws))
      CHECK(prediction.matrix() == predictions.matrix().col(t++));
  CHECK(t == n);
  CHECK(streamed == state);
}

TEST_CASE("Theorem: step is forward, token by token", "[theorem]") {
  Engine engine(32);
  for_every_size<ExactLayer<>>([&](const auto& model, Index n) { check_step(model, n, engine); });
  check_step(ExactLayer<3>(), 6, engine);
  for_every_size<HornerStack<ExactLayer<>>>([&](const auto& model, Index n) { check_step(model, n, engine); });
}

template <class Model>
void check_merge(const Model& model, Index n, Engine& engine) {
  const auto c = exact_coefficients(model, engine);
  const auto tokens = exact_tokens(model, n, engine);
  const auto start = exact_state(model, engine);
  auto whole = start;
  run<Rational>(model, c, {tokens.view()}, whole, 0);
  for (Index cut = 1; cut < n; ++cut) {
    CAPTURE(cut);
    const Index length = 2 * cut + 1;
    auto first = start;
    run<Rational>(model, c, {tokens.view().columns(0, length)}, first, 0);
    auto second = model.template initial_state<Rational>();
    second.window = first.window;
    run<Rational>(model, c, {tokens.view().columns(length, tokens.cols() - length)}, second, 0);
    CHECK(model.merge(c, first, second) == whole);
    CHECK_FALSE(second == whole);
  }
}

TEST_CASE("Theorem: the states of two parts merge into the whole's, for every cut", "[theorem]") {
  Engine engine(33);
  for_every_size<ExactLayer<>>([&](const auto& model, Index n) { check_merge(model, n, engine); });
  for_every_size<HornerStack<ExactLayer<>>>([&](const auto& model, Index n) { check_merge(model, n, engine); });
}

/// Only the last gate of a stack has an effect.
template <class Model>
bool is_idle_gate(const Model& model, const Name& name) {
  if constexpr (requires { model.layer_count(); })
    return name.tail->head == "gate" && name.number != model.layer_count() - 1;
  else
    return false;
}

/// The gradients by (11) with every state stored and by (12), for a random cotangent of the last k predictions and of
/// the last state. No array may be zero, since agreement would then prove little.
template <class Model>
void check_gradients(const Model& model, Index n, Engine& engine) {
  const auto c = exact_coefficients(model, engine);
  const auto tokens = exact_tokens(model, n, engine);
  const auto start = exact_state(model, engine);
  const Array<Rational> gaps = [&] {
    Array<Rational> mask(1, n);
    mask.fill(1);
    mask[n / 2] = 0;
    return mask;
  }();
  for (const bool masked : {false, true})
    for (const Index k : {Index(1), Index(2), n}) {
      if (k > n) continue;
      CAPTURE(masked, k);
      Array<Rational, Model::outputs> g(model.output_count(), k);
      fill_with_fractions(g, engine);
      const auto state_bar = exact_state(model, engine);
      const Sequence<Rational, Model::features> sequence{tokens.view(),
                                                         masked ? gaps.view() : View<const Rational>::absent()};
      const auto by_history = test::pull_back<StoredHistory>(model, c, sequence, start, g, state_bar);
      const auto by_sensitivity = test::pull_back<ForwardSensitivity>(model, c, sequence, start, g, state_bar);
      CHECK(identical(by_history.coefficients, by_sensitivity.coefficients));
      CHECK(by_history.tokens == by_sensitivity.tokens);
      CHECK(by_history.state == by_sensitivity.state);
      if (masked || model.feature_count() < 3) continue;
      visit(
          [&](const Name& name, const auto& array) {
            INFO(name.str());
            CHECK(array.matrix().isZero(Rational(0)) == is_idle_gate(model, name));
          },
          by_history.coefficients);
    }
}

TEST_CASE("Theorem: stored history and forward sensitivity give one gradient", "[theorem]") {
  Engine engine(34);
  for_every_size<ExactLayer<>>([&](const auto& model, Index n) { check_gradients(model, n, engine); });
  check_gradients(ExactLayer<3>(), 4, engine);
  for_every_size<HornerStack<ExactLayer<>>>([&](const auto& model, Index n) { check_gradients(model, n, engine); });
}

}  // namespace
}  // namespace gdssm
