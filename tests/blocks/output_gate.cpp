// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/output_gate.hpp"

#include <utility>

#include "blocks/prepare.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projection_gate.hpp"

namespace gdssm {
namespace {

using test::bundle;
using test::check_vjp;

/// Coefficients and windows side by side -> o of each.
template <class Gate>
struct Sequence {
  Gate gate;
  Index windows;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "windows"}, gate.template coefficients<T>(),
                  Array<T, Gate::features>(gate.feature_count(), Gate::width * windows));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, X] = in.parts;
    Array<T, Gate::rows> o(gate.row_count(), windows);
    auto ws = gate.template workspace<T>();
    gate.forward(c, X.view(), o.view(), ws);
    return bundle({"o"}, o);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, X] = in.parts;
    auto in_bar = input<T>();
    auto& [c_bar, X_bar] = in_bar.parts;
    auto ws = gate.template workspace<T>();
    gate.vjp(c, X.view(), std::get<0>(out_bar.parts).view(), c_bar, X_bar.view(), ws);
    return in_bar;
  }
};

template <class Gate>
void check_gate(const Gate& gate) {
  check_vjp(test::Prepare<Gate>{gate});
  check_vjp(Sequence<Gate>{gate, 1});
  check_vjp(Sequence<Gate>{gate, 3});
}

TEST_CASE("the output gate pulls back to d and to the window", "[vjp]") {
  check_gate(OutputGate<1, 3>());
  check_gate(OutputGate<2, 1>());
  check_gate(OutputGate<5, 5>());
  check_gate(OutputGate<>(3));
}

TEST_CASE("the preconditioned gate pulls back to d, to P and to the window", "[vjp]") {
  check_gate(PreconditionedGate<1>());
  check_gate(PreconditionedGate<3, 2>());
  check_gate(PreconditionedGate<>(3));
}

TEST_CASE("the projection gate pulls back to D and to the token", "[vjp]") {
  check_gate(ProjectionGate<1, 1>());
  check_gate(ProjectionGate<2, 5>());
  check_gate(ProjectionGate<>(3, 6));
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
  const View<const double> X = view_of(window);
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
  identity.plain = c;
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
