// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/horner_stack.hpp"

#include <limits>

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "models/pass.hpp"
#include "models/runs.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Pass;
using test::Random;
using test::random_coefficients;
using test::random_tokens;
using test::run;

template <class Layer>
void check_stack(const Layer& layer) {
  for (const Index steps : {1, 2, 3})
    for (const Index k : {1, 3}) {
      CAPTURE(layer.feature_count(), steps, k);
      const HornerStack<Layer> stack(layer, steps);
      expect_vjp(Pass<HornerStack<Layer>>{stack, 3, k});
      expect_vjp(Pass<HornerStack<Layer>, ForwardSensitivity>{stack, 3, k});
    }
}

TEST_CASE("the Horner stack pulls back to parameters, tokens and first state, for one step and more", "[vjp]") {
  check_stack(PaperLayer<>(2));
  check_stack(PaperLayer<3>());
}

TEST_CASE("the Horner stack pulls back through masks and a first state's tokens", "[vjp]") {
  const HornerStack<PaperLayer<>> stack(PaperLayer<>(2), 2);
  expect_vjp(Pass<HornerStack<PaperLayer<>>>{stack, 3, 2, 1});
  expect_vjp(Pass<HornerStack<PaperLayer<>>>{stack, 4, 2, 0, {0, 1, 0, 1}});
  expect_vjp(Pass<HornerStack<PaperLayer<>>, ForwardSensitivity>{stack, 4, 2, 1, {0, 1, 1, 1}});
}

TEST_CASE("the Horner stack's two pull-backs agree on the parameters", "[vjp]") {
  Random random(71);
  const HornerStack<PaperLayer<>> stack(PaperLayer<>(3), 3);
  const auto c = random_coefficients<double>(stack, random);
  const auto tokens = random_tokens<double>(stack, 4, random);
  const auto g = test::random_array(Array<double>(3, 2), random);
  const auto start = stack.initial_state<double>();
  const auto expected = test::pull_back<StoredHistory>(stack, c, {tokens.view()}, start, g, start);

  auto state = start;
  auto c_bar = stack.coefficients<double>();
  auto ws = stack.gradient_workspace<double>(4, 2);
  stack.vjp(
      c, {tokens.view()}, state, 2,
      [&](Index j, View<const double, Dynamic, 1>, View<double, Dynamic, 1> y_bar) {
        for (Index i = 0; i < 3; ++i) y_bar[i] = g(i, j);
      },
      c_bar, ws);
  CHECK(identical(c_bar, expected.coefficients));
}

template <class S, class Layer>
void check_bits(const Layer& layer, Index steps) {
  Random random(72);
  const HornerStack<Layer> stack(layer, steps);
  const Index n = 6;
  const auto c = random_coefficients<LaneScalar<S>>(stack, random);
  const auto tokens = random_tokens<S>(stack, n, random);
  auto start = stack.template initial_state<S>();
  for (auto& of_layer : start.layers) random.fill(of_layer.memory);

  auto whole = start;
  const auto predictions = run<S>(stack, c, {tokens.view()}, whole, n);
  const auto is_column = [&](const Array<S, Layer::outputs, 1>& prediction, Index t) {
    bool same = true;
    for (Index i = 0; i < prediction.size(); ++i) same = same && prediction[i] == predictions(i, t);
    return same;
  };

  auto streamed = start;
  auto ws = stack.template workspace<S>();
  Array<S, Layer::outputs, 1> prediction(stack.output_count(), 1);
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i)
    if (stack.step(c, tokens.view().column(i), streamed, prediction.view(), ws)) CHECK(is_column(prediction, t++));
  CHECK(t == n);
  CHECK(streamed == whole);

  for (Index cut = 1; cut < n; ++cut) {
    CAPTURE(cut);
    auto state = start;
    const Index length = 2 * cut + 1;
    run<S>(stack, c, {tokens.view().columns(0, length)}, state, 0);
    const auto rest = run<S>(stack, c, {tokens.view().columns(length, tokens.cols() - length)}, state, n - cut);
    CHECK(state == whole);
    bool same = true;
    for (Index j = 0; j < rest.cols(); ++j)
      for (Index i = 0; i < rest.rows(); ++i) same = same && rest(i, j) == predictions(i, cut + j);
    CHECK(same);
  }
}

TEST_CASE("the Horner stack's step and forward agree bit for bit, in parts and whole", "[state]") {
  check_bits<float>(PaperLayer<3>(), 2);
  check_bits<double>(PaperLayer<>(4), 3);
  check_bits<Lanes<float>>(PaperLayer<>(3), 2);
}

TEST_CASE("a Horner stack of one step is its layer", "[state]") {
  Random random(73);
  const PaperLayer<> layer(3);
  const HornerStack<PaperLayer<>> stack(layer, 1);
  auto p = layer.parameters<double>();
  random.fill(p);
  auto of_stack = stack.parameters<double>();
  REQUIRE(of_stack.layers.size() == 1);
  of_stack.layers[0] = p;
  const auto tokens = random_tokens<double>(layer, 5, random);
  CHECK(stack.predict(of_stack, tokens.matrix()) == layer.predict(p, tokens.matrix()));
}

TEST_CASE("a Horner stack's implicit weights times the gated token are the prediction", "[state]") {
  Random random(74);
  const HornerStack<PaperLayer<>> stack(PaperLayer<>(4), 3);
  const auto c = random_coefficients<double>(stack, random);
  const auto tokens = random_tokens<double>(stack, 5, random);
  auto state = stack.initial_state<double>();
  const auto prediction = run<double>(stack, c, {tokens.view()}, state, 1);
  const Eigen::VectorXd o = tokens.matrix().rightCols(3) * c.layers.back().gate.d.matrix();
  const Eigen::VectorXd expected = stack.implicit_weights(c, state) * o;
  CHECK((prediction.matrix() - expected).norm() <= 1e-14 * expected.norm());
  CHECK(expected.norm() > 0);
}

TEST_CASE("of preconditioned gates, too, only a Horner stack's last acts", "[state][regression]") {
  Random random(75);
  using Layer = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, Readout<>, PreconditionedGate<>>;
  const HornerStack<Layer> stack(Layer(4), 3);
  const auto c = random_coefficients<double>(stack, random);
  const auto tokens = random_tokens<double>(stack, 5, random);
  auto state = stack.initial_state<double>();
  const auto prediction = run<double>(stack, c, {tokens.view()}, state, 1);
  const Eigen::VectorXd gated = tokens.matrix().rightCols(3) * c.layers.back().gate.d.matrix();
  const Eigen::VectorXd expected = stack.implicit_weights(c, state) * gated;
  CHECK((prediction.matrix() - expected).norm() <= 1e-14 * expected.norm());
  CHECK(expected.norm() > 0);
}

TEST_CASE("a Horner stack refuses predictions and cotangents of other rows than its own", "[misuse]") {
  const HornerStack stack(PaperLayer<>(3), 2);
  const auto c = stack.prepare(stack.parameters<double>());
  auto state = stack.initial_state<double>(), state_bar = state;
  auto scratch = stack.workspace<double>();
  auto ws = stack.gradient_workspace<double>(2, 1);
  auto c_bar = stack.coefficients<double>();
  const Array<double> tokens(3, 5);
  Array<double> high(4, 1), low(2, 5);
  const auto zero = [](Index, View<const double, Dynamic, 1>, View<double, Dynamic, 1> g) { g.fill(0); };
  CHECK_THROWS_WITH(stack.forward(c, {tokens.view()}, state, high.view(), scratch),
                    "HornerStack: the number of rows of the predictions is 4, expected 3");
  CHECK_THROWS_WITH(stack.vjp(c, {tokens.view()}, state, 1, zero, c_bar, state_bar, low.view(), ws),
                    "HornerStack::vjp: the number of rows of the tokens' cotangent is 2, expected 3");
}

TEST_CASE("a Horner stack refuses what it cannot be made of or read", "[misuse]") {
  using Stack = HornerStack<PaperLayer<>>;
  CHECK_THROWS_WITH(Stack(PaperLayer<>(3), 0), "HornerStack: the number of steps is 0, expected at least 1");
  CHECK_THROWS_WITH(Stack(PaperLayer<>(3), -2), "HornerStack: the number of steps is -2, expected at least 1");
  CHECK_THROWS_WITH(
      Stack(PaperLayer<>(LocalAttention<>(3), DiagonalRecurrence<>(3), Readout<>(2, 3), OutputGate<>(3)), 2),
      "HornerStack: the number of outputs is 2, expected 3");

  const Stack stack(PaperLayer<>(3), 2);
  auto p = stack.parameters<double>();
  CHECK_THROWS_AS(stack.predict(p, Eigen::MatrixXd::Zero(3, 4)), std::invalid_argument);
  CHECK_THROWS_AS(stack.predict(p, Eigen::MatrixXd::Zero(2, 5)), std::invalid_argument);
  CHECK_THROWS_AS(stack.predict(p, Eigen::MatrixXd::Constant(3, 5, std::numeric_limits<double>::quiet_NaN())),
                  std::invalid_argument);

  const auto c = stack.prepare(p);
  auto one_missing = p, one_more = p;
  one_missing.layers.pop_back();
  one_more.layers.push_back(p.layers[0]);
  auto c_out = c;
  CHECK_THROWS_WITH(stack.prepare(one_missing),
                    "HornerStack::prepare: the number of layers of the weights is 2, expected 3");
  CHECK_THROWS_WITH(stack.prepare(one_more, c_out),
                    "HornerStack::prepare: the number of layers of the weights is 4, expected 3");
  CHECK_THROWS_WITH(stack.predict(one_more, Eigen::MatrixXd::Zero(3, 5)),
                    "visit: the number of layers is 4, expected 3");
  CHECK_THROWS_WITH(stack.prepare_vjp(one_more, c, c, p),
                    "HornerStack::prepare_vjp: the number of layers of the weights is 4, expected 3");
  CHECK_THROWS_WITH(stack.prepare_vjp(p, c, c, one_missing),
                    "HornerStack::prepare_vjp: the number of layers of the weights' gradient is 2, expected 3");

  auto state = stack.initial_state<double>();
  const auto before = state;
  auto ws = stack.workspace<double>();
  const Array<double> tokens(3, 5), even(3, 6), mask(1, 3);
  Array<double> predictions(3, 3);
  CHECK_THROWS_AS(stack.forward(c, {even.view()}, state, predictions.view(), ws), std::invalid_argument);
  CHECK_THROWS_AS(stack.forward(c, {tokens.view()}, state, predictions.view(), ws), std::invalid_argument);
  CHECK_THROWS_AS(stack.forward(c, {tokens.view(), mask.view()}, state, predictions.view().columns(0, 1), ws),
                  std::invalid_argument);
  Array<double> tokens_bar(3, 4);
  auto c_bar = c;
  auto gradient_ws = stack.gradient_workspace<double>(2, 1);
  const auto zero = [](Index, View<const double, Dynamic, 1>, View<double, Dynamic, 1> g) { g.fill(0); };
  auto state_bar = state;
  CHECK_THROWS_WITH(stack.vjp(c, {tokens.view()}, state, 1, zero, c_bar, state_bar, tokens_bar.view(), gradient_ws),
                    "HornerStack::vjp: the number of columns of the tokens' cotangent is 4, expected 5");
  CHECK_THROWS_AS(stack.vjp(c, {tokens.view()}, state, 2, zero, c_bar, gradient_ws), std::invalid_argument);
  CHECK(state == before);
}

}  // namespace
}  // namespace gdssm
