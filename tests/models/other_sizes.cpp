// SPDX-License-Identifier: Apache-2.0
// Models refuse coefficients, states and scratch that were made for a model of other sizes.
#include <stdexcept>
#include <string>
#include <utility>

#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/models/run_gradient.hpp"
#include "gdssm/models/stream.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/token_projection.hpp"

namespace gdssm {
namespace {

using test::message_of;

/// A model with all that its entries read and write.
template <class Model>
struct Parts {
  Model model;
  typename Model::template Parameters<double> p = model.template parameters<double>(), p_bar = p;
  typename Model::template Coefficients<double> c = model.template coefficients<double>(), c_bar = c;
  typename Model::template State<double> state = model.template initial_state<double>(), state_bar = state;
  typename Model::template Workspace<double> ws = model.template workspace<double>();
  typename Model::template GradientWorkspace<double> gradient_ws = model.template gradient_workspace<double>(5, 1);
  Array<double, Model::features> tokens = Array<double, Model::features>(model.feature_count(), 5);
  Array<double, Model::features> tokens_bar = tokens;
  Array<double, Model::outputs> predictions = Array<double, Model::outputs>(model.output_count(), 1);

  explicit Parts(Model of) : model(std::move(of)) {}
};

/// Every entry of `a`'s model, in turn with one argument of `b`'s, refuses it, led by the entry's name.
template <class Model>
void check_entries(Parts<Model> a, Parts<Model> b, const std::string& name) {
  const auto refuses = [&](const std::string& entry, const auto& call) {
    INFO(entry);
    CHECK(message_of(call).rfind(name + "::" + entry + ": ", 0) == 0);
  };
  const auto zero = [](Index, auto, auto g) { g.fill(0); };
  const auto prepare = [&](const auto& p, auto& c) { a.model.prepare(p, c); };
  const auto prepare_vjp = [&](const auto& p, const auto& c, const auto& c_bar, auto& p_bar) {
    a.model.prepare_vjp(p, c, c_bar, p_bar);
  };
  const auto forward = [&](auto& c, auto& state, auto& ws) {
    a.model.forward(c, Sequence<double, Model::features>{a.tokens.view()}, state, a.predictions.view(), ws);
  };
  const auto vjp = [&](auto& c, auto& state, auto& c_bar, auto& ws) {
    a.model.vjp(c, Sequence<double, Model::features>{a.tokens.view()}, state, 1, zero, c_bar, ws);
  };
  prepare(a.p, a.c);
  prepare_vjp(a.p, a.c, a.c_bar, a.p_bar);
  CHECK_THROWS_AS(prepare(b.p, a.c), std::invalid_argument);
  CHECK_THROWS_AS(prepare(a.p, b.c), std::invalid_argument);
  CHECK_THROWS_AS(prepare_vjp(a.p, b.c, a.c_bar, a.p_bar), std::invalid_argument);
  CHECK_THROWS_AS(prepare_vjp(a.p, a.c, b.c_bar, a.p_bar), std::invalid_argument);
  CHECK_THROWS_AS(prepare_vjp(a.p, a.c, a.c_bar, b.p_bar), std::invalid_argument);
  CHECK_THROWS_AS(a.model.predict(b.p, Eigen::MatrixXd::Zero(a.model.feature_count(), 5)), std::invalid_argument);

  CHECK(message_of([&] { forward(a.c, a.state, a.ws); }) == "");
  refuses("forward", [&] { forward(b.c, a.state, a.ws); });
  refuses("forward", [&] { forward(a.c, b.state, a.ws); });
  refuses("forward", [&] { forward(a.c, a.state, b.ws); });

  a.state = a.model.template initial_state<double>();
  CHECK(message_of([&] { vjp(a.c, a.state, a.c_bar, a.gradient_ws); }) == "");
  a.state = a.model.template initial_state<double>();
  CHECK_THROWS_AS(vjp(b.c, a.state, a.c_bar, a.gradient_ws), std::invalid_argument);
  CHECK_THROWS_AS(vjp(a.c, b.state, a.c_bar, a.gradient_ws), std::invalid_argument);
  CHECK_THROWS_AS(vjp(a.c, a.state, b.c_bar, a.gradient_ws), std::invalid_argument);
  CHECK_THROWS_AS(vjp(a.c, a.state, a.c_bar, b.gradient_ws), std::invalid_argument);

  if constexpr (requires {
                  a.model.step(a.c, a.tokens.view().column(0), a.state, a.predictions.view().column(0), a.ws);
                }) {
    const auto step = [&](auto& c, auto& state, auto& ws, const auto& tokens, const auto& predictions) {
      a.model.step(c, View<const double, Model::features, 1>(tokens.view().column(0)), state,
                   predictions.view().column(0), ws);
    };
    CHECK(message_of([&] { step(a.c, a.state, a.ws, a.tokens, a.predictions); }) == "");
    refuses("step", [&] { step(b.c, a.state, a.ws, a.tokens, a.predictions); });
    refuses("step", [&] { step(a.c, b.state, a.ws, a.tokens, a.predictions); });
    refuses("step", [&] { step(a.c, a.state, b.ws, a.tokens, a.predictions); });
    if constexpr (Model::features == Dynamic) {
      refuses("step", [&] { step(a.c, a.state, a.ws, b.tokens, a.predictions); });
      refuses("step", [&] { step(a.c, a.state, a.ws, a.tokens, b.predictions); });
    }
  }
  if constexpr (requires { a.model.merge(a.c, a.state, a.state); }) {
    CHECK(message_of([&] { a.model.merge(a.c, a.state, a.state); }) == "");
    refuses("merge", [&] { a.model.merge(b.c, a.state, a.state); });
    refuses("merge", [&] { a.model.merge(a.c, b.state, a.state); });
    refuses("merge", [&] { a.model.merge(a.c, a.state, b.state); });
  }
  if constexpr (requires { a.model.implicit_weights(a.c, a.state); }) {
    CHECK(message_of([&] { a.model.implicit_weights(a.c, a.state); }) == "");
    CHECK_THROWS_AS(a.model.implicit_weights(b.c, a.state), std::invalid_argument);
    CHECK_THROWS_AS(a.model.implicit_weights(a.c, b.state), std::invalid_argument);
  }
  if constexpr (requires {
                  a.model.vjp(a.c, Sequence<double, Model::features>{a.tokens.view()}, a.state, 1, zero, a.c_bar,
                              a.state_bar, a.tokens_bar.view(), a.gradient_ws);
                }) {
    const auto pull = [&](auto& state_bar, auto& tokens_bar, auto& ws) {
      a.model.vjp(a.c, Sequence<double, Model::features>{a.tokens.view()}, a.state, 1, zero, a.c_bar, state_bar,
                  tokens_bar.view(), ws);
    };
    a.state = a.model.template initial_state<double>();
    CHECK_THROWS_AS(pull(b.state_bar, a.tokens_bar, a.gradient_ws), std::invalid_argument);
    CHECK_THROWS_AS(pull(a.state_bar, a.tokens_bar, b.gradient_ws), std::invalid_argument);
    Array<double, Model::features> short_bar(a.model.feature_count(), 4);
    CHECK_THROWS_AS(pull(a.state_bar, short_bar, a.gradient_ws), std::invalid_argument);
    CHECK(message_of([&] { pull(a.state_bar, a.tokens_bar, a.gradient_ws); }) == "");
  }
}

TEST_CASE("Every entry of a model refuses what was made for a model of other sizes", "[misuse]") {
  for (const auto& [own, other] : {std::pair<Index, Index>{3, 2}, {3, 5}}) {
    CAPTURE(own, other);
    check_entries(Parts(PaperLayer<>(own)), Parts(PaperLayer<>(other)), "AugmentedSsm");
    using Selective = AugmentedSsm<LocalAttention<>, SelectiveRecurrence<>, Readout<>, OutputGate<>>;
    check_entries(Parts(Selective(own)), Parts(Selective(other)), "AugmentedSsm");
    using Diagonal = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, DiagonalReadout<>, OutputGate<>>;
    check_entries(Parts(Diagonal(own)), Parts(Diagonal(other)), "AugmentedSsm");
    using Projected = AugmentedSsm<TokenProjection<>, DiagonalRecurrence<Dynamic, 1>, Readout<1>, ProjectionGate<>>;
    check_entries(Parts(Projected({3, own}, {3, 1}, {}, {3, own})),
                  Parts(Projected({3, other}, {3, 1}, {}, {3, other})), "AugmentedSsm");
    check_entries(Parts(Projected({own, 6}, {own, 1}, {}, {own, 6})),
                  Parts(Projected({other, 6}, {other, 1}, {}, {other, 6})), "AugmentedSsm");
    check_entries(Parts(HornerStack(PaperLayer<>(own), 2)), Parts(HornerStack(PaperLayer<>(other), 2)), "HornerStack");
    check_entries(Parts(TwoStepStack(PaperLayer<>(own))), Parts(TwoStepStack(PaperLayer<>(other))), "TwoStepStack");
    check_entries(Parts(NonlinearSsm(PaperLayer<>(own))), Parts(NonlinearSsm(PaperLayer<>(other))), "NonlinearSsm");
  }
}

TEST_CASE("A stack refuses what was made for another number of steps", "[misuse]") {
  const HornerStack three(PaperLayer<3>(), 3), two(PaperLayer<3>(), 2);
  Parts<HornerStack<PaperLayer<3>>> a(three), b(two);
  const std::string coefficients = "HornerStack::forward: the number of layers of the coefficients is 3, expected 5";
  const Sequence<double, 3> sequence{a.tokens.view()};
  CHECK(message_of([&] { three.forward(b.c, sequence, a.state, a.predictions.view(), a.ws); }) == coefficients);
  CHECK(message_of([&] { three.forward(a.c, sequence, b.state, a.predictions.view(), a.ws); }) ==
        "HornerStack::forward: the number of layers of the state is 3, expected 5");
  const auto zero = [](Index, auto, auto g) { g.fill(0); };
  CHECK(message_of([&] { three.vjp(a.c, sequence, a.state, 1, zero, a.c_bar, b.gradient_ws); }) ==
        "HornerStack::vjp: the number of layers of the workspace is 3, expected 5");
  CHECK(message_of([&] { three.merge(a.c, b.state, a.state); }) ==
        "HornerStack::merge: the number of layers of the state is 3, expected 5");
  CHECK(message_of([&] { three.implicit_weights(a.c, b.state); }) ==
        "HornerStack::implicit_weights: the number of layers of the state is 3, expected 5");
  CHECK(message_of([&] { expect_shapes("place", a.p, b.p); }) == "visit: the number of layers is 3, expected 5");
}

TEST_CASE("Refusals name the matrix and both shapes", "[misuse]") {
  Parts three(PaperLayer<>(3)), two(PaperLayer<>(2));
  const auto& model = three.model;
  const auto forward = [&](auto& c, auto& state, auto& ws) {
    return message_of([&] { model.forward(c, {three.tokens.view()}, state, three.predictions.view(), ws); });
  };
  CHECK(forward(two.c, three.state, three.ws) == "AugmentedSsm::forward: recurrence.decay is 2 x 2, expected 3 x 3");
  CHECK(forward(three.c, two.state, three.ws) == "AugmentedSsm::forward: window.tokens is 2 x 3, expected 3 x 3");
  CHECK(forward(three.c, three.state, two.ws) ==
        "AugmentedSsm::forward: the number of features of the workspace is 2, expected 3");
  CHECK(message_of([&] { model.prepare(two.p); }) == "DiagonalRecurrence::prepare: Lambda is 2 x 2, expected 3 x 3");
  for (const Index held : {-1, 3}) {
    auto state = three.state;
    state.window.held = held;
    const std::string sentence =
        "window.held and window.skip are " + std::to_string(held) + " and 0, expected 0 to 2 and 0 to 0";
    CHECK(forward(three.c, state, three.ws) == "AugmentedSsm: " + sentence);
    Stream stream(model, three.p);
    CHECK(message_of([&] { stream.set_state(state); }) == "Stream: " + sentence);
  }
}

TEST_CASE("A gradient in runs refuses scratch, gradients and tokens of other sizes", "[misuse]") {
  using S = Lanes<float>;
  using Gradient = RunGradient<PaperLayer<>, S>;
  const PaperLayer<> three(3), two(2);
  const Gradient gradient(three, 4), other(two, 4);
  const auto c = three.coefficients<float>(), c_other = two.coefficients<float>();
  auto c_bar = three.coefficients<S>(), c_bar_other = two.coefficients<S>();
  auto ws = gradient.workspace(1), ws_other = other.workspace(1);
  const Array<S> tokens(3, 9), low(2, 9);
  const auto said = [&](const auto& of, auto& bar, auto& scratch, const auto& sequence, Index more) {
    const auto run = [&](Index t, Index count) { return sequence.view().columns(2 * t, 2 * (count - 1) + 3 - more); };
    return message_of([&] {
      gradient(
          of, 4, run, [](Index, auto, auto g) { g.fill(S(0)); }, bar, scratch);
    });
  };
  CHECK(said(c, c_bar, ws, tokens, 0) == "");
  CHECK(said(c_other, c_bar, ws, tokens, 0) == "RunGradient: recurrence.decay is 2 x 2, expected 3 x 3");
  CHECK(said(c, c_bar_other, ws, tokens, 0) == "RunGradient: recurrence.decay is 2 x 2, expected 3 x 3");
  CHECK(said(c, c_bar, ws_other, tokens, 0) == "RunGradient: window.tokens is 2 x 3, expected 3 x 3");
  CHECK(said(c, c_bar, ws, low, 0) == "RunGradient: the tokens of a run is 2 x 9, expected 3 x 9");
  CHECK(said(c, c_bar, ws, tokens, 1) == "RunGradient: the tokens of a run is 3 x 8, expected 3 x 9");
}

}  // namespace
}  // namespace gdssm
