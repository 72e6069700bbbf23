// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/s5.hpp"

#include <cmath>
#include <complex>
#include <utility>
#include <vector>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using test::random_matrix;

static_assert(CausalLayer<S5Layer>);

S5Layer::Parameters<double> random_parameters(const S5Layer& layer, std::uint64_t seed) {
  auto p = layer.parameters<double>();
  layer.draw(p, seed);
  test::Random(seed).fill(p.gate_bias);
  return p;
}

TEST_CASE("S5 steps as it goes forward, anywhere", "[state]") {
  test::expect_stream<double>(S5Layer(3, 2));
  test::expect_stream<Lanes<float>>(S5Layer(3, 2));
}

TEST_CASE("S5 pulls back to its weights, the sequence and the state, away from Lambda = 0 where it is not defined",
          "[vjp]") {
  for (const S5Layer layer : {S5Layer(1, 1), S5Layer(3, 2)}) {
    const test::Pass<S5Layer> pass{layer, 3, 2, 0, {1, 0, 1}};
    auto point = pass.input<double>();
    test::Random(3).fill(point);
    auto& p = std::get<0>(point.parts);
    p.Lambda_re.array() -= 1;
    p.Lambda_im.array() += 2;
    test::expect_vjp_at(pass, point);
  }
}

using Vector = Eigen::VectorXcd;

/// S5's definition in std::complex with both states of every conjugate pair: the states of a sequence, and the output.
struct Reference {
  std::vector<Vector> decays, inputs, states;
  Eigen::MatrixXd output;

  Reference(const S5Layer::Parameters<double>& p, const Eigen::MatrixXd& U) : output(U.rows(), U.cols()) {
    const Index n = p.Lambda_re.size();
    Vector Lambda(2 * n), L(2 * n), scale(2 * n);
    Eigen::MatrixXcd B(2 * n, U.rows()), C(U.rows(), 2 * n);
    Lambda.head(n).real() = p.Lambda_re;
    Lambda.head(n).imag() = p.Lambda_im;
    B.topRows(n).real() = p.B_re;
    B.topRows(n).imag() = p.B_im;
    C.leftCols(n).real() = p.C_re;
    C.leftCols(n).imag() = p.C_im;
    Lambda.tail(n) = Lambda.head(n).conjugate();
    B.bottomRows(n) = B.topRows(n).conjugate();
    C.rightCols(n) = C.leftCols(n).conjugate();
    for (Index j = 0; j < 2 * n; ++j) {
      L[j] = std::exp(Lambda[j] * std::exp(p.log_step(j % n)));
      scale[j] = (L[j] - 1.0) / Lambda[j];
    }
    Vector x = Vector::Zero(2 * n);
    for (Index t = 0; t < U.cols(); ++t) {
      decays.push_back(L);
      inputs.push_back(scale.cwiseProduct(B * U.col(t)));
      x = (L.array() * x.array()).matrix() + inputs.back();
      states.push_back(x);
      const Vector y = C * x + p.D.cwiseProduct(U.col(t));
      CHECK(y.imag().norm() < 1e-13);
      const Eigen::ArrayXd real = y.real().array();
      const Eigen::ArrayXd bent = real / 2 * (1 + (std::sqrt(2 / M_PI) * (real + 0.044715 * real.cube())).tanh());
      const Eigen::ArrayXd gate = (p.gate * bent.matrix() + p.gate_bias).array();
      output.col(t) = (real / (1 + (-gate).exp())).matrix();
    }
  }
};

TEST_CASE("S5 is its definition in complex numbers with both of each conjugate pair", "[definition]") {
  const S5Layer layer(3, 4);
  const auto p = random_parameters(layer, 7);
  const auto c = layer.prepare(p);
  const Eigen::MatrixXd U = 2 * random_matrix(3, 6, 1);
  CHECK((test::applied(layer, c, U) - Reference(p, U).output).norm() < 1e-13);
}

TEST_CASE("S5's recurrence leaves the states that its associative scan does, in whatever order the scan combines",
          "[theorem]") {
  const S5Layer layer(3, 2);
  const auto p = random_parameters(layer, 8);
  const auto c = layer.prepare(p);
  const Index T = 7;
  const Eigen::MatrixXd U = random_matrix(3, T, 2);
  Array<double> X(3, T), Y = X;
  X.matrix() = U;
  auto state = layer.initial_state<double>();
  auto history = layer.history<double>(T);
  layer.columns(c, std::as_const(X).view(), static_cast<const double*>(nullptr), state, Y.view(), history);

  // Inclusive scan by doubling, over (a, b) with (a2, b2) after (a1, b1) = (a2 a1, a2 b1 + b2).
  const Reference reference(p, U);
  auto a = reference.decays, b = reference.inputs;
  for (std::size_t reach = 1; reach < b.size(); reach *= 2)
    for (std::size_t t = b.size() - 1; t >= reach; --t) {
      b[t] += a[t].cwiseProduct(b[t - reach]);
      a[t] = a[t].cwiseProduct(a[t - reach]).eval();
    }
  for (Index t = 0; t < T; ++t)
    for (Index j = 0; j < 2; ++j) {
      const std::complex<double> x(history.states(j, t).re, history.states(j, t).im);
      CHECK(std::abs(x - b[static_cast<std::size_t>(t)][j]) < 1e-14);
    }
}

TEST_CASE("The spectrum of HiPPO-LegS puts the matrix together again, with real parts of one half below zero",
          "[theorem]") {
  const Index n = 8;
  const auto [Lambda, V] = hippo_spectrum(n);
  Eigen::MatrixXd A = Eigen::MatrixXd::Zero(n, n);
  Eigen::VectorXd P(n);
  for (Index i = 0; i < n; ++i) {
    P[i] = std::sqrt(static_cast<double>(i) + 0.5);
    A(i, i) = -static_cast<double>(i + 1);
    for (Index k = 0; k < i; ++k) A(i, k) = -std::sqrt(static_cast<double>((2 * i + 1) * (2 * k + 1)));
  }
  const Eigen::MatrixXcd half = V * Lambda.asDiagonal() * V.adjoint();
  CHECK((2 * half.real() - P * P.transpose() - A).norm() < 1e-12);
  CHECK((V.adjoint() * V - Eigen::MatrixXcd::Identity(n / 2, n / 2)).norm() < 1e-13);
  for (Index j = 0; j < n / 2; ++j) {
    CHECK(Lambda[j].real() == -0.5);
    CHECK(Lambda[j].imag() > (j > 0 ? Lambda[j - 1].imag() : 0.0));
  }
  CHECK_THROWS_WITH(hippo_spectrum(3), "hippo_spectrum: the size is 3, expected an even number above 0");
}

}  // namespace
}  // namespace gdssm
