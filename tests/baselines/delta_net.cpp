// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/delta_net.hpp"

#include <cmath>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::LayerCase;
using test::random_matrix;

static_assert(SequenceLayer<DeltaNetLayer<UnitKeys>> && SequenceLayer<DeltaNetLayer<PlainKeys>>);

TEST_CASE("DeltaNet pulls back to its maps, its step and the sequence", "[vjp]") {
  expect_vjp(LayerCase<DeltaNetLayer<UnitKeys>>{{1, 1, 1}, 2});
  expect_vjp(LayerCase<DeltaNetLayer<UnitKeys>>{{4, 2, 3}, 4});
  expect_vjp(LayerCase<DeltaNetLayer<PlainKeys>>{{4, 2, 3}, 4});
}

TEST_CASE("DeltaNet is the delta rule: the memory moves towards each value by the step, the query moves nothing",
          "[definition]") {
  const Index d = 4, T = 5;
  const Eigen::MatrixXd X = 3 * random_matrix(d, T, 1);
  const auto check = [&](const auto& layer, auto key_of) {
    auto c = layer.template coefficients<double>();
    test::Random(2).fill(c);
    const Eigen::MatrixXd Y = test::applied(layer, c, X);
    Eigen::MatrixXd W = Eigen::MatrixXd::Zero(3, 2);
    for (Index t = 0; t < T; ++t) {
      const Eigen::VectorXd h = X.col(t), k = key_of(c.maps.key.matrix() * h), v = c.maps.value.matrix() * h;
      const double beta = 1 / (1 + std::exp(-(c.rate.matrix() * h + c.rate_bias.matrix())(0)));
      if (t + 1 < T) W += beta * (v - W * k) * k.transpose();
      CHECK((Y.col(t) - c.maps.output.matrix() * W * (c.maps.query.matrix() * h)).norm() < 1e-14);
    }
  };
  check(DeltaNetLayer<PlainKeys>(d, 2, 3), [](const Eigen::VectorXd& k) { return k; });
  check(DeltaNetLayer<UnitKeys>(d, 2, 3),
        [](const Eigen::VectorXd& k) { return Eigen::VectorXd(k / std::sqrt(k.squaredNorm() + 1e-6)); });
}

TEST_CASE("A unit key's value is what DeltaNet answers to that key from then on, once its step is one", "[theorem]") {
  const Index f = 3;
  const DeltaNetLayer<UnitKeys> layer(2 * f, f, f);
  auto c = layer.coefficients<double>();
  for (Index i = 0; i < f; ++i) {
    c.maps.query(i, i) = 1;
    c.maps.key(i, i) = 1e9;  // so that the millionth added to their squares is nothing
    c.maps.value(i, f + i) = c.maps.output(f + i, i) = 1;
  }
  c.rate_bias[0] = 40;
  Eigen::MatrixXd X = random_matrix(2 * f, 4, 5);
  X.col(3).head(f) = X.col(2).head(f).normalized();
  CHECK((test::applied(layer, c, X).col(3).tail(f) - X.col(2).tail(f)).norm() < 1e-14);
}

TEST_CASE(
    "With plain keys and values that are inputs and targets DeltaNet's last prediction is that of Widrow and Hoff",
    "[theorem]") {
  const Index f = 3, N = 6;
  const Eigen::MatrixXd x = random_matrix(f, N + 1, 3), y = random_matrix(f, N, 4);
  const DeltaNetLayer<PlainKeys> layer(2 * f, f, f);
  auto c = layer.coefficients<double>();
  const double scale = 1.25, beta = 0.5;  // the step is beta scale^2
  for (Index i = 0; i < f; ++i) {
    c.maps.query(i, i) = c.maps.key(i, i) = c.maps.value(i, f + i) = scale;
    c.maps.output(f + i, i) = 1 / scale;
  }
  Eigen::MatrixXd X = Eigen::MatrixXd::Zero(2 * f, N + 1), W = Eigen::MatrixXd::Zero(f, f);
  X.topRows(f) = x;
  X.bottomLeftCorner(f, N) = y;
  for (Index t = 0; t < N; ++t) W -= beta * scale * scale * (W * x.col(t) - y.col(t)) * x.col(t).transpose();
  CHECK((test::applied(layer, c, X).col(N).tail(f) - W * x.col(N)).norm() < 1e-14);
}

}  // namespace
}  // namespace gdssm
