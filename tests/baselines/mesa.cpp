// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/mesa.hpp"

#include <cmath>

#include <Eigen/Dense>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/algorithms/least_squares.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::LayerCase;
using test::random_matrix;

static_assert(SequenceLayer<MesaLayer>);

TEST_CASE("the Mesa layer pulls back to its maps, its penalties and the sequence", "[vjp]") {
  expect_vjp(LayerCase<MesaLayer>{{1, 1, 1}, 2});
  expect_vjp(LayerCase<MesaLayer>{{4, 3, 2}, 4});
}

TEST_CASE("the Mesa layer answers every query by regression on the pairs so far, itself included", "[definition]") {
  const Index d = 4, T = 5, r = 3;
  const MesaLayer layer(d, r, 2);
  auto c = layer.coefficients<double>();
  test::Random(2).fill(c);
  const Eigen::MatrixXd X = 3 * random_matrix(d, T, 1), Y = test::applied(layer, c, X);
  Eigen::MatrixXd S = c.log_ridge.matrix().array().exp().matrix().asDiagonal(), M = Eigen::MatrixXd::Zero(2, r);
  for (Index t = 0; t < T; ++t) {
    const Eigen::VectorXd h = X.col(t), k = c.maps.key.matrix() * h, v = c.maps.value.matrix() * h;
    if (t + 1 < T) {
      S += k * k.transpose();
      M += v * k.transpose();
    }
    const Eigen::VectorXd o = M * S.inverse() * (c.maps.query.matrix() * h);
    CHECK((Y.col(t) - c.maps.output.matrix() * o).norm() < 1e-13);
  }
}

TEST_CASE("With keys and values that are inputs and targets the Mesa layer is ridge regression", "[theorem]") {
  const Index f = 3, N = 5;
  const double rho = 0.3;
  const Eigen::MatrixXd x = random_matrix(f, N + 1, 3), y = random_matrix(f, N, 4);
  const MesaLayer layer(2 * f, f, f);
  auto c = layer.coefficients<double>();
  for (Index i = 0; i < f; ++i) {
    c.maps.query(i, i) = c.maps.key(i, i) = c.maps.value(i, f + i) = c.maps.output(f + i, i) = 1;
    c.log_ridge[i] = std::log(rho);
  }
  Eigen::MatrixXd X = Eigen::MatrixXd::Zero(2 * f, N + 1);
  X.topRows(f) = x;
  X.bottomLeftCorner(f, N) = y;
  const Eigen::MatrixXd context = x.leftCols(N);
  const Eigen::MatrixXd S = context * context.transpose(), M = y * context.transpose();
  CHECK((test::applied(layer, c, X).col(N).tail(f) - ridge_regression(S, M, rho) * x.col(N)).norm() < 1e-14);
}

}  // namespace
}  // namespace gdssm
