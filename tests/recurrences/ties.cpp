// SPDX-License-Identifier: Apache-2.0
// Rules that are special cases of others, over rationals.
#include "recurrences/exact_rules.hpp"

#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_net2.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_linear_attention.hpp"
#include "gdssm/blocks/recurrences/gated_oja.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/mamba3.hpp"
#include "gdssm/blocks/recurrences/ret_net.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"

using namespace gdssm;
using namespace gdssm::test;
using namespace gdssm::recurrences;

namespace {

const ExactMatrix one_number = ExactMatrix::Constant(1, 1, Q(1));
ExactMatrix same(Index size, const Q& value) { return ExactMatrix::Constant(size, 1, value); }

/// Another rule at the same memory, key and value.
template <class Rule, class Other>
OneToken<Rule> beside(const OneToken<Other>& other, const Rule& rule, Engine& engine) {
  OneToken<Rule> one(rule, engine);
  assign(one.state.memory, other.S());
  assign(one.token.k, value_of(other.token.k));
  assign(one.token.v, value_of(other.token.v));
  return one;
}
template <class Rule, class Other>
bool equal(const OneToken<Rule>& one, const OneToken<Other>& other) {
  return one.memory_after() == other.memory_after();
}

}  // namespace

TEST_CASE("Linear attention, RetNet, Mamba-2 and gated linear attention are one rule where decays are equal",
          "[theorem]") {
  Engine engine(1);
  OneToken ret(RetNet<>(4, 3), engine);
  const Q gamma = ret.constants.gamma[0];
  auto mamba = beside(ret, Mamba2<>(4, 3), engine);
  assign(mamba.token.dt, one_number);
  mamba.constants.A[0] = gamma - Q(1);  // exp of which stands for gamma
  REQUIRE(exp(mamba.constants.A[0]) == gamma);
  CHECK(equal(mamba, ret));
  auto gated = beside(ret, GatedLinearAttention<>(4, 3), engine);
  assign(gated.token.alpha, same(4, gamma));
  CHECK(equal(gated, ret));
  ret.constants.gamma[0] = Q(1);
  CHECK(equal(beside(ret, LinearAttention<>(4, 3), engine), ret));
}

TEST_CASE("Mamba-3 that looks at this token alone is Mamba-2", "[theorem]") {
  Engine engine(2);
  const OneToken two(Mamba2<>(4, 3), engine);
  auto three = beside(two, Mamba3<>(4, 3), engine);
  assign(three.token.lambda_, one_number);
  assign(three.token.dt, value_of(two.token.dt));
  three.token.alpha.data()[0] = exp(two.constants.A[0] * two.token.dt.data()[0]);
  CHECK(equal(three, two));
}

TEST_CASE("The gated delta rule without decay is the delta rule, without rate a decay", "[theorem]") {
  Engine engine(3);
  const OneToken delta(DeltaRule<>(4, 3), engine);
  auto gated = beside(delta, GatedDeltaRule<>(4, 3), engine);
  assign(gated.token.beta, value_of(delta.token.beta));
  const Q alpha = gated.token.alpha.data()[0];
  gated.token.alpha.data()[0] = Q(1);
  CHECK(equal(gated, delta));
  gated.token.alpha.data()[0] = alpha;
  gated.token.beta.data()[0] = Q(0);
  CHECK((gated.memory_after() == alpha * gated.S()));
}

TEST_CASE("KDA with equal decays, DeltaProduct of one step and Comba that reads alpha k are the gated delta rule",
          "[theorem]") {
  Engine engine(4);
  const OneToken gated(GatedDeltaRule<>(4, 3), engine);
  const ExactMatrix alpha = value_of(gated.token.alpha), beta = value_of(gated.token.beta);
  auto kda = beside(gated, Kda<>(4, 3), engine);
  assign(kda.token.alpha, same(4, alpha(0)));
  assign(kda.token.beta, beta);
  CHECK(equal(kda, gated));
  auto product = beside(gated, DeltaProduct<>(4, 3, 1), engine);
  assign(product.token.alpha, alpha);
  assign(product.token.beta, beta);
  CHECK(equal(product, gated));
  auto comba = beside(gated, Comba<>(4, 3), engine);
  assign(comba.token.p, alpha(0) * value_of(gated.token.k));
  assign(comba.token.alpha, alpha);
  assign(comba.token.beta, beta);
  CHECK(equal(comba, gated));
}

TEST_CASE("DeltaProduct's steps commute where keys are orthogonal", "[theorem]") {
  Engine engine(5);
  OneToken product(DeltaProduct<>(2, 3, 2), engine);
  auto swapped = product;
  const auto x = token_at<Q>(product.rule, product.token, 0);
  ExactMatrix k(4, 1), k_swapped(4, 1), v(6, 1), v_swapped(6, 1), beta(2, 1);
  k << Q(1), Q(2), Q(-4), Q(2);
  k_swapped << Q(-4), Q(2), Q(1), Q(2);
  for (Index i = 0; i < 6; ++i) v(i) = x.v[i], v_swapped(i) = x.v[(i + 3) % 6];
  beta << x.beta[1], x.beta[0];
  assign(product.token.k, k);
  assign(swapped.token.k, k_swapped);
  assign(swapped.token.v, v_swapped);
  assign(swapped.token.beta, beta);
  CHECK(equal(product, swapped));
}

TEST_CASE("Gated DeltaNet-2 with both gates at beta is KDA", "[theorem]") {
  Engine engine(6);
  const OneToken kda(Kda<>(4, 3), engine);
  auto net = beside(kda, GatedDeltaNet2<>(4, 3), engine);
  const Q beta = kda.token.beta.data()[0];
  assign(net.token.alpha, value_of(kda.token.alpha));
  assign(net.token.b, same(4, beta));
  assign(net.token.w, same(3, beta));
  CHECK(equal(net, kda));
}

TEST_CASE("RWKV-7's form holds the delta rule, KDA and gated DeltaNet-2", "[theorem]") {
  Engine engine(7);
  const OneToken delta(DeltaRule<>(4, 3), engine);
  const ExactMatrix k = value_of(delta.token.k);
  const Q beta = delta.token.beta.data()[0];
  auto rwkv = beside(delta, Rwkv7<>(4, 3), engine);
  assign(rwkv.token.w, same(4, Q(1)));
  assign(rwkv.token.a, same(4, beta));
  assign(rwkv.token.kappa, k);
  assign(rwkv.token.k, beta * k);
  CHECK(equal(rwkv, delta));

  auto kda = beside(delta, Kda<>(4, 3), engine);
  const ExactMatrix alpha = value_of(kda.token.alpha);
  assign(kda.token.beta, value_of(delta.token.beta));
  assign(rwkv.token.w, alpha);
  assign(rwkv.token.kappa, alpha.cwiseProduct(k));
  assign(rwkv.token.a, same(4, beta).cwiseQuotient(alpha));
  CHECK(equal(rwkv, kda));

  auto net = beside(delta, GatedDeltaNet2<>(4, 3), engine);
  const ExactMatrix metric = alpha.cwiseProduct(value_of(net.token.b));
  assign(net.token.alpha, alpha);
  assign(rwkv.token.kappa, metric.cwiseProduct(k));
  assign(rwkv.token.a, same(4, Q(1)).cwiseQuotient(metric));
  assign(rwkv.token.k, k);
  assign(rwkv.token.v, value_of(net.token.w).cwiseProduct(value_of(net.token.v)));
  CHECK(equal(rwkv, net));
}

TEST_CASE("The gated Oja rule is KDA of the transposed memory, keys and values exchanged", "[theorem]") {
  Engine engine(8);
  const OneToken oja(GatedOja<>(4, 3), engine);
  OneToken kda(Kda<>(3, 4), engine);
  assign(kda.state.memory, oja.S().transpose());
  assign(kda.token.k, value_of(oja.token.v));
  assign(kda.token.v, value_of(oja.token.k));
  assign(kda.token.alpha, value_of(oja.token.alpha));
  assign(kda.token.beta, value_of(oja.token.beta));
  CHECK((kda.memory_after() == oja.memory_after().transpose()));
}
