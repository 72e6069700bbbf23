// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/stream.hpp"

#include <limits>
#include <string>

#include "models/runs.hpp"
#include "support/catch.hpp"

#include "gdssm/models/horner_stack.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm {
namespace {

/// Predictions of a stream must have the same bits as those of `forward`. So must those of a stream that continues from
/// the other's state after any token.
template <class Model>
void check_stream(const Model& model) {
  const auto weights = reference_initialization<float>(model, 3);
  const Eigen::MatrixXf tokens = Eigen::MatrixXf::Random(model.feature_count(), 11);
  const Eigen::MatrixXf expected = model.predict(weights, tokens);
  for (Index cut = 0; cut <= tokens.cols(); ++cut) {
    CAPTURE(cut);
    Stream stream(model, weights), resumed(model, weights);
    Index t = 0;
    for (Index i = 0; i < tokens.cols(); ++i) {
      if (i == cut) resumed.set_state(stream.state());
      auto& reads = i < cut ? stream : resumed;
      if (const auto answer = reads.step(tokens.col(i))) CHECK(*answer == expected.col(t++));
    }
    CHECK(t == expected.cols());
  }
}

TEST_CASE("a stream predicts as forward does, bit for bit, and goes on from a state anywhere", "[definition]") {
  check_stream(PaperLayer<3>());
  check_stream(PaperLayer<>(2));
  check_stream(HornerStack(PaperLayer<2>(), 2));
}

TEST_CASE("a sequence cut anywhere is the whole, within a pair too, for layers and stacks",
          "[definition][regression]") {
  test::Random random(4);
  const auto check = [&]<class Model>(const Model& model) {
    const auto c = model.prepare(reference_initialization<double>(model, 5));
    const auto tokens = test::random_tokens<double>(model, 4, random);
    auto whole = model.template initial_state<double>();
    const auto predictions = test::run<double>(model, c, {tokens.view()}, whole, 4);
    for (Index cut = 0; cut <= tokens.cols(); ++cut) {
      CAPTURE(cut);
      auto state = model.template initial_state<double>();
      const Index first = model.window().completed(cut, state.window);
      const auto head = test::run<double>(model, c, {tokens.view().columns(0, cut)}, state, first);
      const auto tail =
          test::run<double>(model, c, {tokens.view().columns(cut, tokens.cols() - cut)}, state, 4 - first);
      CHECK(state == whole);
      CHECK(std::equal(head.data(), head.data() + head.size(), predictions.data()));
      CHECK(std::equal(tail.data(), tail.data() + tail.size(), predictions.data() + head.size()));
    }
  };
  check(PaperLayer<3>());
  check(HornerStack(PaperLayer<3>(), 2));
  check(AugmentedSsm<LocalAttention<3, 5, 1>, DiagonalRecurrence<3>, Readout<3>, OutputGate<3, 5>>());
  check(AugmentedSsm<LocalAttention<2, 2, 5>, DiagonalRecurrence<2>, Readout<2>, OutputGate<2, 2>>());
}

TEST_CASE("a stream refuses tokens, weights and states that don't fit, and stays as it was", "[misuse]") {
  const PaperLayer<> layer(3);
  Stream stream(layer, layer.parameters<double>());
  stream.step(Eigen::Vector3d(1, 2, 3));
  const auto before = stream.state();
  CHECK_THROWS_WITH(stream.step(Eigen::Vector2d(1, 2)), "Stream: the number of features of a token is 2, expected 3");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(stream.step(Eigen::Vector3d(1, nan, 3)),
                    "Stream: token 0, entry 1 is nan, expected a finite number");
  CHECK_THROWS_WITH(stream.set_state(PaperLayer<>(2).initial_state<double>()),
                    "Stream: window.tokens is 2 x 3, expected 3 x 3");
  CHECK_THROWS_WITH(Stream(layer, PaperLayer<>(2).parameters<double>()),
                    "Stream: recurrence.Lambda is 2 x 2, expected 3 x 3");
  CHECK(stream.state() == before);
  stream.restart();
  CHECK(stream.state() == layer.initial_state<double>());
}

}  // namespace
}  // namespace gdssm
