// SPDX-License-Identifier: Apache-2.0
// The selective SSM (S6), the gated linear RNN and the RG-LRU against their definitions.
#include <cmath>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/selective_ssm.hpp"

namespace gdssm {
namespace {

using test::random_matrix;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

Vector sigma(const Vector& z) { return (1 / (1 + (-z.array()).exp())).matrix(); }
Vector product(const Vector& a, const Vector& b) { return a.cwiseProduct(b); }
double softplus_of(double z) { return std::log(1 + std::exp(z)); }

TEST_CASE("The selective SSM is its recurrence, channel by channel", "[definition]") {
  const Index d = 3, m = 2, n = 4, T = 5;
  const SelectiveSsmLayer layer(d, m, n);
  auto c = layer.coefficients<double>();
  test::Random(2).fill(c);
  const Matrix X = 3 * random_matrix(d, T, 1), Y = test::applied(layer, c, X);
  Matrix s = Matrix::Zero(m, n);
  for (Index t = 0; t < T; ++t) {
    const Vector raw = c.input.matrix() * X.col(t), gate = c.gate.matrix() * X.col(t), u = product(raw, sigma(raw));
    const Vector step = c.step.matrix() * u + c.step_bias.matrix(), b = c.into.matrix() * u, o = c.out_of.matrix() * u;
    Vector y(m);
    for (Index i = 0; i < m; ++i) {
      const double Delta = softplus_of(step[i]);
      for (Index j = 0; j < n; ++j)
        s(i, j) = std::exp(-std::exp(c.log_decay(j, i)) * Delta) * s(i, j) + Delta * u[i] * b[j];
      y[i] = s.row(i).dot(o) + c.direct[i] * u[i];
    }
    CHECK((Y.col(t) - c.output.matrix() * product(y, product(gate, sigma(gate)))).norm() < 1e-14);
  }
}

TEST_CASE("The gated linear RNN is its recurrence between two products", "[definition]") {
  const Index d = 3, n = 4, T = 5;
  const GatedLinearRnnLayer layer(d, n, 2);
  auto p = layer.parameters<double>();
  test::Random(2).fill(p);
  const Matrix X = 3 * random_matrix(d, T, 1), Y = layer.predict(p, X);
  Vector s = Vector::Zero(n);
  for (Index t = 0; t < T; ++t) {
    const Vector h = X.col(t), lambda = (-p.decay.array().exp()).exp().matrix();
    s = product(lambda, s) + product(p.in_m * h + p.in_m_bias, p.in_x * h + p.in_x_bias);
    const Vector out = product(p.out_m * s + p.out_m_bias, p.out_x * s + p.out_x_bias);
    CHECK((Y.col(t) - p.output * out).norm() < 1e-13);
  }
}

TEST_CASE("Decays of exactly one and zero make the gated linear RNN linear self-attention: a step of gradient descent",
          "[theorem]") {
  const Index f = 2, N = 5;
  const double a = 0.7;
  const Matrix x = random_matrix(f, N + 1, 3), y = random_matrix(f, N, 4);
  Matrix X(3 * f, N);  // windows
  X.topRows(f) = x.leftCols(N);
  X.middleRows(f, f) = y;
  X.bottomRows(f) = x.rightCols(N);

  const GatedLinearRnnLayer layer(3 * f, f * f + f, f * f);
  auto c = layer.coefficients<double>();
  for (Index i = 0; i < f; ++i)
    for (Index j = 0; j < f; ++j) {
      const Index k = i + j * f;  // keeps y_i x_j, and multiplies it by the query's entry j
      c.in_m(k, f + i) = c.in_x(k, j) = c.decay[k] = 1;
      c.out_m(k, k) = c.out_x(k, f * f + j) = 1;
      c.output(f + i, k) = a;
    }
  for (Index j = 0; j < f; ++j) {
    c.in_m(f * f + j, 2 * f + j) = 1;
    c.in_x_bias[f * f + j] = 1;
  }
  const Matrix Y = test::applied(layer, c, X);
  for (Index t = 1; t <= N; ++t) {
    const Matrix M = y.leftCols(t) * x.leftCols(t).transpose();
    CHECK((Y.col(t - 1).segment(f, f) - a * M * x.col(t)).norm() < 1e-14);
  }
}

TEST_CASE("The RG-LRU block is its recurrence with a token's own decay, times a branch", "[definition]") {
  const Index d = 3, n = 2, T = 5;
  const RgLruLayer layer(d, n);
  auto c = layer.coefficients<double>();
  test::Random(2).fill(c);
  const Matrix X = 3 * random_matrix(d, T, 1), Y = test::applied(layer, c, X);
  Vector s = Vector::Zero(n);
  for (Index t = 0; t < T; ++t) {
    const Vector u = c.input.matrix() * X.col(t) + c.input_bias.matrix(),
                 g = c.branch.matrix() * X.col(t) + c.branch_bias.matrix(),
                 r = sigma(c.recurrence_gate.matrix() * u + c.recurrence_gate_bias.matrix()),
                 in = sigma(c.input_gate.matrix() * u + c.input_gate_bias.matrix());
    Vector out(n);
    for (Index j = 0; j < n; ++j) {
      const double decay = std::exp(-8 * softplus_of(c.decay[j]) * r[j]);
      s[j] = decay * s[j] + std::sqrt(1 - decay * decay + 1e-6) * in[j] * u[j];
      out[j] = g[j] / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (g[j] + 0.044715 * std::pow(g[j], 3)))) * s[j];
    }
    CHECK((Y.col(t) - c.output.matrix() * out).norm() < 1e-14);
  }
}

TEST_CASE("selective SSM, gated linear RNN and RG-LRU begin with the decays of their papers", "[definition]") {
  RandomStream<> stream(4);
  const SelectiveSsmLayer selective(8, 16, 4);
  auto p = selective.parameters<double>();
  selective.draw(p, stream);
  for (Index i = 0; i < 16; ++i) {
    CHECK(softplus_of(p.step_bias(i)) > 0.000999);
    CHECK(softplus_of(p.step_bias(i)) < 0.1001);
    for (Index j = 0; j < 4; ++j) CHECK(std::exp(p.log_decay(j, i)) == Approx(double(j + 1)));
  }
  const GatedLinearRnnLayer gated(8, 16, 4);
  auto q = gated.parameters<double>();
  gated.draw(q, stream);
  const RgLruLayer lru(8, 16);
  auto r = lru.parameters<double>();
  lru.draw(r, stream);
  for (Index i = 0; i < 16; ++i)
    for (const double decay : {std::exp(-std::exp(q.decay(i))), std::exp(-8 * softplus_of(r.decay(i)))}) {
      CHECK(decay > 0.8999);
      CHECK(decay < 0.9991);
    }
}

}  // namespace
}  // namespace gdssm
