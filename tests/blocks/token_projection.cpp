// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/token_projection.hpp"

#include "blocks/prepare.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::bundle;
using test::check_vjp;

/// Coefficients and a token -> the left factor; the right one is the number 1.
template <class Block>
struct Step {
  using Window = typename Block::Window;

  Block projection;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "token"}, projection.template coefficients<T>(),
                  Array<T, Window::size, 1>(projection.window().features(), 1));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, token] = in.parts;
    auto ws = projection.template workspace<T>();
    const auto G = projection.step(c, token.view(), ws);
    Array<T, Block::rows, 1> left(projection.row_count(), 1);
    gdssm::detail::copy(G.left, left.view());
    return bundle({"left"}, left);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, token] = in.parts;
    auto in_bar = input<T>();
    auto& [c_bar, token_bar] = in_bar.parts;
    const Array<T, 1, 1> right_bar;
    projection.step_vjp(c, token.view(), std::get<0>(out_bar.parts).view(), right_bar.view(), c_bar, token_bar.view());
    return in_bar;
  }
};

TEST_CASE("the token's projection pulls back to B and to the token", "[vjp]") {
  check_vjp(test::Prepare<TokenProjection<2, 3>>{});
  check_vjp(Step<TokenProjection<1, 1>>{});
  check_vjp(Step<TokenProjection<3, 5>>{});
  check_vjp(Step<TokenProjection<>>{TokenProjection<>(5, 2)});
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
