// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/output_gate.hpp"

#include <utility>

#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;

TEST_CASE("the output gate pulls back to d and to the window", "[vjp]") {
  expect_vjp(OutputGate<1, 3>());
  expect_vjp(OutputGate<2, 1>());
  expect_vjp(OutputGate<5, 5>());
  expect_vjp(OutputGate<>(3));
}

TEST_CASE("the preconditioned gate pulls back to d, to P and to the window", "[vjp]") {
  expect_vjp(PreconditionedGate<1>());
  expect_vjp(PreconditionedGate<3, 2>());
  expect_vjp(PreconditionedGate<>(3));
}

TEST_CASE("the projection gate pulls back to D and to the token", "[vjp]") {
  expect_vjp(ProjectionGate<1, 1>());
  expect_vjp(ProjectionGate<2, 5>());
  expect_vjp(ProjectionGate<>(3, 6));
}

/// o of one window with random weights, and those weights.
template <class Gate>
auto gated(const Gate& gate, const Eigen::MatrixXd& window) {
  test::Random random(3);
  auto p = gate.template parameters<double>();
  random.fill(p);
  auto c = gate.template coefficients<double>();
  gate.prepare(p, c);
  auto ws = gate.template workspace<double>();
  Eigen::VectorXd o(gate.row_count());
  const View<const double, Gate::features, Gate::width> X(view_of(window));
  gate.template step<double, double>(c, X, view_of(o), ws);
  return std::pair(p, o);
}

TEST_CASE("gates are what they are defined to be", "[definition]") {
  const Eigen::MatrixXd window = Eigen::MatrixXd::Random(4, 3);
  {
    const auto [p, o] = gated(OutputGate<4>(), window);  // o = X^T d
    CHECK((o - window * p.d).norm() < 1e-15);
  }
  {
    const auto [p, o] = gated(PreconditionedGate<>(4), window);  // o = P X^T d
    CHECK((o - p.P * window * p.d).norm() < 1e-15);
  }
  {
    const auto [p, o] = gated(ProjectionGate<2, 4>(), window.col(0));  // o = D c
    CHECK((o - p.D * window.col(0)).norm() < 1e-15);
  }
}

TEST_CASE("a preconditioned gate with P = I is the plain gate, bit for bit", "[definition]") {
  test::Random random(4);
  const OutputGate<3> plain;
  const PreconditionedGate<3> preconditioned;
  auto c = plain.coefficients<float>();
  random.fill(c);
  auto identity = preconditioned.coefficients<float>();
  identity.d = c.d;
  identity.P.matrix().setIdentity();
  Array<float, 3, 3> window;
  random.fill(window);
  Array<float, 3, 1> a, b;
  auto plain_ws = plain.workspace<float>();
  auto preconditioned_ws = preconditioned.workspace<float>();
  plain.step(c, std::as_const(window).view(), a.view(), plain_ws);
  preconditioned.step(identity, std::as_const(window).view(), b.view(), preconditioned_ws);
  CHECK(a == b);
}

TEST_CASE("a gate whose window's cotangent is not wanted gives its own", "[vjp]") {
  test::Random random(5);
  const OutputGate<3> gate;
  auto c = gate.coefficients<double>(), with = c, without = c;
  Array<double, 3, 3> X, X_bar;
  Array<double, 3, 1> o_bar;
  random.fill(c);
  random.fill(X);
  random.fill(o_bar);
  auto ws = gate.workspace<double>();
  const View<const double, 3, 3> window = X.view();
  const View<const double, 3, 1> g = o_bar.view();
  gate.step_vjp(c, window, g, with, X_bar.view(), ws);
  gate.step_vjp(c, window, g, without, View<double, 3, 3>::absent(), ws);
  CHECK(with.d == without.d);
}

}  // namespace
}  // namespace gdssm
