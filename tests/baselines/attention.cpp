// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/attention.hpp"

#include <cmath>
#include <vector>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"
#include "support/exact.hpp"

#include "gdssm/algorithms/gd_plus_plus.hpp"
#include "gdssm/baselines/attention_steps.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Pass;
using test::random_matrix;
using LinearContext = WholeContext<LinearAttentionLayer>;

static_assert(SequenceLayer<SoftmaxAttentionLayer> && !CausalLayer<SoftmaxAttentionLayer>);
static_assert(SequenceLayer<LinearContext> && !CausalLayer<LinearContext>);

TEST_CASE("attention on whole contexts pulls back to its maps and to the sequence", "[vjp]") {
  expect_vjp(Pass<SoftmaxAttentionLayer>{{1, 1, 1, 1}, 2, 2, 0, {1, 0}});
  expect_vjp(Pass<SoftmaxAttentionLayer>{{4, 2, 3, 4}, 4, 3, 0, {1, 1, 1, 0}});
  expect_vjp(Pass<SoftmaxAttentionLayer>{{4, 2, 3, 4}, 3, 3});
  expect_vjp(Pass<LinearContext>{{linear_attention(1, 1, 1), 1}, 2, 2, 0, {1, 0}});
  expect_vjp(Pass<LinearContext>{{linear_attention(4, 2, 3), 4}, 4, 4, 0, {1, 1, 1, 0}});
}

TEST_CASE("attention is the sum of values over the pairs, by products of keys and query or their softmax",
          "[definition]") {
  const Index d = 4, T = 5, N = T - 1;
  const Eigen::MatrixXd X = 3 * random_matrix(d, T, 1);
  const SoftmaxAttentionLayer softmax(d, 2, 3, N);
  auto c = softmax.coefficients<double>();
  test::Random(2).fill(c);
  const Eigen::MatrixXd Q = c.query.matrix() * X, K = (c.key.matrix() * X).leftCols(N),
                        V = (c.value.matrix() * X).leftCols(N), products = K.transpose() * Q;
  Eigen::MatrixXd weights = (products / std::sqrt(2.0)).array().exp().matrix();
  weights = (weights * weights.colwise().sum().cwiseInverse().asDiagonal()).eval();
  CHECK((test::applied(softmax, c, X, true) - c.output.matrix() * V * weights).norm() < 1e-14);

  const LinearContext linear(linear_attention(d, 2, 3), N);
  auto p = linear.parameters<double>();
  p.attention.key = c.key.matrix();
  p.attention.value = c.value.matrix();
  p.gate.D = c.query.matrix();
  p.readout.C = -c.output.matrix();
  CHECK((test::applied(linear, linear.prepare(p), X, true) - c.output.matrix() * V * products).norm() < 1e-14);
}

TEST_CASE("large products leave softmax attention finite", "[definition]") {
  const SoftmaxAttentionLayer layer(2, 2, 2, 2);
  auto c = layer.coefficients<double>();
  for (auto* const W : {&c.query, &c.key, &c.value, &c.output}) W->matrix().setIdentity();
  Eigen::MatrixXd X(2, 3);
  X << 100, -100, 100, 0, 1, 0;
  CHECK((test::applied(layer, c, X, true).col(2) - Eigen::Vector2d(100, 0)).norm() < 1e-12);
}

TEST_CASE("A layer of linear self-attention with (B7) is a step of gradient descent, and K layers are K steps",
          "[theorem]") {
  test::Engine engine(3);
  for (const Index K : {1, 2, 3}) {
    const test::ExactContext context(2, 2, 3, engine);
    const SelfAttentionStack model(PairInput(2), {linear_attention(4, 2, 4), 3}, K);
    std::vector<test::Rational> a, gamma;
    for (Index k = 0; k < K; ++k) {
      a.push_back(test::random_fraction(engine));
      gamma.push_back(test::random_fraction(engine));
    }
    const std::vector<test::Rational> none(a.size(), test::Rational(0));
    const test::ExactMatrix S = context.S(3), M = context.M(3), query = context.x.col(3);
    const auto descent = gd_plus_plus_steps<test::Rational>(model, a, none);
    CHECK(model.predict(descent, context.tokens()) ==
          predict_by_descent(S, M, query.col(0), StepSizes<test::Rational>(a)));
    const auto transformed = gd_plus_plus_steps<test::Rational>(model, a, gamma);
    CHECK(model.predict(transformed, context.tokens()) ==
          predict_by_gd_plus_plus(S, M, query.col(0), StepSizes<test::Rational>(a), StepSizes<test::Rational>(gamma)));
  }
}

TEST_CASE("steps refuse a model without room for them, and layers a context that is too long", "[misuse]") {
  const SelfAttentionStack model(PairInput(2), {linear_attention(4, 2, 3), 3}, 1);
  CHECK_THROWS_WITH(gd_plus_plus_steps(model, equal_steps(0.5, 1), equal_steps(0.0, 1)),
                    "gd_plus_plus_steps: width, keys and values have 4, 2 and 3 coordinates, expected at least 4, 2 "
                    "and 4");
  CHECK_THROWS_WITH(gd_plus_plus_steps(model, equal_steps(0.5, 2), equal_steps(0.0, 2)),
                    "gd_plus_plus_steps: the number of steps is 2, expected 1");
  const Eigen::MatrixXd X = random_matrix(2, 4, 1);
  const SoftmaxAttentionLayer softmax(2, 1, 1, 2);
  CHECK_THROWS_WITH(softmax.predict(softmax.parameters<double>(), X),
                    "ColumnLayer: the context has 4 columns, expected at most 3");
  const LinearContext linear(linear_attention(2, 1, 1), 2);
  CHECK_THROWS_WITH(test::applied(linear, linear.coefficients<double>(), X),
                    "WholeContext: the context has 4 columns, expected at most 3");
  CHECK_THROWS_WITH(SoftmaxAttentionLayer(3, 0, 2, 4),
                    "SoftmaxAttention: the number of keys' coordinates is 0, expected at least 1");
}

}  // namespace
}  // namespace gdssm
