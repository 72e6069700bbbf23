// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/readout.hpp"

#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;

TEST_CASE("the readout pulls back to C, to the state and to the gated token", "[vjp]") {
  expect_vjp(Readout<1>());
  expect_vjp(Readout<2, 3>());
  expect_vjp(Readout<5>());
  expect_vjp(Readout<>(3));
}

TEST_CASE("the readout is -C Z^T o, and C Z^T where it is asked for", "[definition]") {
  test::Random random(3);
  const Readout<> readout(2, 3);
  auto c = readout.coefficients<double>();
  Array<double> memory(3, 4);
  Array<double, Dynamic, 1> o(4, 1), prediction(2, 1);
  random.fill(c);
  random.fill(memory);
  random.fill(o);
  auto ws = readout.workspace<double>();
  const View<const double> Z = memory.view();
  readout.step(c, Z, View<const double, Dynamic, 1>(o.view()), prediction.view(), ws);
  const Eigen::MatrixXd E = c.C.matrix() * memory.matrix();
  CHECK((prediction.matrix() + E * o.matrix()).norm() < 1e-15);

  Array<double> sum(2, 4);
  sum.fill(1);
  readout.add_readout(c, Z, sum.view());
  CHECK((sum.matrix() - E - Eigen::MatrixXd::Ones(2, 4)).norm() < 1e-15);
}

}  // namespace
}  // namespace gdssm
