// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/online_gradient.hpp"

#include <cmath>

#include "support/catch.hpp"

#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm {

TEST_CASE(
    "The gradient by (12) and (13), with no pass back, is that by stored "
    "history",
    "[vjp]") {
  for (const Index f : {1, 2, 5}) {
    const PaperLayer<> layer(f);
    const OnlineGradient<PaperLayer<>> online(layer);
    auto p = reference_initialization<double>(layer, 3);
    p.recurrence.log_step.setConstant(-1);  // decays far from 1
    const auto c = layer.prepare(p);
    const Index n = 7;
    const TokenSequence sequence = LinearRegression{.features = f, .outputs = f, .context = n}.sequence(1, 2, n);
    const Eigen::MatrixXd &tokens = sequence.tokens, &targets = sequence.targets;

    auto state = online.initial_state<double>();
    auto ws = online.workspace<double>();
    auto c_bar = layer.coefficients<double>();
    Array<double, Dynamic, 1> prediction(f, 1), g(f, 1);
    Index t = 0;
    for (Index k = 0; k < tokens.cols(); ++k) {
      if (!online.step(c, View<const double, Dynamic, 1>(view_of(tokens).column(k)), state, prediction.view(), ws))
        continue;
      for (Index i = 0; i < f; ++i) g[i] = prediction[i] - targets(i, t);
      ++t;
      online.pull(c, state, View<const double, Dynamic, 1>(g.view()), c_bar, ws);
    }
    CHECK(t == n);

    auto expected = layer.coefficients<double>();
    auto stored = layer.initial_state<double>();
    auto gradient_ws = layer.gradient_workspace<double, StoredHistory>(n, n);
    layer.vjp(
        c, Sequence<double>{view_of(tokens)}, stored, n,
        [&](Index j, View<const double, Dynamic, 1> yhat, View<double, Dynamic, 1> yhat_bar) {
          for (Index i = 0; i < f; ++i) yhat_bar[i] = yhat[i] - targets(i, j);
        },
        expected, gradient_ws);
    CHECK(state.layer == stored);
    visit(
        [&](const Name& name, const auto& ours, const auto& theirs) {
          CAPTURE(f, name.str());
          double scale = 0, error = 0;
          for (Index i = 0; i < ours.size(); ++i) {
            scale = std::max(scale, std::abs(theirs[i]));
            error = std::max(error, std::abs(ours[i] - theirs[i]));
          }
          CHECK(scale > 0);
          CHECK(error <= 1e-13 * scale);
        },
        c_bar, expected);
  }
}

}  // namespace gdssm
