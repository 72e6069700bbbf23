// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/runs.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using test::lane_of;
using test::Random;
using test::random_array;
using test::random_coefficients;
using test::random_state;
using test::random_tokens;
using test::roundings;
using test::run;

/// Lane k of a state.
template <class T, class Model>
typename Model::template State<T> lane_of_state(const Model& model, const auto& state, Index k) {
  auto out = model.template initial_state<T>();
  out.window = {lane_of(state.window.tokens, k), state.window.held, state.window.skip};
  out.recurrence = {lane_of(state.recurrence.memory, k), {state.recurrence.windows[static_cast<std::size_t>(k)]}};
  return out;
}

/// Lane k of a gradient.
template <class Model, class S>
test::Gradient<Model, LaneScalar<S>> lane_of_gradient(const Model& model, const test::Gradient<Model, S>& gradient,
                                                      Index k) {
  using T = LaneScalar<S>;
  test::Gradient<Model, T> out{model.template coefficients<T>(), lane_of(gradient.tokens, k),
                               lane_of_state<T>(model, gradient.state, k)};
  visit([k](const Name&, const auto& from, auto& to) { to = lane_of(from, k); }, gradient.coefficients,
        out.coefficients);
  return out;
}

template <class S>
void check_lanes_equal_plain() {
  using T = LaneScalar<S>;
  using Model = PaperLayer<3>;
  const Model model;
  Random random(21);
  const Index windows = 4, k = 2;
  const auto c = random_coefficients<T>(model, random);
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto start = random_state<S>(model, random), state_bar = random_state<S>(model, random);
  const auto g = random_array(Array<S, 3>(3, k), random);

  auto state = start;
  const auto predictions = run<S>(model, c, {tokens.view()}, state, k);
  const auto gradient = test::pull_back<StoredHistory>(model, c, {tokens.view()}, start, g, state_bar);
  for (Index i = 0; i < lane_count<S>; ++i) {
    CAPTURE(i);
    const auto lane_tokens = lane_of(tokens, i);
    auto lane_state = lane_of_state<T>(model, start, i);
    const auto lane_start = lane_state;
    CHECK(run<T>(model, c, {lane_tokens.view()}, lane_state, k) == lane_of(predictions, i));
    CHECK(lane_state == lane_of_state<T>(model, state, i));
    const auto expected = test::pull_back<StoredHistory>(model, c, {lane_tokens.view()}, lane_start, lane_of(g, i),
                                                         lane_of_state<T>(model, state_bar, i));
    const auto got = lane_of_gradient(model, gradient, i);
    CHECK(roundings(expected.coefficients, got.coefficients) < 50);
    CHECK(roundings(expected.tokens, got.tokens) < 50);
    CHECK(roundings(expected.state.recurrence.memory, got.state.recurrence.memory) < 50);
  }
}

TEST_CASE("every lane is the task run alone: the same bits forward, the same gradient to rounding", "[lanes]") {
  check_lanes_equal_plain<Lanes<float>>();
  check_lanes_equal_plain<Lanes<double>>();
  check_lanes_equal_plain<Lanes<float, 32>>();
}

/// Lane i has a context of 1 + i % windows windows, at the end of the sequence.
template <class S, class Method>
void check_ragged_lanes() {
  using T = LaneScalar<S>;
  const PaperLayer<3> model;
  Random random(22);
  const Index windows = 5;
  const auto c = random_coefficients<T>(model, random);
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto state_bar = random_state<S>(model, random);
  auto g = random_array(Array<S, 3>(3, windows), random);
  Array<S> mask(1, windows);
  for (Index i = 0; i < lane_count<S>; ++i)
    for (Index t = 0; t < windows; ++t) {
      const bool present = t >= windows - (1 + i % windows);
      set_lane(mask[t], i, present ? T(1) : T(0));
      for (Index o = 0; o < 3 && !present; ++o) set_lane(g(o, t), i, T(0));
    }

  auto state = model.initial_state<S>();
  const auto start = state;
  const auto predictions = run<S>(model, c, {tokens.view(), mask.view()}, state, windows);
  const auto gradient = test::pull_back<Method>(model, c, {tokens.view(), mask.view()}, start, g, state_bar);

  for (Index i = 0; i < lane_count<S>; ++i) {
    const Index own = 1 + i % windows, skipped = windows - own;
    CAPTURE(i, own);
    const auto lane_tokens = lane_of(tokens, i);
    const Sequence<T, 3> alone{lane_tokens.view().columns(2 * skipped, 2 * own + 1)};
    auto lane_state = model.initial_state<T>();
    const auto lane_start = lane_state;
    const auto expected = run<T>(model, c, alone, lane_state, own);
    const auto got = lane_of(predictions, i);
    CHECK(std::equal(expected.data(), expected.data() + expected.size(), got.data() + 3 * skipped));
    CHECK(lane_state == lane_of_state<T>(model, state, i));
    CHECK(lane_state.recurrence.windows[0] == own);

    Array<T, 3> lane_g(3, own);
    std::copy_n(lane_of(g, i).data() + 3 * skipped, 3 * own, lane_g.data());
    const auto expected_bar =
        test::pull_back<Method>(model, c, alone, lane_start, lane_g, lane_of_state<T>(model, state_bar, i));
    const auto got_bar = lane_of_gradient(model, gradient, i);
    Array<T, 3> own_tokens_bar(3, 2 * own + 1);
    std::copy_n(got_bar.tokens.data() + 6 * skipped, own_tokens_bar.size(), own_tokens_bar.data());
    CHECK(roundings(expected_bar.coefficients, got_bar.coefficients) < 50);
    CHECK(roundings(expected_bar.tokens, own_tokens_bar) < 50);
    CHECK(roundings(expected_bar.state.recurrence.memory, got_bar.state.recurrence.memory) < 50);
    for (Index j = 0; j < 6 * skipped; ++j) CHECK(got_bar.tokens[j] == 0);
  }
}

TEST_CASE("lanes with contexts of different lengths are each context run alone", "[lanes]") {
  check_ragged_lanes<Lanes<float>, StoredHistory>();
  check_ragged_lanes<Lanes<double>, StoredHistory>();
  check_ragged_lanes<Lanes<double>, ForwardSensitivity>();
}

template <class S, class Model>
void check_methods_agree(const Model& model) {
  Random random(23);
  const auto c = random_coefficients<LaneScalar<S>>(model, random);
  const auto tokens = random_tokens<S>(model, 6, random);
  const auto start = random_state<S>(model, random), state_bar = random_state<S>(model, random);
  Array<S> mask(1, 6);
  mask.fill(S(1));
  mask[3] = S(0);
  for (const Index k : {1, 2, 6}) {
    CAPTURE(k);
    const auto g = random_array(Array<S, Model::outputs>(model.output_count(), k), random);
    const Sequence<S, Model::features> sequence{tokens.view(), mask.view()};
    const auto history = test::pull_back<StoredHistory>(model, c, sequence, start, g, state_bar);
    const auto sensitivity = test::pull_back<ForwardSensitivity>(model, c, sequence, start, g, state_bar);
    CHECK(roundings(history.coefficients.recurrence, sensitivity.coefficients.recurrence) < 50);
    // Everything but the decay's gradient is computed in the same way.
    CHECK(identical(history.coefficients.attention, sensitivity.coefficients.attention));
    CHECK(identical(history.coefficients.readout, sensitivity.coefficients.readout));
    CHECK(identical(history.coefficients.gate, sensitivity.coefficients.gate));
    CHECK(history.tokens == sensitivity.tokens);
    CHECK(history.state.recurrence == sensitivity.state.recurrence);
  }
}

TEMPLATE_TEST_CASE("the gradient by stored history equals that by forward sensitivity", "[vjp]", float, double,
                   Lanes<float>) {
  check_methods_agree<TestType>(PaperLayer<3>());
  check_methods_agree<TestType>(PaperLayer<>(3));
}

template <class S, class Method>
void check_without_inputs() {
  const PaperLayer<3> model;
  Random random(24);
  const auto c = random_coefficients<LaneScalar<S>>(model, random);
  const auto tokens = random_tokens<S>(model, 4, random);
  const auto g = random_array(Array<S, 3>(3, 2), random);
  const auto zero = model.initial_state<S>();
  auto state = random_state<S>(model, random);
  const auto expected = test::pull_back<Method>(model, c, {tokens.view()}, state, g, zero);

  auto moved = state;
  const auto predictions = run<S>(model, c, {tokens.view()}, moved, 2);
  auto c_bar = model.coefficients<S>();
  auto ws = model.gradient_workspace<S, Method>(4, 2);
  bool same = true;
  model.vjp(
      c, {tokens.view()}, state, 2,
      [&](Index j, View<const S, 3, 1> y, View<S, 3, 1> y_bar) {
        for (Index i = 0; i < 3; ++i) {
          same = same && y[i] == predictions(i, j);
          y_bar[i] = g(i, j);
        }
      },
      c_bar, ws);
  CHECK(same);
  CHECK(state == moved);
  CHECK(identical(c_bar, expected.coefficients));

  // A second pass adds to the result of the first.
  state = zero;
  const auto more = test::pull_back<Method>(model, c, {tokens.view()}, zero, g, zero);
  model.vjp(
      c, {tokens.view()}, state, 2,
      [&](Index j, View<const S, 3, 1>, View<S, 3, 1> y_bar) {
        for (Index i = 0; i < 3; ++i) y_bar[i] = g(i, j);
      },
      c_bar, ws);
  auto sum = expected.coefficients;
  visit(
      [](const Name&, auto& total, const auto& addend) {
        for (Index i = 0; i < total.size(); ++i) total[i] += addend[i];
      },
      sum, more.coefficients);
  CHECK(roundings(sum, c_bar) < 50);
}

TEMPLATE_TEST_CASE("the pass without inputs' gradients reads forward's predictions, moves the state on, and adds up",
                   "[vjp]", double, Lanes<float>) {
  check_without_inputs<TestType, StoredHistory>();
  check_without_inputs<TestType, ForwardSensitivity>();
}

}  // namespace
}  // namespace gdssm
