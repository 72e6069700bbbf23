// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/shared_layer_pass.hpp"

#include <string>
#include <vector>

#include "models/shared_layer.hpp"
#include "support/catch.hpp"
#include "support/exact.hpp"
#include "support/message_of.hpp"
#include "support/processes.hpp"

namespace gdssm {
namespace {

using test::Rational;
using test::shared_layer_run;
using ExactLayer = test::ExactLayer<>;

/// A layer in exact numbers along a sequence, with the loss sum_t <w_t, yhat_t> + <R, Z>.
struct Exact {
  ExactLayer layer{2};
  static constexpr Index windows = 11;
  ExactLayer::Coefficients<Rational> c = layer.coefficients<Rational>(), c_bar = c;
  Array<Rational> tokens{2, 2 * windows + 1}, tokens_bar{2, 2 * windows + 1}, w{2, windows}, predictions{2, windows};
  ExactLayer::State<Rational> first = layer.initial_state<Rational>(), last = first, bar = first;

  Exact() {
    test::Engine engine(3);
    auto p = layer.parameters<Rational>();
    test::fill_with_fractions(p, engine);
    layer.prepare(p, c);
    test::fill_with_fractions(tokens, engine);
    test::fill_with_fractions(w, engine);
    test::fill_with_fractions(first.recurrence.memory, engine);
    test::fill_with_fractions(bar.recurrence.memory, engine);
    last = first;
  }
  auto loss() {
    return [this](Index j, auto, auto g) {
      for (Index i = 0; i < 2; ++i) g[i] = w(i, j);
    };
  }
  bool operator==(const Exact& other) const {
    return predictions == other.predictions && last == other.last && bar == other.bar &&
           tokens_bar == other.tokens_bar && identical(c_bar, other.c_bar);
  }
};

TEST_CASE("a sequence in pieces is the sequence, forward and back, in exact arithmetic", "[theorem]") {
  Exact whole;
  {
    auto ws = whole.layer.workspace<Rational>();
    whole.layer.forward(whole.c, Sequence<Rational, Dynamic>{whole.tokens.view()}, whole.last, whole.predictions.view(),
                        ws);
    auto state = whole.first;
    auto gradient_ws = whole.layer.gradient_workspace<Rational>(Exact::windows, Exact::windows);
    whole.layer.vjp(whole.c, Sequence<Rational, Dynamic>{whole.tokens.view()}, state, Exact::windows, whole.loss(),
                    whole.c_bar, whole.bar, whole.tokens_bar.view(), gradient_ws);
  }
  for (const Index pieces : {1, 2, 3, 4, 11}) {
    CAPTURE(pieces);
    Exact cut;
    OneProcess alone;
    const SharedLayerPass<ExactLayer, Rational> pass(cut.layer, Exact::windows, pieces, alone);
    pass.forward(cut.c, View<const Rational>(cut.tokens.view()), cut.last, cut.predictions.view());
    pass.vjp(cut.c, View<const Rational>(cut.tokens.view()), cut.first, cut.loss(), cut.c_bar, cut.bar,
             cut.tokens_bar.view());
    CHECK(cut == whole);
  }
}

TEST_CASE("a shared sequence has the same bits on any number of processes", "[theorem]") {
  OneProcess alone;
  const std::vector<double> expected = shared_layer_run(alone);
  for (const Index size : {2, 3, 5, 7}) {
    std::vector<std::vector<double>> found(static_cast<std::size_t>(size));
    test::run_as_processes(
        size, [&](Processes& world) { found[static_cast<std::size_t>(world.rank())] = shared_layer_run(world); });
    CAPTURE(size);
    for (const auto& numbers : found) CHECK((numbers == expected));
  }
}

TEST_CASE("pieces of less than a window, and states within a window, are refused", "[misuse]") {
  OneProcess alone;
  const PaperLayer<> layer(2);
  CHECK(test::message_of([&] { SharedLayerPass<PaperLayer<>, double>(layer, 3, 4, alone); }) ==
        "SharedLayerPass: 3 windows in 4 pieces, expected pieces of at least a window, and as long as windows overlap");
  const SharedLayerPass<PaperLayer<>, double> pass(layer, 3, 1, alone);
  const auto c = layer.coefficients<double>();
  Array<double> tokens(2, 7), predictions(2, 3);
  auto state = layer.initial_state<double>();
  state.window.held = 1;
  CHECK(test::message_of([&] { pass.forward(c, View<const double>(tokens.view()), state, predictions.view()); }) ==
        "SharedLayerPass: the first state has read tokens of a window, expected none");
}

}  // namespace
}  // namespace gdssm
