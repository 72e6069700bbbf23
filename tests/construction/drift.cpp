// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/drift.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"

#include "gdssm/core/random.hpp"

namespace gdssm::test {
namespace {

const DriftingTask<> task{3, 0.1, uniform_inputs(1.0)};

/// The loss per output of the sum over the past, pair by pair, of a layer that reads a long stream.
template <class Discretization>
std::pair<double, double> sampled_loss(double step, double decay) {
  using Layer = PaperLayer<3, Discretization>;
  const Layer layer;
  const auto c = layer.prepare(discounted_step(layer, step, decay));
  auto state = layer.template initial_state<double>();
  auto ws = layer.template workspace<double>();
  RandomStream<> random(11);
  Eigen::Matrix3d W;
  Eigen::Vector3d x, y, prediction;
  const auto draw_map = [&] {
    for (double& w : W.reshaped()) w = random.normal();
  };
  draw_map();
  double sum = 0, squares = 0;
  const int blocks = 200, length = 1000;
  for (int block = -1; block < blocks; ++block) {
    double loss = 0;
    for (int t = 0; t < length; ++t) {
      if (random.uniform() < task.change) draw_map();
      for (double& entry : x) entry = random.uniform() - 0.5;
      y = W * x;
      using Token = View<const double, 3, 1>;
      if (layer.step(c, Token(x.data(), 3, 1), state, view_of(prediction), ws))
        loss += (prediction - y).squaredNorm() / 6 / length;
      layer.step(c, Token(y.data(), 3, 1), state, view_of(prediction), ws);
    }
    if (block < 0) continue;
    sum += loss / blocks;
    squares += loss * loss / blocks;
  }
  return {sum, std::sqrt((squares - sum * sum) / blocks)};
}

}  // namespace

TEMPLATE_TEST_CASE("A discounted layer on a drifting stream loses (9a), within four standard errors", "[theorem]",
                   ZeroOrderHold, Bilinear, GivenDecay) {
  for (const double decay : {0.5, best_decay(task)}) {
    const double step = best_step(task, decay);
    const auto [loss, error] = sampled_loss<TestType>(step, decay);
    const double expected = expected_loss(task, step, decay);
    CAPTURE(decay, loss, expected, error);
    CHECK(error < 0.01 * expected);
    CHECK(std::abs(loss - expected) < 4 * error);
  }
}

TEST_CASE("The best step and decay are minima of (9a)", "[theorem]") {
  for (const Index f : {1, 3, 50})
    for (const double p : {0.001, 0.1, 0.9}) {
      const DriftingTask<> drifting{f, p, uniform_inputs(2.0), 1.5};
      const double L = best_decay(drifting), a = best_step(drifting, L), least = expected_loss(drifting, a, L);
      CAPTURE(f, p, L, a);
      CHECK(L > 0);
      CHECK(L < 1 - p);
      for (const double factor : {0.99, 1.01}) {
        CHECK(expected_loss(drifting, factor * a, L) > least);
        const double other = L + 10 * (factor - 1) * (1 - L) * L;
        CHECK(expected_loss(drifting, best_step(drifting, other), other) > least);
      }
    }
}

TEST_CASE("A map that lives for one pair cannot be learned, and one that lives for ever is one endless context",
          "[theorem]") {
  const DriftingTask<> fleeting{4, 1, uniform_inputs(1.0)};
  CHECK(best_decay(fleeting) == 0);
  CHECK(best_step(fleeting, 0.0) == 0);
  // With little change and the decay 1 - 1/n, n pairs count.
  const DriftingTask<> lasting{4, 1e-9, uniform_inputs(1.0)};
  CHECK(best_decay(lasting) > 0.9999);
  CHECK(expected_loss(lasting, best_step(lasting, 0.99999), 0.99999) < 1e-4);
}

TEST_CASE("Drifts and decays outside their range are refused by name", "[misuse]") {
  CHECK_THROWS_WITH(best_decay(DriftingTask<>{4, 0, uniform_inputs(1.0)}),
                    "best_decay: the probability of a change is 0, expected above 0 and at most 1");
  CHECK_THROWS_WITH(expected_loss(task, 0.5, 1.0), "expected_loss: decay is 1, expected 0 <= decay < 1");
  CHECK_THROWS_WITH(best_step(task, std::nan("")), "best_step: decay is nan, expected 0 <= decay < 1");
  CHECK_THROWS_WITH(discounted_step(PaperLayer<>(3), 0.5, 0.0), "discounted_step: decay is 0, expected 0 < decay <= 1");
}

}  // namespace gdssm::test
