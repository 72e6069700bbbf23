// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <stdexcept>
#include <string>

#include "models/runs.hpp"
#include "support/catch.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/models/run_gradient.hpp"

namespace gdssm {
namespace {

TEST_CASE("predict refuses tokens of another size, naming what it expected", "[misuse]") {
  const PaperLayer<> model(3);
  const auto p = model.parameters<double>();
  CHECK_THROWS_WITH(model.predict(p, Eigen::MatrixXd::Zero(4, 5)),
                    "predict: the number of features of a token is 4, expected 3");
  CHECK_THROWS_WITH(PaperLayer<3>().predict(PaperLayer<3>().parameters<double>(), Eigen::MatrixXd::Zero(2, 5)),
                    "predict: the number of features of a token is 2, expected 3");
}

TEST_CASE("predict refuses a sequence that does not end with a window", "[misuse]") {
  const PaperLayer<> model(3);
  const auto p = model.parameters<double>();
  for (const Index tokens : {0, 1, 2, 4, 6})
    CHECK_THROWS_WITH(model.predict(p, Eigen::MatrixXd::Zero(3, tokens)),
                      "tokens: the sequence has " + std::to_string(tokens) +
                          " tokens, expected 3 + 2 k, so that it ends with a window");
}

TEST_CASE("predict refuses entries that are not finite, naming their place", "[misuse]") {
  const PaperLayer<> model(3);
  const auto p = model.parameters<double>();
  Eigen::MatrixXd tokens = Eigen::MatrixXd::Zero(3, 5);
  tokens(1, 4) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(model.predict(p, tokens), "predict: token 4, entry 1 is inf, expected a finite number");
  tokens(2, 3) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(model.predict(p, tokens), "predict: token 3, entry 2 is nan, expected a finite number");
}

TEST_CASE("forward refuses what does not fit the sequence, and leaves the state as it was", "[misuse]") {
  const PaperLayer<> model(3);
  const auto c = model.prepare(model.parameters<float>());
  test::Random random(41);
  auto state = test::random_state<float>(model, random);
  const auto before = state;
  auto ws = model.workspace<float>();
  const Array<float> tokens(3, 7), mask(1, 4), wide(4, 7);
  Array<float> one(3, 1), four(3, 4), short_prediction(2, 1);
  CHECK_THROWS_WITH(model.forward(c, {tokens.view(), mask.view()}, state, one.view(), ws),
                    "AugmentedSsm: the length of the mask is 4, expected 3");
  CHECK_THROWS_WITH(model.forward(c, {tokens.view()}, state, four.view(), ws),
                    "AugmentedSsm: predictions at the last 4 windows, expected 0 to 3");
  CHECK_THROWS_WITH(model.forward(c, {tokens.view()}, state, short_prediction.view(), ws),
                    "AugmentedSsm: the number of rows of the predictions is 2, expected 3");
  CHECK_THROWS_WITH(model.forward(c, {wide.view()}, state, one.view(), ws),
                    "AugmentedSsm: the number of features is 4, expected 3");
  CHECK(state == before);
}

TEST_CASE("a pull-back refuses a workspace that is too small, and leaves the state as it was", "[misuse]") {
  const PaperLayer<> model(3);
  const auto c = model.prepare(model.parameters<float>());
  auto c_bar = model.coefficients<float>();
  test::Random random(42);
  auto state = test::random_state<float>(model, random), state_bar = state;
  const auto before = state;
  const Array<float> tokens(3, 7);
  Array<float> tokens_bar(3, 7), short_tokens_bar(3, 6);
  const auto zero = [](Index, View<const float, Dynamic, 1>, View<float, Dynamic, 1> g) { g.fill(0); };

  auto few_states = model.gradient_workspace<float>(2, 1);
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, 1, zero, c_bar, few_states),
                    "AugmentedSsm::vjp: the workspace has room for 2 states and 1 losses, expected 3 and 1");
  auto few_losses = model.gradient_workspace<float, ForwardSensitivity>(1, 1);
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, 2, zero, c_bar, few_losses),
                    "AugmentedSsm::vjp: the workspace has room for 1 states and 1 losses, expected 1 and 2");
  CHECK_THROWS_WITH((RunGradient<PaperLayer<>, float>(model, 0)),
                    "RunGradient: the number of windows is 0, expected at least 1");
  auto ws = model.gradient_workspace<float>(3, 3);
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, 4, zero, c_bar, ws),
                    "AugmentedSsm: predictions at the last 4 windows, expected 0 to 3");
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, -1, zero, c_bar, ws),
                    "AugmentedSsm: predictions at the last -1 windows, expected 0 to 3");
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, 1, zero, c_bar, state_bar, short_tokens_bar.view(), ws),
                    "AugmentedSsm::vjp: the number of columns of the tokens' cotangent is 6, expected 7");
  Array<float> low_tokens_bar(2, 7);
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, 1, zero, c_bar, state_bar, low_tokens_bar.view(), ws),
                    "AugmentedSsm::vjp: the number of rows of the tokens' cotangent is 2, expected 3");
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view().columns(0, 6)}, state, 1, zero, c_bar, ws),
                    "tokens: the sequence has 6 tokens, expected 3 + 2 k, so that it ends with a window");
  CHECK(state == before);

  // In the middle of a stream the next window takes fewer.
  auto forward_ws = model.workspace<float>();
  model.forward(c, {tokens.view()}, state, View<float>(nullptr, 3, 0), forward_ws);
  CHECK_THROWS_WITH(model.vjp(c, {tokens.view()}, state, 1, zero, c_bar, ws),
                    "tokens: the sequence has 7 tokens, expected 2 + 2 k, so that it ends with a window");
}

TEST_CASE("slots that do not fit one another are refused", "[misuse]") {
  using Layer = PaperLayer<>;
  CHECK_THROWS_WITH(Layer(LocalAttention<>(3), DiagonalRecurrence<>(4), Readout<>(3), OutputGate<>(3)),
                    "AugmentedSsm: the number of rows of the state is 4, expected 3");
  CHECK_THROWS_WITH(Layer(LocalAttention<>(3), DiagonalRecurrence<>(3, 4), Readout<>(3), OutputGate<>(3)),
                    "AugmentedSsm: the number of columns of the state is 4, expected 3");
  CHECK_THROWS_WITH(Layer(LocalAttention<>(3), DiagonalRecurrence<>(3), Readout<>(3, 2), OutputGate<>(3)),
                    "AugmentedSsm: the number of columns of the readout is 2, expected 3");
  CHECK_THROWS_WITH(Layer(LocalAttention<>(3), DiagonalRecurrence<>(3), Readout<>(3), OutputGate<>(5)),
                    "AugmentedSsm: the length of the gate's output is 5, expected 3");
  using Projected = AugmentedSsm<TokenProjection<>, DiagonalRecurrence<Dynamic, 1>, Readout<1>, ProjectionGate<>>;
  CHECK_THROWS_WITH(Projected({3, 6}, {3, 1}, {}, {3, 5}),
                    "AugmentedSsm: the length of a token at the gate is 5, expected 6");
}

TEST_CASE("sizes that are not positive, or not those of the type, are refused", "[misuse]") {
  CHECK_THROWS_WITH(LocalAttention<>(0), "LocalAttention: the number of features is 0, expected at least 1");
  CHECK_THROWS_AS(PaperLayer<>(0), std::invalid_argument);
  CHECK_THROWS_AS(PaperLayer<3>(4), std::invalid_argument);
  CHECK_THROWS_WITH((SlidingWindow<3, 3, 2>(4)), "SlidingWindow: the number of features is 4, expected 3");
  CHECK_THROWS_WITH(LocalAttention<3>(4), "LocalAttention: the number of features is 4, expected 3");
  CHECK_THROWS_WITH(DiagonalRecurrence<>(-1), "DiagonalRecurrence: the state is -1 x -1, expected at least 1 x 1");
  CHECK_THROWS_WITH((DiagonalRecurrence<3, 2>(2, 2)), "DiagonalRecurrence: the number of rows is 2, expected 3");
  CHECK_THROWS_WITH((DiagonalRecurrence<3, 2>(3, 3)), "DiagonalRecurrence: the number of columns is 3, expected 2");
  CHECK_THROWS_WITH(Readout<>(0), "Readout: the number of outputs is 0, expected at least 1");
  CHECK_THROWS_WITH(Readout<>(2, 0), "Readout: the number of columns is 0, expected at least 1");
  CHECK_THROWS_WITH((Readout<2, 3>(2, 2)), "Readout: the number of columns is 2, expected 3");
  CHECK_THROWS_WITH(OutputGate<>(0), "OutputGate: the number of features is 0, expected at least 1");
  CHECK_THROWS_WITH(PreconditionedGate<3>(2), "OutputGate: the number of features is 2, expected 3");
  CHECK_THROWS_WITH(ProjectionGate<>(3, 0), "ProjectionGate: the map is 3 x 0, expected at least 1 x 1");
  CHECK_THROWS_WITH((ProjectionGate<3, 6>(3, 5)), "ProjectionGate: the size of a token is 5, expected 6");
  CHECK_THROWS_WITH(TokenProjection<>(0, 3), "TokenProjection: the number of rows is 0, expected at least 1");
  CHECK_THROWS_WITH((TokenProjection<3, 6>(3, 5)), "TokenProjection: the size of a token is 5, expected 6");
}

}  // namespace
}  // namespace gdssm
