// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/drift.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"

#include "gdssm/core/random.hpp"
#include "gdssm/tasks/drifting_regression.hpp"
#include "support/rational.hpp"

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

/// The sign of L* - L, exactly: (9b) is the root below 1 of (c - 1) r (1 - L)^2 = p (c p + 2 r) L.
int side_of_best_decay(const Rational& p, const Rational& c, const Rational& L) {
  const Rational r = Rational(1) - p, one = Rational(1);
  const Rational above = (c - one) * r * (one - L) * (one - L), below = p * (c * p + Rational(2) * r) * L;
  return above > below ? 1 : above < below ? -1 : 0;
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

TEMPLATE_TEST_CASE("The best decay is that of (9b) to four units in the last place, however seldom the map changes",
                   "[theorem]", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  for (const Index f : {1, 3, 50})
    for (const T p : {T(1), T(0.9), T(0.3), T(0.01), T(1e-3), T(1e-5), T(1e-7), Limits::epsilon(),
                      Limits::epsilon() / 8, T(1e-30), Limits::min(), Limits::denorm_min()}) {
      const T fourth = T(7) / T(4);
      const T L = best_decay(DriftingTask<T>{f, p, {T(1), fourth}});
      CAPTURE(f, p, L);
      CHECK(L >= 0);
      CHECK(L < 1);
      T lower = L, upper = L;
      for (int i = 0; i < 4; ++i) {
        lower = std::nextafter(lower, T(-1));
        upper = std::nextafter(upper, T(1));
      }
      const Rational c = Rational(fourth) + Rational(f - 1);
      CHECK(side_of_best_decay(Rational(p), c, Rational(lower)) >= 0);
      CHECK(side_of_best_decay(Rational(p), c, Rational(upper)) <= 0);
    }
}

TEST_CASE("A context that drifts loses (9c), within four standard errors", "[theorem]") {
  const DriftingContext<> context{3, 8, 0.15, uniform_inputs(1.0), 2.25};
  DriftingRegression tasks{{.features = 3, .outputs = 3, .context = 8, .weight_scale = 1.5}, 0.15};
  std::vector<double> uneven(8);
  for (std::size_t k = 0; k < 8; ++k) uneven[k] = k % 2 == 0 ? 1.5 : -0.25;
  for (const std::vector<double>& weights : {best_weights(context), uneven}) {
    double sum = 0, squares = 0;
    const int count = 40000;
    for (int i = 0; i < count; ++i) {
      const auto [tokens, targets] = tasks.sequence(4, static_cast<std::uint64_t>(i));
      Eigen::Vector3d answer = Eigen::Vector3d::Zero();
      for (Index k = 0; k < 8; ++k) {
        const Index t = 7 - k;
        answer += weights[static_cast<std::size_t>(k)] * tokens.col(2 * t + 1) * tokens.col(2 * t).dot(tokens.col(16));
      }
      const double loss = (answer - targets.col(0)).squaredNorm() / 6;
      sum += loss / count;
      squares += loss * loss / count;
    }
    const double error = std::sqrt((squares - sum * sum) / count);
    CAPTURE(sum, error);
    CHECK(std::abs(sum - expected_loss(context, weights)) < 4 * error);
  }
}

TEST_CASE("(9c) is (9) where nothing drifts, and tends to (9a) as the context grows", "[theorem]") {
  using test::Rational;
  const DriftingContext<Rational> still{3, 7, 0, uniform_inputs<Rational>(2), Rational(3) / Rational(2)};
  const Rational a = Rational(2) / Rational(7);
  const LinearTask<Rational> task_of{
      .features = 3, .context = 7, .inputs = uniform_inputs<Rational>(2), .weight_variance = Rational(3) / Rational(2)};
  CHECK(expected_loss(still, std::vector<Rational>(7, a)) == expected_loss(task_of, a));
  CHECK(expected_loss(still, a, Rational(1)) == expected_loss(task_of, a));
  CHECK(best_step(still, Rational(1)) == best_step(task_of));

  const DriftingContext<> longer{3, 400, 0.1, uniform_inputs(1.0)};
  const double L = best_decay(task), step = best_step(task, L);
  CHECK(std::abs(best_decay(longer) - L) < 2e-8);
  CHECK(std::abs(expected_loss(longer, step, L) - expected_loss(task, step, L)) < 1e-15);
}

TEST_CASE(
    "The best weights lose least of all, the best decay least of all decays, and below 1 wherever the map may change",
    "[theorem]") {
  for (const Index N : {2, 10, 40})
    for (const double p : {0.001, 0.1, 0.7}) {
      const DriftingContext<> context{5, N, p, normal_inputs(0.5)};
      const double L = best_decay(context), least = expected_loss(context, best_step(context, L), L);
      CAPTURE(N, p, L);
      CHECK(L < 1);
      for (int i = 0; i <= 100; ++i) {
        const double other = i / 100.0;
        CHECK(expected_loss(context, best_step(context, other), other) > least - 1e-12);
      }
      std::vector<double> weights = best_weights(context);
      const double bound = expected_loss(context, weights);
      CHECK(bound <= least + 1e-12);
      for (double& w : weights) {
        w += 0.01;
        CHECK(expected_loss(context, weights) > bound);
        w -= 0.01;
      }
    }
  CHECK(best_decay(DriftingContext<>{5, 10, 0, uniform_inputs(1.0)}) == 1);
  CHECK(best_decay(DriftingContext<>{5, 10, 1, uniform_inputs(1.0)}) == 0);
}

TEST_CASE("Drifts and decays outside their range are refused by name", "[misuse]") {
  CHECK_THROWS_WITH(best_decay(DriftingTask<>{4, 0, uniform_inputs(1.0)}),
                    "best_decay: the probability of a change is 0, expected above 0 and at most 1");
  CHECK_THROWS_WITH(expected_loss(task, 0.5, 1.0), "expected_loss: decay is 1, expected 0 <= decay < 1");
  CHECK_THROWS_WITH(best_step(task, std::nan("")), "best_step: decay is nan, expected 0 <= decay < 1");
  const DriftingContext<> context{4, 3, 0.5, uniform_inputs(1.0)};
  CHECK_THROWS_WITH(best_weights(DriftingContext<>{4, 3, 2, uniform_inputs(1.0)}),
                    "best_weights: the probability of a change is 2, expected 0 to 1");
  CHECK_THROWS_WITH(best_decay(DriftingContext<>{4, 0, 0.5, uniform_inputs(1.0)}),
                    "best_decay: context is 0, expected at least 1");
  CHECK_THROWS_WITH(expected_loss(context, std::vector<double>(2)),
                    "expected_loss: the number of weights is 2, expected 3");
  CHECK_THROWS_WITH(best_step(context, 1.5), "best_step: decay is 1.5, expected 0 <= decay <= 1");
  CHECK_THROWS_WITH(discounted_step(PaperLayer<>(3), 0.5, 0.0), "discounted_step: decay is 0, expected 0 < decay <= 1");
}

}  // namespace gdssm::test
