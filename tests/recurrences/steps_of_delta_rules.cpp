// SPDX-License-Identifier: Apache-2.0
#include "recurrences/exact_rules.hpp"

#include <Eigen/LU>

#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_net2.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_oja.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"

using namespace gdssm;
using namespace gdssm::test;

namespace {

/// One number of a token.
template <class Member>
Q number(const Member& member) {
  return member.data()[0];
}
ExactMatrix diagonal(const ExactMatrix& entries) { return entries.asDiagonal(); }
ExactMatrix quotients(const ExactMatrix& a, const ExactMatrix& b) { return a.cwiseQuotient(b); }
const ExactMatrix ones = ExactMatrix::Constant(4, 1, Q(1));

}  // namespace

TEST_CASE("The delta rule takes a step of size beta on 1/2 |v - S k|^2", "[theorem]") {
  Engine engine(1);
  OneToken one(recurrences::DeltaRule<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const auto loss = [&](const ExactMatrix& W) { return half * square(v - W * k); };
  CHECK((one.memory_after() == S - number(one.token.beta) * gradient(loss, S)));

  one.token.beta.data()[0] = Q(1) / square(k);
  CHECK((one.memory_after() * k == v));
  one.token.beta.data()[0] = Q(2) / square(k);
  CHECK(loss(one.memory_after()) == loss(S));
}

TEST_CASE("The gated delta rule decays, then takes a step on the square, or one step on one loss", "[theorem]") {
  Engine engine(2);
  const OneToken one(recurrences::GatedDeltaRule<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const Q alpha = number(one.token.alpha), beta = number(one.token.beta);
  const auto loss = [&](const ExactMatrix& W) { return half * square(v - W * k); };
  CHECK((one.memory_after() == alpha * S - beta * gradient(loss, alpha * S)));
  const auto whole = [&](const ExactMatrix& W) {
    return (Q(1) - alpha) * half * square(W) + alpha * beta * half * square(v / alpha - W * k);
  };
  CHECK((one.memory_after() == S - gradient(whole, S)));
}

TEST_CASE("KDA decays, then takes a step on the square, or one step in the metric of its decays", "[theorem]") {
  Engine engine(3);
  const OneToken one(recurrences::Kda<>(4, 3), engine);
  const ExactMatrix k = value_of(one.token.k), v = value_of(one.token.v), alpha = value_of(one.token.alpha);
  const ExactMatrix S = one.S(), D = diagonal(alpha);
  const Q beta = number(one.token.beta);
  const auto loss = [&](const ExactMatrix& W) { return half * square(v - W * k); };
  CHECK((one.memory_after() == S * D - beta * gradient(loss, S * D)));
  const auto whole = [&](const ExactMatrix& W) {
    return half * square(W, rows_of(3, alpha.cwiseProduct(ones - alpha))) + beta * half * square(v - W * D * k);
  };
  CHECK((one.memory_after() == S - gradient(whole, S) * diagonal(quotients(ones, alpha))));
}

TEST_CASE("Gated DeltaNet-2 decays, then takes a step in the metric of its erase gate", "[theorem]") {
  Engine engine(4);
  const OneToken one(recurrences::GatedDeltaNet2<>(4, 3), engine);
  const ExactMatrix k = value_of(one.token.k), v = value_of(one.token.v), alpha = value_of(one.token.alpha);
  const ExactMatrix S = one.S(), D = diagonal(alpha), b = value_of(one.token.b), w = value_of(one.token.w);
  const ExactMatrix aim = w.cwiseProduct(v);
  const auto loss = [&](const ExactMatrix& W) { return half * square(aim - W * b.cwiseProduct(k)); };
  CHECK((one.memory_after() == S * D - gradient(loss, S * D) * diagonal(quotients(ones, b))));

  const ExactMatrix metric = alpha.cwiseProduct(b);
  const auto whole = [&](const ExactMatrix& W) {
    return half * square(W, rows_of(3, metric.cwiseProduct(ones - alpha))) +
           half * square(aim - W * metric.cwiseProduct(k));
  };
  CHECK((one.memory_after() == S - gradient(whole, S) * diagonal(quotients(ones, metric))));
}

TEST_CASE("DeltaProduct decays, then takes its steps on the squares of its pairs in turn", "[theorem]") {
  Engine engine(5);
  const OneToken one(recurrences::DeltaProduct<>(4, 3, 3), engine);
  const auto x = token_at<Q>(one.rule, one.token, 0);
  ExactMatrix W = number(one.token.alpha) * one.S();
  for (Index j = 0; j < 3; ++j) {
    const ExactMatrix k = value_of(x.k.column(j)), v = value_of(x.v.column(j));
    W -= x.beta[j] * gradient([&](const ExactMatrix& at) { return half * square(v - at * k); }, W);
  }
  CHECK((one.memory_after() == W));
}

TEST_CASE("Comba that reads c k takes a step on |v/c - S k|^2 and a decay", "[theorem]") {
  Engine engine(6);
  OneToken one(recurrences::Comba<>(4, 3), engine);
  const Q c = random_share(engine), alpha = number(one.token.alpha), beta = number(one.token.beta);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  assign(one.token.p, c * k);
  const auto loss = [&](const ExactMatrix& W) {
    return (Q(1) - alpha) * half * square(W) + c * beta * half * square(v / c - W * k);
  };
  CHECK((one.memory_after() == S - gradient(loss, S)));
}

TEST_CASE("Comba that reads any p with <p, k> > 0 takes a step in a metric P^-1 with P p = k", "[theorem]") {
  Engine engine(7);
  OneToken one(recurrences::Comba<>(4, 3), engine);
  const Q alpha = number(one.token.alpha), beta = number(one.token.beta);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  ExactMatrix p = value_of(one.token.p);
  if (p.cwiseProduct(k).sum() < Q(0)) p = -p;
  assign(one.token.p, p);
  const Q along = p.cwiseProduct(k).sum();
  REQUIRE(along > Q(0));
  const ExactMatrix P = k * k.transpose() / along + ExactMatrix::Identity(4, 4) - p * p.transpose() / square(p);
  CHECK((P * p == k));
  CHECK((P == P.transpose()));
  for (Index n = 1; n <= 4; ++n) CHECK(P.topLeftCorner(n, n).eval().determinant() > Q(0));
  const ExactMatrix inverse = P.inverse();
  const auto loss = [&](const ExactMatrix& W) {
    return beta * half * square(v - W * p) + (Q(1) - alpha) * half * (W * inverse).cwiseProduct(W).sum();
  };
  CHECK((one.memory_after() == S - gradient(loss, S) * P));
}

TEST_CASE("RWKV-7 takes a step in the metric of its rates, with one rate, a step on |v - S kappa|^2 and decays",
          "[theorem]") {
  Engine engine(8);
  OneToken one(recurrences::Rwkv7<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const ExactMatrix w = value_of(one.token.w), a = value_of(one.token.a), kappa = value_of(one.token.kappa);
  const auto loss = [&](const ExactMatrix& W) {
    return half * square(W * kappa) + half * square(W, rows_of(3, quotients(ones - w, a))) -
           v.cwiseProduct(W * quotients(k, a)).sum();
  };
  CHECK((one.memory_after() == S - gradient(loss, S) * diagonal(a)));

  const Q rate = random_share(engine);
  assign(one.token.a, rate * ones);
  assign(one.token.k, rate * kappa);
  const auto plain = [&](const ExactMatrix& W) {
    return rate * half * square(v - W * kappa) + half * square(W, rows_of(3, ones - w));
  };
  CHECK((one.memory_after() == S - gradient(plain, S)));
}

TEST_CASE("The gated Oja rule decays the values' channels, then takes a step on 1/2 |k - S^T v|^2", "[theorem]") {
  Engine engine(9);
  const OneToken one(recurrences::GatedOja<>(4, 3), engine);
  const ExactMatrix k = value_of(one.token.k), v = value_of(one.token.v);
  const ExactMatrix decayed = diagonal(value_of(one.token.alpha)) * one.S();
  const auto loss = [&](const ExactMatrix& W) { return half * square(k - W.transpose() * v); };
  CHECK((one.memory_after() == decayed - number(one.token.beta) * gradient(loss, decayed)));
}

TEST_CASE("A core step whose written key is the read one by positive factors descends in a diagonal metric",
          "[theorem]") {
  Engine engine(10);
  const ExactMatrix S = random_fractions(3, 4, engine), p = random_fractions(4, 1, engine);
  const ExactMatrix y = random_fractions(3, 1, engine);
  ExactMatrix ratio(4, 1), w(4, 1);
  for (Index j = 0; j < 4; ++j) ratio(j) = random_share(engine), w(j) = random_share(engine);
  const ExactMatrix kappa = ratio.cwiseProduct(p);
  const auto loss = [&](const ExactMatrix& W) {
    return half * square(y - W * p) + half * square(W, rows_of(3, quotients(ones - w, ratio)));
  };
  auto ws = recurrences::DeltaRule<>(4, 3).workspace<Q>();
  Array<Q> memory(3, 4);
  assign(memory, S);
  Array<Q, Dynamic, 1> by(4, 1), read(4, 1), written(4, 1), target(3, 1);
  assign(by, w), assign(read, p), assign(written, kappa), assign(target, y);
  recurrences::core_before(recurrences::KeyDecay{by}, read, written, target, memory, ws);
  CHECK((value_of(memory) == S - gradient(loss, S) * diagonal(ratio)));
}
