// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/fast_weights.hpp"

#include <cmath>

#include <Eigen/Dense>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/algorithms/least_squares.hpp"
#include "gdssm/baselines/sequence_layer.hpp"

namespace gdssm {
namespace {

using test::applied;
using test::expect_model;
using test::random_matrix;
using PlainDelta = recurrences::DeltaRule<>;

static_assert(CausalLayer<LinearAttentionLayer> && CausalLayer<DeltaNetLayer<>> && CausalLayer<MesaLayer>);

TEST_CASE(
    "linear attention, DeltaNet and Mesa step as they go forward, anywhere, and pull back to weights, sequence "
    "and state",
    "[vjp][state]") {
  expect_model(linear_attention(4, 2, 3));
  expect_model(delta_net(4, 2, 3));
  expect_model(delta_net<PlainDelta>(4, 2, 3));
  expect_model(mesa_net(4, 3, 2));
}

TEST_CASE("linear attention sums the values of the pairs so far by products of keys and query", "[definition]") {
  const Index d = 4, T = 5;
  const auto layer = linear_attention(d, 2, 3);
  auto c = layer.coefficients<double>();
  test::Random(2).fill(c);
  c.recurrence.decay.fill(1);
  const Eigen::MatrixXd X = 3 * random_matrix(d, T, 1), Y = applied(layer, c, X, true);
  Eigen::MatrixXd W = Eigen::MatrixXd::Zero(3, 2);
  for (Index t = 0; t < T; ++t) {
    if (t + 1 < T) W += c.attention.value.matrix() * X.col(t) * (c.attention.key.matrix() * X.col(t)).transpose();
    CHECK((Y.col(t) + c.readout.C.matrix() * W * (c.gate.D.matrix() * X.col(t))).norm() < 1e-14);
  }
}

TEST_CASE("DeltaNet is the delta rule: the memory moves towards each value by the step, the query moves nothing",
          "[definition]") {
  const Index d = 4, T = 5;
  const Eigen::MatrixXd X = 3 * random_matrix(d, T, 1);
  const auto check = [&](const auto& layer, auto key_of) {
    auto c = layer.template coefficients<double>();
    test::Random(2).fill(c);
    const Eigen::MatrixXd Y = applied(layer, c, X, true);
    Eigen::MatrixXd W = Eigen::MatrixXd::Zero(3, 2);
    for (Index t = 0; t < T; ++t) {
      const Eigen::VectorXd h = X.col(t), k = key_of(c.attention.key.matrix() * h), v = c.attention.value.matrix() * h;
      const double beta = 1 / (1 + std::exp(-((c.attention.control.matrix() * h)(0) + c.recurrence.bias[0])));
      if (t + 1 < T) W += beta * (v - W * k) * k.transpose();
      CHECK((Y.col(t) + c.readout.C.matrix() * W * (c.gate.D.matrix() * h)).norm() < 1e-14);
    }
  };
  check(delta_net<PlainDelta>(d, 2, 3), [](const Eigen::VectorXd& k) { return k; });
  check(delta_net(d, 2, 3),
        [](const Eigen::VectorXd& k) { return Eigen::VectorXd(k / std::sqrt(k.squaredNorm() + 1e-6)); });
}

TEST_CASE("A unit key's value is what DeltaNet answers to that key from then on, once its step is one", "[theorem]") {
  const Index f = 3;
  const auto layer = delta_net(2 * f, f, f);
  auto c = layer.coefficients<double>();
  for (Index i = 0; i < f; ++i) {
    c.gate.D(i, i) = 1;
    c.attention.key(i, i) = 1e9;  // so that the millionth added to their squares is nothing
    c.attention.value(i, f + i) = 1;
    c.readout.C(f + i, i) = -1;
  }
  c.recurrence.bias[0] = 40;
  Eigen::MatrixXd X = random_matrix(2 * f, 4, 5);
  X.col(3).head(f) = X.col(2).head(f).normalized();
  CHECK((applied(layer, c, X, true).col(3).tail(f) - X.col(2).tail(f)).norm() < 1e-14);
}

TEST_CASE(
    "With plain keys and values that are inputs and targets DeltaNet's last prediction is that of Widrow and Hoff",
    "[theorem]") {
  const Index f = 3, N = 6;
  const Eigen::MatrixXd x = random_matrix(f, N + 1, 3), y = random_matrix(f, N, 4);
  const auto layer = delta_net<PlainDelta>(2 * f, f, f);
  auto c = layer.coefficients<double>();
  const double scale = 1.25, beta = 0.5;  // the step is beta scale^2
  for (Index i = 0; i < f; ++i) {
    c.gate.D(i, i) = c.attention.key(i, i) = c.attention.value(i, f + i) = scale;
    c.readout.C(f + i, i) = -1 / scale;
  }
  Eigen::MatrixXd X = Eigen::MatrixXd::Zero(2 * f, N + 1), W = Eigen::MatrixXd::Zero(f, f);
  X.topRows(f) = x;
  X.bottomLeftCorner(f, N) = y;
  for (Index t = 0; t < N; ++t) W -= beta * scale * scale * (W * x.col(t) - y.col(t)) * x.col(t).transpose();
  CHECK((applied(layer, c, X, true).col(N).tail(f) - W * x.col(N)).norm() < 1e-14);
}

TEST_CASE("the Mesa layer answers every query by regression on the pairs so far, itself included", "[definition]") {
  const Index d = 4, T = 5, r = 3;
  const auto layer = mesa_net(d, r, 2);
  auto c = layer.coefficients<double>();
  test::Random(2).fill(c);
  c.recurrence.decay.fill(1);
  const Eigen::MatrixXd X = 3 * random_matrix(d, T, 1), Y = applied(layer, c, X, true);
  Eigen::MatrixXd S = c.readout.log_ridge.matrix().array().exp().matrix().asDiagonal(), M = Eigen::MatrixXd::Zero(2, r);
  for (Index t = 0; t < T; ++t) {
    const Eigen::VectorXd h = X.col(t), k = c.attention.key.matrix() * h, v = c.attention.value.matrix() * h;
    if (t + 1 < T) {
      S += k * k.transpose();
      M += v * k.transpose();
    }
    CHECK((Y.col(t) + c.readout.C.matrix() * M * S.inverse() * (c.gate.D.matrix() * h)).norm() < 1e-13);
  }
}

TEST_CASE("With keys and values that are inputs and targets the Mesa layer is ridge regression", "[theorem]") {
  const Index f = 3, N = 5;
  const double rho = 0.3;
  const Eigen::MatrixXd x = random_matrix(f, N + 1, 3), y = random_matrix(f, N, 4);
  const auto layer = mesa_net(2 * f, f, f);
  auto p = layer.parameters<double>();
  for (Index i = 0; i < f; ++i) {
    p.gate.D(i, i) = p.attention.key(i, i) = p.attention.value(i, f + i) = 1;
    p.readout.C(f + i, i) = -1;
    p.readout.log_ridge[i] = std::log(rho);
  }
  Eigen::MatrixXd X = Eigen::MatrixXd::Zero(2 * f, N + 1);
  X.topRows(f) = x;
  X.bottomLeftCorner(f, N) = y;
  const Eigen::MatrixXd context = x.leftCols(N);
  const Eigen::MatrixXd S = context * context.transpose(), M = y * context.transpose();
  CHECK((applied(layer, layer.prepare(p), X, true).col(N).tail(f) - ridge_regression(S, M, rho) * x.col(N)).norm() <
        1e-14);
}

}  // namespace
}  // namespace gdssm
