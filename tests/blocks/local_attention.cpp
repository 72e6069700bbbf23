// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/local_attention.hpp"

#include <utility>

#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Random;

TEST_CASE("attention in one window pulls back to A and to the window", "[vjp]") {
  expect_vjp(LocalAttention<1>());
  expect_vjp(LocalAttention<2, 1>());
  expect_vjp(LocalAttention<5, 5>());
  expect_vjp(LocalAttention<>(3));
}

/// G_t = X_t^T A X_t at every window of a sequence, and the windows are where width and stride say.
template <Index Width, Index Stride>
void check_definition() {
  CAPTURE(Width, Stride);
  Random random(3);
  const Index f = 3, windows = 4;
  const LocalAttention<3, Width, Stride> attention;
  auto c = attention.template coefficients<double>();
  random.fill(c);
  Array<double, 3> tokens(f, Width + Stride * (windows - 1));
  random.fill(tokens);
  const auto all = std::as_const(tokens).view();
  auto ws = attention.template workspace<double>();

  // A token at a time.
  auto pushed = attention.template initial_state<double>();
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i) {
    if (!attention.window().push(all.column(i), pushed)) continue;
    const Eigen::MatrixXd X = tokens.matrix().middleCols(Stride * t, Width).transpose();
    const View<const double, 3, Width> window = pushed.tokens.view();
    const auto G = attention.step(c, window, ws);
    const Eigen::Map<const Eigen::MatrixXd> left(G.left.data(), f, Width), right(G.right.data(), f, Width);
    CHECK((left * right.transpose() - X.transpose() * c.A.matrix() * X).norm() < 1e-14);
    attention.window().slide(pushed);
    ++t;
  }
  CHECK(t == windows);
}

template <Index Width>
void check_definitions() {
  check_definition<Width, 1>();
  check_definition<Width, 2>();
  check_definition<Width, 3>();
  check_definition<Width, 4>();
  check_definition<Width, 5>();
}

TEST_CASE("attention is X^T A X at every width and stride", "[definition]") {
  check_definitions<1>();
  check_definitions<2>();
  check_definitions<3>();
  check_definitions<4>();
  check_definitions<5>();
}

}  // namespace
}  // namespace gdssm
