// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/token_projection.hpp"

#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;

TEST_CASE("the token's projection pulls back to B and to the token", "[vjp]") {
  expect_vjp(TokenProjection<1, 1>());
  expect_vjp(TokenProjection<3, 5>());
  expect_vjp(TokenProjection<>(5, 2));
}

TEST_CASE("the token's projection is the column B c", "[definition]") {
  test::Random random(3);
  const TokenProjection<> projection(3, 4);
  auto c = projection.coefficients<double>();
  Array<double, Dynamic, 1> token(4, 1);
  random.fill(c);
  random.fill(token);
  auto ws = projection.workspace<double>();
  const auto G = projection.step(c, View<const double, Dynamic, 1>(token.view()), ws);
  const Eigen::Map<const Eigen::VectorXd> left(G.left.data(), G.left.rows());
  CHECK((left - c.B.matrix() * token.matrix()).norm() < 1e-15);
  CHECK(G.right(0, 0) == 1);
}

}  // namespace
}  // namespace gdssm
