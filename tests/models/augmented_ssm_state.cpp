// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "models/runs.hpp"
#include "support/catch.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/token_projection.hpp"

namespace gdssm {
namespace {

using test::Random;
using test::random_array;
using test::random_coefficients;
using test::random_state;
using test::random_tokens;
using test::roundings;
using test::run;

using Wide = AugmentedSsm<LocalAttention<3, 5, 1>, DiagonalRecurrence<3>, Readout<3>, OutputGate<3, 5>>;
using Sparse = AugmentedSsm<LocalAttention<2, 2, 5>, DiagonalRecurrence<2>, Readout<2>, OutputGate<2, 2>>;
using Projected = AugmentedSsm<TokenProjection<3, 6>, DiagonalRecurrence<3, 1>, Readout<1>, ProjectionGate<3, 6>>;

/// The results of `step`, token by token; advances `state`.
template <class S, class Model, class P>
std::vector<Array<S, Model::outputs, 1>> stream(const Model& model, const P& c, View<const S, Model::features> tokens,
                                                typename Model::template State<S>& state) {
  std::vector<Array<S, Model::outputs, 1>> predictions;
  Array<S, Model::outputs, 1> prediction(model.output_count(), 1);
  auto ws = model.template workspace<S>();
  for (Index i = 0; i < tokens.cols(); ++i)
    if (model.step(c, tokens.column(i), state, prediction.view(), ws)) predictions.push_back(prediction);
  return predictions;
}

template <class S, class Model>
void check_step_equals_forward(const Model& model) {
  Random random(7);
  const Index windows = 5;
  const auto c = random_coefficients<LaneScalar<S>>(model, random);
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto start = random_state<S>(model, random);

  auto streamed_state = start;
  const auto streamed = stream<S>(model, c, tokens.view(), streamed_state);
  REQUIRE(streamed.size() == windows);

  // The first tokens by `step`, the rest by `forward`: from the first token on, from within a window, from its end.
  for (Index head = 0; head + Model::Window::stride <= tokens.cols(); ++head) {
    CAPTURE(head);
    auto state = start;
    const auto before = stream<S>(model, c, tokens.view().columns(0, head), state);
    const Index rest = windows - static_cast<Index>(before.size());
    const auto predictions = run<S>(model, c, {tokens.view().columns(head, tokens.cols() - head)}, state, rest);
    bool same = true;
    for (Index t = 0; t < rest; ++t)
      for (Index i = 0; i < model.output_count(); ++i)
        same = same && predictions(i, t) == streamed[before.size() + static_cast<std::size_t>(t)][i];
    CHECK(same);
    CHECK(state == streamed_state);
  }
}

TEMPLATE_TEST_CASE("step and forward agree bit for bit, state and predictions", "[state]", float, double, Lanes<float>,
                   Lanes<double>) {
  check_step_equals_forward<TestType>(PaperLayer<3>());
  check_step_equals_forward<TestType>(PaperLayer<>(3));
  check_step_equals_forward<TestType>(Wide());
  check_step_equals_forward<TestType>(Sparse());
  check_step_equals_forward<TestType>(Projected());
}

TEST_CASE("sizes in the type and sizes at run time give the same bits", "[state]") {
  Random random(8);
  const PaperLayer<3> fixed;
  const PaperLayer<> dynamic(3);
  auto fixed_parameters = fixed.parameters<float>();
  auto dynamic_parameters = dynamic.parameters<float>();
  visit(
      [&](const Name&, auto& a, auto& b) {
        random.fill(a);
        b = a;
      },
      fixed_parameters, dynamic_parameters);
  const auto tokens = random_tokens<float>(fixed, 4, random);
  auto fixed_state = fixed.initial_state<float>();
  auto dynamic_state = dynamic.initial_state<float>();
  const auto a = run<float>(fixed, fixed.prepare(fixed_parameters), {tokens.view()}, fixed_state, 4);
  const auto b = run<float>(dynamic, dynamic.prepare(dynamic_parameters), {tokens.view()}, dynamic_state, 4);
  CHECK(std::equal(a.data(), a.data() + a.size(), b.data()));
  CHECK(a.size() == b.size());
}

template <class S, class Model>
void check_parts_equal_whole(const Model& model) {
  Random random(9);
  const Index windows = 5;
  const auto c = random_coefficients<LaneScalar<S>>(model, random);
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto start = random_state<S>(model, random);
  const auto g = random_array(Array<S, Model::outputs>(model.output_count(), windows), random);
  const auto state_bar = random_state<S>(model, random);

  auto whole_state = start;
  const auto whole = run<S>(model, c, {tokens.view()}, whole_state, windows);
  const auto whole_bar = test::pull_back<StoredHistory>(model, c, {tokens.view()}, start, g, state_bar);

  for (Index cut = 1; cut < windows; ++cut) {
    CAPTURE(cut);
    const Index length = Model::Window::width + Model::Window::stride * (cut - 1);
    const Sequence<S, Model::features> head{tokens.view().columns(0, length)};
    const Sequence<S, Model::features> tail{tokens.view().columns(length, tokens.cols() - length)};
    auto state = start;
    const auto first = run<S>(model, c, head, state, cut);
    const auto between = state;
    const auto second = run<S>(model, c, tail, state, windows - cut);
    CHECK(state == whole_state);
    CHECK(std::equal(first.data(), first.data() + first.size(), whole.data()));
    CHECK(std::equal(second.data(), second.data() + second.size(), whole.data() + first.size()));

    // The second part's first state is the first part's last.
    Array<S, Model::outputs> first_g(g.rows(), cut), second_g(g.rows(), windows - cut);
    std::copy_n(g.data(), first_g.size(), first_g.data());
    std::copy_n(g.data() + first_g.size(), second_g.size(), second_g.data());
    auto second_bar = test::pull_back<StoredHistory>(model, c, tail, between, second_g, state_bar);
    const auto first_bar = test::pull_back<StoredHistory>(model, c, head, start, first_g, second_bar.state);
    Array<S, Model::features> tokens_bar(tokens.rows(), tokens.cols());
    std::copy_n(first_bar.tokens.data(), first_bar.tokens.size(), tokens_bar.data());
    std::copy_n(second_bar.tokens.data(), second_bar.tokens.size(), tokens_bar.data() + first_bar.tokens.size());
    visit(
        [](const Name&, auto& sum, const auto& more) {
          for (Index i = 0; i < sum.size(); ++i) sum[i] += more[i];
        },
        second_bar.coefficients, first_bar.coefficients);
    CHECK(roundings(whole_bar.coefficients, second_bar.coefficients) < 50);
    CHECK(roundings(whole_bar.tokens, tokens_bar) < 50);
    CHECK(first_bar.state.recurrence.memory == whole_bar.state.recurrence.memory);
  }
}

TEST_CASE("a sequence cut between any two windows equals the whole, gradients included", "[state][vjp]") {
  check_parts_equal_whole<float>(PaperLayer<3>());
  check_parts_equal_whole<double>(PaperLayer<>(3));
  check_parts_equal_whole<Lanes<float>>(PaperLayer<3>());
  check_parts_equal_whole<double>(Wide());
  check_parts_equal_whole<double>(Projected());
}

TEST_CASE("a masked window leaves the state as it was", "[state]") {
  Random random(10);
  const PaperLayer<3> model;
  const auto c = random_coefficients<double>(model, random);
  const auto tokens = random_tokens<double>(model, 4, random);
  auto state = random_state<double>(model, random);

  Array<double> mask(1, 4);
  mask.fill(1);
  mask[2] = 0;
  auto whole = state;
  run<double>(model, c, {tokens.view(), mask.view()}, whole, 1);

  run<double>(model, c, {tokens.view().columns(0, 5)}, state, 0);
  const auto before = state.recurrence;
  run<double>(model, c, {tokens.view().columns(5, 2), mask.view().columns(2, 1)}, state, 0);
  CHECK(state.recurrence == before);
  CHECK(state.recurrence.windows[0] == 2);
  run<double>(model, c, {tokens.view().columns(7, 2)}, state, 1);
  CHECK(state == whole);
  CHECK(whole.recurrence.windows[0] == 3);
}

/// The state after two halves, the second begun at Z_0 = 0 with the token that the halves share.
template <class S, class Model>
void check_merge(const Model& model, const Array<S>& mask, double tolerance) {
  Random random(11);
  const Index windows = mask.size(), cut = 2, length = Model::Window::width + Model::Window::stride * (cut - 1);
  const auto c = random_coefficients<LaneScalar<S>>(model, random);
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto start = random_state<S>(model, random);

  auto whole = start;
  run<S>(model, c, {tokens.view(), mask.view()}, whole, 0);

  auto first = start;
  run<S>(model, c, {tokens.view().columns(0, length), mask.view().columns(0, cut)}, first, 0);
  auto second = model.template initial_state<S>();
  second.window = first.window;
  run<S>(model, c, {tokens.view().columns(length, tokens.cols() - length), mask.view().columns(cut, windows - cut)},
         second, 0);

  const auto merged = model.merge(c, first, second);
  CHECK(merged.window == whole.window);
  CHECK(merged.recurrence.windows == whole.recurrence.windows);
  CHECK(roundings(whole.recurrence.memory, merged.recurrence.memory) < tolerance);
}

template <class S>
void check_merge() {
  Array<S> mask(1, 7);
  mask.fill(S(1));
  check_merge<S>(PaperLayer<3>(), mask, 50);
  check_merge<S>(PaperLayer<>(3), mask, 50);
  check_merge<S>(Projected(), mask, 50);
  // A different pattern in every lane.
  for (Index t = 0; t < mask.size(); ++t)
    for (Index k = 0; k < lane_count<S>; ++k)
      set_lane(mask[t], k, static_cast<LaneScalar<S>>((k * k + 3 * t) % 4 != 0));
  check_merge<S>(PaperLayer<3>(), mask, 50);
}

TEST_CASE("two halves' states merge into the whole's, whatever the masks", "[state]") {
  check_merge<float>();
  check_merge<double>();
  check_merge<Lanes<float>>();
}

/// The output of a gate: X^T d, preconditioned or not, or D c.
Eigen::VectorXd gated(const auto& gate, const Eigen::MatrixXd& window) {
  if constexpr (requires { gate.D; })
    return gate.D.matrix() * window;
  else if constexpr (requires { gate.plain; })
    return window * gate.plain.d.matrix();
  else
    return window * gate.d.matrix();
}

template <class Model>
void check_implicit_weights(const Model& model) {
  Random random(12);
  const auto c = random_coefficients<double>(model, random);
  const auto tokens = random_tokens<double>(model, 5, random);
  auto state = random_state<double>(model, random);
  auto ws = model.template workspace<double>();
  Array<double, Model::outputs, 1> prediction(model.output_count(), 1);
  for (Index t = 0; t < 5; ++t) {
    CAPTURE(t);
    const Index last = Model::Window::width + Model::Window::stride * t - 1;
    for (Index i = t == 0 ? 0 : last - Model::Window::stride + 1; i <= last; ++i)
      model.step(c, tokens.view().column(i), state, prediction.view(), ws);
    const Eigen::VectorXd expected =
        model.implicit_weights(c, state) *
        gated(c.gate, tokens.matrix().middleCols(last - Model::Window::width + 1, Model::Window::width));
    CHECK((prediction.matrix() - expected).norm() < 1e-14 * (1 + expected.norm()));
    CHECK(expected.norm() > 0);
  }
}

TEST_CASE("the implicit model's weights times the gated token are the prediction, at every window", "[state]") {
  check_implicit_weights(PaperLayer<3>());
  check_implicit_weights(PaperLayer<>(4));
  check_implicit_weights(
      AugmentedSsm<LocalAttention<3>, DiagonalRecurrence<3>, Readout<2, 3>, PreconditionedGate<3>>());
  check_implicit_weights(Projected());
  check_implicit_weights(
      AugmentedSsm<ProjectedAttention<4, 2>, DiagonalRecurrence<2, 4>, Readout<4>, PreconditionedGate<4, 3, 2>>());
}

TEST_CASE("predict is forward over the whole sequence", "[state]") {
  Random random(13);
  const PaperLayer<> model(3);
  auto p = model.parameters<float>();
  random.fill(p);
  const auto tokens = random_tokens<float>(model, 4, random);
  auto state = model.initial_state<float>();
  const auto expected = run<float>(model, model.prepare(p), {tokens.view()}, state, 4);
  CHECK(model.predict(p, tokens.matrix()) == expected.matrix());
  CHECK(model.predict(p, 2 * tokens.matrix().leftCols(3)).cols() == 1);
}

TEST_CASE("a state is equal when all that later predictions depend on is", "[state]") {
  Random random(14);
  const PaperLayer<3> model;
  const auto state = random_state<double>(model, random);
  auto other = state;
  CHECK(other == state);
  other.window.tokens[0] = 1;  // a token that is not held
  CHECK(other == state);
  other.window.held = 1;
  CHECK(!(other == state));
  other = state;
  other.recurrence.memory[0] += 1;
  CHECK(!(other == state));
  other = state;
  other.recurrence.windows[0] = 1;
  CHECK(!(other == state));
}

}  // namespace
}  // namespace gdssm
