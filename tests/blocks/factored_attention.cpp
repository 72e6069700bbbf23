// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/factored_attention.hpp"

#include "support/catch.hpp"
#include "support/exact.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/concepts.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;

static_assert(AttentionBlock<FactoredAttention<3>> && AttentionBlock<FactoredAttention<Dynamic, 2>>);

TEST_CASE("Keys and values that are mixtures of a window's tokens pull back to weights and tokens", "[vjp]") {
  expect_vjp(FactoredAttention<1>());
  expect_vjp(FactoredAttention<3, 2>());
  expect_vjp(FactoredAttention<Dynamic, 2, 4, 2>(2));
}

TEST_CASE("factored attention is local attention whose matrix is K V^T", "[theorem]") {
  test::Engine engine(1);
  const FactoredAttention<4, 2> factored;
  const LocalAttention<4> local;
  auto c = factored.coefficients<test::Rational>();
  auto d = local.coefficients<test::Rational>();
  test::fill_with_fractions(c, engine);
  d.A.matrix() = c.K.matrix() * c.V.matrix().transpose();
  Array<test::Rational, 4, 3> window;
  test::fill_with_fractions(window, engine);
  auto factored_ws = factored.workspace<test::Rational>();
  auto local_ws = local.workspace<test::Rational>();
  const auto G = factored.step(c, std::as_const(window).view(), factored_ws);
  const auto H = local.step(d, std::as_const(window).view(), local_ws);
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 4; ++j) {
      test::Rational left(0), right(0);
      for (Index a = 0; a < 2; ++a) left += G.left(i, a) * G.right(j, a);
      for (Index a = 0; a < 3; ++a) right += H.left(i, a) * H.right(j, a);
      CHECK(left == right);
    }
}

}  // namespace
}  // namespace gdssm
