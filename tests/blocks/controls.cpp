// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <utility>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/gated_local_attention.hpp"
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/output_gate.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"

namespace gdssm {
namespace {

constexpr Index f = 4;
const Eigen::MatrixXd window = Eigen::MatrixXd::Random(f, 3);  // X^T

/// G = left right^T of the window with random weights, and those weights.
template <class Block>
auto absorbed(const Block& block) {
  test::Random random(7);
  auto p = block.template parameters<double>();
  random.fill(p);
  auto c = block.template coefficients<double>();
  block.prepare(p, c);
  auto ws = block.template workspace<double>();
  const auto G = block.step(c, View<const double, Block::Window::size, 3>(window.data(), f, 3), ws);
  const Eigen::Map<const Eigen::MatrixXd> left(G.left.data(), G.left.rows(), 3), right(G.right.data(), f, 3);
  return std::pair(p, Eigen::MatrixXd(left * right.transpose()));
}

TEST_CASE("control blocks pull back", "[vjp]") {
  using test::expect_vjp;
  expect_vjp(LinearInput<2>());
  expect_vjp(SoftmaxLocalAttention<2>());
  expect_vjp(GatedLocalAttention<2>());
  expect_vjp(ProjectedAttention<3, 2>());
  expect_vjp(CommonDecay<2, 3>());
  expect_vjp(UnitDecay<2, 3>());
  expect_vjp(DiagonalReadout<3>());
  expect_vjp(TiedReadout<3>());
  expect_vjp(ConstantGate<2>());
}

TEST_CASE("inputs of the controls are what they are defined to be", "[definition]") {
  {
    const auto [p, G] = absorbed(LinearInput<f>());  // (1a)
    CHECK((G - window * p.B).norm() < 1e-14);
  }
  {
    const auto [p, G] = absorbed(SoftmaxLocalAttention<>(f));  // (1b)
    Eigen::MatrixXd P = (p.B + p.k[0] * window.transpose() * window).array().exp();
    P.array().colwise() /= P.rowwise().sum().array().eval();
    CHECK((G - window * p.v.asDiagonal() * P * window.transpose()).norm() < 1e-14);
  }
  {
    const auto [p, G] = absorbed(GatedLocalAttention<>(f));  // (1c)
    CHECK((G - (window * p.d).asDiagonal() * window * p.A * window.transpose()).norm() < 1e-14);
  }
  {
    const auto [p, G] = absorbed(ProjectedAttention<>(f, 2));  // (1d)
    CHECK((G - p.U * window * p.A * window.transpose()).norm() < 1e-14);
  }
}

TEST_CASE("softmax attention with one score far above the others is linear attention of rank one", "[definition]") {
  const SoftmaxLocalAttention<> softmax(f);
  auto p = softmax.parameters<double>();
  p.B(0, 1) = 800;
  p.v[0] = 1;
  auto c = softmax.coefficients<double>();
  softmax.prepare(p, c);
  auto ws = softmax.workspace<double>();
  const auto G = softmax.step(c, View<const double, Dynamic, 3>(window.data(), f, 3), ws);
  for (Index j = 0; j < f; ++j) {
    CHECK(G.right(j, 0) == window(j, 1));
    CHECK(G.right(j, 1) == 0);
    CHECK(G.right(j, 2) == 0);
  }
}

TEST_CASE("one decay for all entries is the diagonal recurrence with equal parameters, and none is the decay 1",
          "[definition]") {
  const DiagonalRecurrence<> diagonal(2, 3);
  auto p = diagonal.parameters<double>();
  p.Lambda.setConstant(-0.7);
  p.log_step.setConstant(-1.2);
  auto expected = diagonal.coefficients<double>();
  diagonal.prepare(p, expected);

  const CommonDecay<> common(2, 3);
  auto q = common.parameters<double>();
  q.Lambda[0] = -0.7;
  q.log_step[0] = -1.2;
  auto c = common.coefficients<double>();
  common.prepare(q, c);
  CHECK(c.decay == expected.decay);

  UnitDecay<>(2, 3).prepare({}, c);
  for (Index e = 0; e < c.decay.size(); ++e) CHECK(c.decay[e] == 1);
}

TEST_CASE("a diagonal readout is the readout with a diagonal C, and a tied one with a multiple of I", "[definition]") {
  const DiagonalReadout<> diagonal(3);
  auto p = diagonal.parameters<double>();
  p.c << 1, -2, 3;
  auto c = diagonal.coefficients<double>();
  diagonal.prepare(p, c);
  CHECK(c.C.matrix() == p.c.asDiagonal().toDenseMatrix());

  const TiedReadout<> tied(3);
  auto q = tied.parameters<double>();
  q.c[0] = -0.5;
  tied.prepare(q, c);
  CHECK(c.C.matrix() == -0.5 * Eigen::Matrix3d::Identity());
}

TEST_CASE("a constant gate answers every window alike, a preconditioned one with fewer rows projects", "[definition]") {
  test::Random random(9);
  const ConstantGate<> constant(2, f);
  auto c = constant.coefficients<double>();
  random.fill(c);
  auto ws = constant.workspace<double>();
  Eigen::VectorXd o(2);
  constant.step<double, double>(c, View<const double, Dynamic, 3>(window.data(), f, 3), view_of(o), ws);
  CHECK(o == c.d.matrix());

  const PreconditionedGate<Dynamic, 3, Dynamic> projecting(f, 2);
  auto q = projecting.coefficients<double>();
  random.fill(q);
  auto scratch = projecting.workspace<double>();
  projecting.step<double, double>(q, View<const double, Dynamic, 3>(window.data(), f, 3), view_of(o), scratch);
  CHECK((o - q.P.matrix() * window * q.d.matrix()).norm() < 1e-15);
}

TEST_CASE("sizes that controls can't have are refused by name", "[misuse]") {
  CHECK_THROWS_WITH(ProjectedAttention<>(3, 0), "ProjectedAttention: the number of rows is 0, expected at least 1");
  CHECK_THROWS_WITH((ProjectedAttention<3, 2>(3, 1)), "ProjectedAttention: the number of rows is 1, expected 2");
  CHECK_THROWS_WITH(LinearInput<3>(2), "LinearInput: the number of features is 2, expected 3");
  CHECK_THROWS_WITH(SoftmaxLocalAttention<3>(2), "SoftmaxLocalAttention: the number of features is 2, expected 3");
  CHECK_THROWS_WITH(GatedLocalAttention<3>(2), "GatedLocalAttention: the number of features is 2, expected 3");
  CHECK_THROWS_WITH(ConstantGate<>(0), "ConstantGate: rows and features are 0 and 0, expected at least 1");
  CHECK_THROWS_WITH((PreconditionedGate<Dynamic, 3, Dynamic>(3, 0)),
                    "PreconditionedGate: the number of rows is 0, expected at least 1");
}

}  // namespace
}  // namespace gdssm
