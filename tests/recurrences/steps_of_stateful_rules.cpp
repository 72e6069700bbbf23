// SPDX-License-Identifier: Apache-2.0
#include "recurrences/exact_rules.hpp"

#include <vector>

#include <Eigen/LU>

#include "gdssm/blocks/recurrences/longhorn.hpp"
#include "gdssm/blocks/recurrences/longhorn_diagonal.hpp"
#include "gdssm/blocks/recurrences/mesa.hpp"
#include "gdssm/blocks/recurrences/omega_rule.hpp"
#include "gdssm/blocks/recurrences/titans.hpp"
#include "gdssm/blocks/recurrences/ttt_linear.hpp"

using namespace gdssm;
using namespace gdssm::test;

namespace {

template <class Member>
Q number(const Member& member) {
  return member.data()[0];
}

/// delta of (38).
ExactMatrix rates(const ExactMatrix& beta, const ExactMatrix& k) {
  ExactMatrix delta(beta.rows(), 1);
  for (Index i = 0; i < beta.rows(); ++i) delta(i) = beta(i) / (Q(1) + beta(i) * square(k));
  return delta;
}

}  // namespace

TEST_CASE("Longhorn takes an implicit step: its memory is the minimiser", "[theorem]") {
  Engine engine(1);
  const OneToken one(recurrences::Longhorn<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const ExactMatrix beta = value_of(one.token.beta);
  const auto loss = [&](const ExactMatrix& W) { return half * square(W - S) + half * square(v - W * k, beta); };
  CHECK((gradient(loss, one.memory_after()) == ExactMatrix::Zero(3, 4)));
}

TEST_CASE("The recurrence of Longhorn's code lets every channel of the keys predict alone", "[theorem]") {
  Engine engine(2);
  const OneToken one(recurrences::LonghornDiagonal<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const ExactMatrix beta = value_of(one.token.beta), delta = rates(beta, k);
  const ExactMatrix values = rows_of(4, v).transpose(), weights = rows_of(4, delta).transpose();
  const auto loss = [&](const ExactMatrix& W) {
    return half * square(values - W.cwiseProduct(rows_of(3, k)), weights);
  };
  CHECK((one.memory_after() == S - gradient(loss, S)));
  // Its implicit step would have beta_i / (1 + beta_i k_j^2).
  ExactMatrix implicit = S;
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 4; ++j)
      implicit(i, j) += beta(i) / (Q(1) + beta(i) * k(j) * k(j)) * k(j) * (v(i) - S(i, j) * k(j));
  CHECK_FALSE((one.memory_after() == implicit));
}

namespace {

/// Mesa along some tokens, with what its loss needs.
struct MesaRun {
  recurrences::Mesa<> rule{4, 3};
  recurrences::Mesa<>::Constants<InArrays<Q>> constants = rule.constants<InArrays<Q>>();
  recurrences::Mesa<>::State<Q> state = rule.initial_state<Q>();
  std::vector<ExactMatrix> k, v;
  std::vector<Q> alpha, beta;

  explicit MesaRun(Engine& engine) {
    for (Index j = 0; j < 4; ++j) constants.lambda[j] = random_share(engine);
  }
  void learn(const OneToken<recurrences::Mesa<>>& one) {
    k.push_back(value_of(one.token.k)), v.push_back(value_of(one.token.v));
    alpha.push_back(number(one.token.alpha)), beta.push_back(number(one.token.beta));
    auto ws = rule.workspace<Q>();
    rule.step(constants, token_at<Q>(rule, one.token, 0), state, ws);
  }
  ExactMatrix Lambda() const { return value_of(constants.lambda).asDiagonal(); }
  ExactMatrix inverse() const { return (value_of(state.covariance) + Lambda()).inverse(); }
  ExactMatrix W() const { return value_of(state.memory) * inverse(); }
  /// What the rule answers to the unit vectors.
  ExactMatrix answers() const {
    ExactMatrix all(3, 4);
    auto ws = rule.workspace<Q>();
    for (Index j = 0; j < 4; ++j) {
      Array<Q, Dynamic, 1> q(4, 1), o(3, 1);
      q[j] = Q(1);
      rule.read(constants, state, std::as_const(q).view(), o.view(), ws);
      all.col(j) = value_of(o);
    }
    return all;
  }
  Q loss(const ExactMatrix& at) const {
    Q sum = half * square(at, rows_of(3, value_of(constants.lambda))), zeta = Q(1);
    for (std::size_t i = k.size(); i-- > 0; zeta *= alpha[i]) sum += half * zeta * beta[i] * square(v[i] - at * k[i]);
    return sum;
  }
};

}  // namespace

TEST_CASE("Mesa answers with the minimiser of the decayed ridge loss", "[theorem]") {
  Engine engine(3);
  MesaRun run(engine);
  for (int t = 0; t < 3; ++t) run.learn(OneToken(run.rule, engine));
  CHECK((run.answers() == run.W()));
  CHECK((gradient([&](const ExactMatrix& W) { return run.loss(W); }, run.W()) == ExactMatrix::Zero(3, 4)));
}

TEST_CASE("Mesa without decay is recursive least squares, with decay it is no rule of rank one", "[theorem]") {
  Engine engine(4);
  MesaRun run(engine);
  for (int t = 0; t < 3; ++t) run.learn(OneToken(run.rule, engine));
  const ExactMatrix W = run.W(), inverse = run.inverse();
  OneToken next(run.rule, engine);
  MesaRun decayed = run;
  decayed.learn(next);
  next.token.alpha.data()[0] = Q(1);
  run.learn(next);
  const ExactMatrix k = run.k.back(), v = run.v.back();
  const Q beta = run.beta.back();
  const ExactMatrix gain = beta * inverse * k / (Q(1) + beta * (k.transpose() * inverse * k)(0));
  CHECK((run.W() == W + (v - W * k) * gain.transpose()));
  const ExactMatrix change = decayed.W() - W;
  CHECK(change.topLeftCorner(2, 2).eval().determinant() != Q(0));

  // One step of conjugate gradients from zero.
  const ExactMatrix q = random_fractions(4, 1, engine), A = value_of(run.state.covariance) + run.Lambda();
  const ExactMatrix x = square(q) / (q.transpose() * A * q)(0) * q;
  CHECK(((q - A * x).transpose() * q)(0) == Q(0));
}

TEST_CASE("TTT-linear takes theta times one step on the batch's sum of squares at its start", "[theorem]") {
  Engine engine(5);
  const recurrences::TttLinear<> rule(4, 3, 3);
  auto state = OneToken(rule, engine).state;
  auto ws = rule.workspace<Q>();
  for (int batch = 0; batch < 2; ++batch) {
    const ExactMatrix start = value_of(state.memory);
    std::vector<OneToken<recurrences::TttLinear<>>> seen;
    for (int t = 0; t < 3; ++t) {
      seen.emplace_back(rule, engine);
      rule.step({}, token_at<Q>(rule, seen.back().token, 0), state, ws);
      const auto loss = [&](const ExactMatrix& W) {
        Q sum(0);
        for (const auto& one : seen)
          sum += number(one.token.eta) * half * square(value_of(one.token.v) - W * value_of(one.token.k));
        return sum;
      };
      CHECK((value_of(state.memory) == start - number(seen.back().token.theta) * gradient(loss, start)));
    }
  }
}

TEST_CASE("Titans is a heavy ball on 1/2 |v - S k|^2, with decay", "[theorem]") {
  Engine engine(6);
  OneToken one(recurrences::Titans<>(4, 3), engine);
  const ExactMatrix S = one.S(), B = value_of(one.state.momentum), k = value_of(one.token.k), v = value_of(one.token.v);
  const Q alpha = number(one.token.alpha), eta = number(one.token.eta), theta = number(one.token.theta);
  const auto loss = [&](const ExactMatrix& W) { return half * square(v - W * k); };
  CHECK((value_of(one.after().momentum) == eta * B - theta * gradient(loss, S)));
  CHECK((one.memory_after() == alpha * S + eta * B - theta * gradient(loss, S)));

  // Without B: S_t = alpha_t S_{t-1} + eta (S_{t-1} - alpha_{t-1} S_{t-2}) - theta gradient.
  OneToken next(one.rule, engine);
  next.state = one.after();
  const ExactMatrix S1 = next.S(), k1 = value_of(next.token.k), v1 = value_of(next.token.v);
  const auto next_loss = [&](const ExactMatrix& W) { return half * square(v1 - W * k1); };
  CHECK((next.memory_after() == number(next.token.alpha) * S1 + number(next.token.eta) * (S1 - alpha * S) -
                                    number(next.token.theta) * gradient(next_loss, S1)));
}

TEST_CASE("The Omega rule is a heavy ball on the window's sum of squares, pairs before the first are none",
          "[theorem]") {
  Engine engine(7);
  const recurrences::OmegaRule<> rule(4, 3, 3);
  auto state = OneToken(rule, engine).state;
  state.keys.fill(Q(0));
  state.values.fill(Q(0));
  auto ws = rule.workspace<Q>();
  std::vector<ExactMatrix> k, v;
  for (std::size_t t = 0; t < 5; ++t) {
    const OneToken one(rule, engine);
    const ExactMatrix S = value_of(state.memory), B = value_of(state.momentum);
    k.push_back(value_of(one.token.k)), v.push_back(value_of(one.token.v));
    rule.step({}, token_at<Q>(rule, one.token, 0), state, ws);
    const auto loss = [&](const ExactMatrix& W) {
      Q sum(0);
      for (std::size_t j = 0; j < 3 && j <= t; ++j)
        sum += one.token.gamma.data()[j] * half * square(v[t - j] - W * k[t - j]);
      return sum;
    };
    const ExactMatrix momentum = number(one.token.eta) * B - number(one.token.theta) * gradient(loss, S);
    CHECK((value_of(state.momentum) == momentum));
    CHECK((value_of(state.memory) == number(one.token.alpha) * S + momentum));
  }
}
