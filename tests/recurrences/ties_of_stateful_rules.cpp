// SPDX-License-Identifier: Apache-2.0
// Rules with more state that are special cases of others, and of others of them, over rationals.
#include "recurrences/exact_rules.hpp"

#include <utility>
#include <vector>

#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_linear_attention.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/longhorn.hpp"
#include "gdssm/blocks/recurrences/mamba3.hpp"
#include "gdssm/blocks/recurrences/mesa.hpp"
#include "gdssm/blocks/recurrences/omega_rule.hpp"
#include "gdssm/blocks/recurrences/preconditioned_gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/titans.hpp"
#include "gdssm/blocks/recurrences/ttt_linear.hpp"
#include "support/random.hpp"

using namespace gdssm;
using namespace gdssm::test;
using namespace gdssm::recurrences;

namespace {

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

TEST_CASE("Titans without momentum is Comba that reads k, and without decay the delta rule", "[theorem]") {
  Engine engine(1);
  OneToken titans(Titans<>(4, 3), engine);
  titans.token.eta.data()[0] = Q(0);
  auto comba = beside(titans, Comba<>(4, 3), engine);
  assign(comba.token.p, value_of(titans.token.k));
  assign(comba.token.alpha, value_of(titans.token.alpha));
  assign(comba.token.beta, value_of(titans.token.theta));
  CHECK(equal(titans, comba));
  titans.token.alpha.data()[0] = Q(1);
  auto delta = beside(titans, DeltaRule<>(4, 3), engine);
  assign(delta.token.beta, value_of(titans.token.theta));
  CHECK(equal(titans, delta));
}

TEST_CASE("The Omega rule with a window of one pair of weight one is Titans", "[theorem]") {
  Engine engine(2);
  const OneToken titans(Titans<>(4, 3), engine);
  auto omega = beside(titans, OmegaRule<>(4, 3, 1), engine);
  assign(omega.state.momentum, value_of(titans.state.momentum));
  omega.token.gamma.data()[0] = Q(1);
  assign(omega.token.alpha, value_of(titans.token.alpha));
  assign(omega.token.eta, value_of(titans.token.eta));
  assign(omega.token.theta, value_of(titans.token.theta));
  CHECK(equal(omega, titans));
  CHECK((value_of(omega.after().momentum) == value_of(titans.after().momentum)));
}

TEST_CASE("TTT-linear in batches of one token is the delta rule with rate theta eta", "[theorem]") {
  Engine engine(3);
  const OneToken ttt(TttLinear<>(4, 3, 1), engine);
  auto delta = beside(ttt, DeltaRule<>(4, 3), engine);
  delta.token.beta.data()[0] = ttt.token.theta.data()[0] * ttt.token.eta.data()[0];
  CHECK(equal(ttt, delta));
}

TEST_CASE("TTT-linear in one batch from zero is theta times linear attention of eta v", "[theorem]") {
  Engine engine(4);
  const TttLinear<> rule(4, 3, 3);
  auto state = rule.initial_state<Q>();
  auto ws = rule.workspace<Q>();
  OneToken attention(LinearAttention<>(4, 3), engine);
  assign(attention.state.memory, ExactMatrix::Zero(3, 4));
  for (int t = 0; t < 3; ++t) {
    const OneToken one(rule, engine);
    rule.step({}, token_at<Q>(rule, one.token, 0), state, ws);
    assign(attention.token.k, value_of(one.token.k));
    assign(attention.token.v, one.token.eta.data()[0] * value_of(one.token.v));
    attention.state = attention.after();
    CHECK((value_of(state.memory) == one.token.theta.data()[0] * attention.S()));
  }
}

TEST_CASE("Longhorn with one beta is the delta rule with beta / (1 + beta |k|^2), a first step of least squares",
          "[theorem]") {
  Engine engine(5);
  OneToken longhorn(Longhorn<>(4, 3), engine);
  const Q beta = longhorn.token.beta.data()[0], square_of_k = square(value_of(longhorn.token.k));
  assign(longhorn.token.beta, ExactMatrix::Constant(3, 1, beta));
  auto delta = beside(longhorn, DeltaRule<>(4, 3), engine);
  delta.token.beta.data()[0] = beta / (Q(1) + beta * square_of_k);
  CHECK(equal(longhorn, delta));

  // Mesa from H = 0, Lambda = I, M = S: recursive least squares whose Q is I.
  auto mesa = beside(longhorn, Mesa<>(4, 3), engine);
  mesa.state.covariance.fill(Q(0));
  mesa.constants.lambda.fill(Q(1));
  mesa.token.alpha.data()[0] = Q(1);
  mesa.token.beta.data()[0] = beta;
  const auto after = mesa.after();
  auto ws = mesa.rule.workspace<Q>();
  for (Index j = 0; j < 4; ++j) {
    Array<Q, Dynamic, 1> q(4, 1), o(3, 1);
    q[j] = Q(1);
    mesa.rule.read(mesa.constants, after, std::as_const(q).view(), o.view(), ws);
    CHECK((value_of(o) == longhorn.memory_after().col(j)));
  }
}

TEST_CASE("Mesa under a large ridge answers as linear attention over lambda", "[theorem]") {
  Engine engine(6);
  OneToken mesa(Mesa<>(4, 3), engine);
  mesa.state.covariance.fill(Q(0));
  Q last(100);
  for (const int digits : {3, 6, 9}) {
    Q lambda(1);
    for (int i = 0; i < digits; ++i) lambda *= Q(10);
    mesa.constants.lambda.fill(lambda);
    const auto after = mesa.after();
    auto ws = mesa.rule.workspace<Q>();
    Array<Q, Dynamic, 1> q(4, 1), o(3, 1);
    assign(q, random_fractions(4, 1, engine));
    mesa.rule.read(mesa.constants, after, std::as_const(q).view(), o.view(), ws);
    const ExactMatrix difference = lambda * value_of(o) - value_of(after.memory) * value_of(q);
    CHECK(square(difference) < last);
    last = square(difference) / Q(1000);
  }
}

TEST_CASE("The preconditioned gated delta rule with base 1 is the gated delta rule, bit for bit") {
  const PreconditionedGatedDeltaRule<> conditioned(4, 3, 1e-6, 1.0);
  const GatedDeltaRule<> gated(4, 3);
  Random random(7);
  auto x = tokens_of<double>(conditioned, 1);
  auto state = conditioned.initial_state<double>();
  random.fill(x);
  random.fill(state.memory);
  auto y = tokens_of<double>(gated, 1);
  const auto copy = [](const auto& from, auto& to) {
    for (Index i = 0; i < to.size(); ++i) to.data()[i] = from.data()[i];
  };
  copy(x.k, y.k), copy(x.v, y.v), copy(x.beta, y.beta), copy(x.alpha, y.alpha);
  auto plain = gated.initial_state<double>();
  plain.memory = state.memory;
  auto ws = conditioned.workspace<double>();
  x.beta_A.data()[0] = 1, x.alpha_A.data()[0] = 1;
  conditioned.step(conditioned.constants<InArrays<double>>(), token_at<double>(conditioned, x, 0), state, ws);
  gated.step({}, token_at<double>(gated, y, 0), plain, ws);
  CHECK(state.memory == plain.memory);
}

namespace {

/// A window X (Width x 4), absorbed by the paper's slots (1) and (2).
template <Index Width>
ExactMatrix layer(const ExactMatrix& L, const ExactMatrix& S, const ExactMatrix& A, const ExactMatrix& X) {
  const LocalAttention<4, Width> attention;
  const DiagonalRecurrence<4, 4, GivenDecay> recurrence;
  auto a = attention.template coefficients<Q>();
  auto l = recurrence.template coefficients<Q>();
  auto state = recurrence.template initial_state<Q>();
  Array<Q, 4, Width> window;
  assign(a.A, A), assign(l.decay, L), assign(state.memory, S), assign(window, X.transpose());
  auto a_ws = attention.template workspace<Q>();
  auto l_ws = recurrence.template workspace<Q>();
  recurrence.step(l, attention.step(a, std::as_const(window).view(), a_ws), static_cast<const Q*>(nullptr), state,
                  l_ws);
  return value_of(state.memory);
}

}  // namespace

TEST_CASE("The paper's slots are linear attention, gated linear attention and Mamba-3 on their tokens", "[theorem]") {
  Engine engine(8);
  const ExactMatrix X = random_fractions(3, 4, engine), ones = ExactMatrix::Constant(4, 4, Q(1));
  ExactMatrix A = ExactMatrix::Zero(3, 3);
  A(0, 1) = Q(1);
  OneToken attention(LinearAttention<>(4, 4), engine);
  assign(attention.token.k, X.row(0).transpose());
  assign(attention.token.v, X.row(1).transpose());
  CHECK((attention.memory_after() == layer<3>(ones, attention.S(), A, X)));
  auto gated = beside(attention, GatedLinearAttention<>(4, 4), engine);
  CHECK((gated.memory_after() == layer<3>(rows_of(4, value_of(gated.token.alpha)), gated.S(), A, X)));

  auto mamba = beside(attention, Mamba3<>(4, 4), engine);
  const Q alpha = mamba.token.alpha.data()[0], Delta = mamba.token.dt.data()[0], lambda = mamba.token.lambda_.data()[0];
  ExactMatrix pairs(4, 4), weights = ExactMatrix::Zero(4, 4);
  pairs.row(0) = value_of(mamba.state.key).transpose();
  pairs.row(1) = value_of(mamba.state.value).transpose();
  pairs.row(2) = X.row(0);
  pairs.row(3) = X.row(1);
  weights(0, 1) = (Q(1) - lambda) * Delta * alpha;
  weights(2, 3) = lambda * Delta;
  CHECK((mamba.memory_after() == layer<4>(alpha * ones, mamba.S(), weights, pairs)));
}
