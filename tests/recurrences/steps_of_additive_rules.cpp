// SPDX-License-Identifier: Apache-2.0
#include "recurrences/exact_rules.hpp"

#include "gdssm/blocks/recurrences/gated_linear_attention.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/mamba3.hpp"
#include "gdssm/blocks/recurrences/ret_net.hpp"

using namespace gdssm;
using namespace gdssm::test;

TEST_CASE("Linear attention takes a step of size 1 on -<v, S k>, the gradient of the square at zero", "[theorem]") {
  Engine engine(1);
  const OneToken one(recurrences::LinearAttention<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const auto alignment = [&](const ExactMatrix& W) { return -v.cwiseProduct(W * k).sum(); };
  CHECK((one.memory_after() == S - gradient(alignment, S)));
  const auto error = [&](const ExactMatrix& W) { return half * square(v - W * k); };
  CHECK((one.memory_after() - S == -gradient(error, ExactMatrix::Zero(3, 4))));
}

TEST_CASE("RetNet takes a step of size 1 on -<v, S k> + (1 - gamma)/2 |S|^2", "[theorem]") {
  Engine engine(2);
  const OneToken one(recurrences::RetNet<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const Q gamma = one.constants.gamma[0];
  const auto loss = [&](const ExactMatrix& W) {
    return -v.cwiseProduct(W * k).sum() + (Q(1) - gamma) * half * square(W);
  };
  CHECK((one.memory_after() == S - gradient(loss, S)));
}

TEST_CASE("Mamba-2 takes a step of size 1 on -Delta <v, S k> + (1 - alpha)/2 |S|^2", "[theorem]") {
  Engine engine(3);
  OneToken one(recurrences::Mamba2<>(4, 3), engine);
  one.constants.A[0] = -one.constants.A[0];
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const Q Delta = one.token.dt.data()[0], alpha = exp(one.constants.A[0] * Delta);
  REQUIRE(alpha != Q(0));
  const auto loss = [&](const ExactMatrix& W) {
    return -Delta * v.cwiseProduct(W * k).sum() + (Q(1) - alpha) * half * square(W);
  };
  CHECK((one.memory_after() == S - gradient(loss, S)));
}

TEST_CASE("Gated linear attention takes a step of size 1 on -<v, S k> + 1/2 sum (1 - alpha_j) S_ij^2", "[theorem]") {
  Engine engine(4);
  const OneToken one(recurrences::GatedLinearAttention<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const ExactMatrix ones = ExactMatrix::Constant(4, 1, Q(1)), less = ones - value_of(one.token.alpha);
  const auto loss = [&](const ExactMatrix& W) {
    return -v.cwiseProduct(W * k).sum() + half * square(W, rows_of(3, less));
  };
  CHECK((one.memory_after() == S - gradient(loss, S)));
}

TEST_CASE("Mamba-3 takes a step of size 1 on -(1 - lambda) Delta alpha <v', S k'> - lambda Delta <v, S k> + decay",
          "[theorem]") {
  Engine engine(5);
  const OneToken one(recurrences::Mamba3<>(4, 3), engine);
  const ExactMatrix S = one.S(), k = value_of(one.token.k), v = value_of(one.token.v);
  const ExactMatrix before_k = value_of(one.state.key), before_v = value_of(one.state.value);
  const Q alpha = one.token.alpha.data()[0], Delta = one.token.dt.data()[0], lambda = one.token.lambda_.data()[0];
  const auto loss = [&](const ExactMatrix& W) {
    return -(Q(1) - lambda) * Delta * alpha * before_v.cwiseProduct(W * before_k).sum() -
           lambda * Delta * v.cwiseProduct(W * k).sum() + (Q(1) - alpha) * half * square(W);
  };
  CHECK((one.memory_after() == S - gradient(loss, S)));
  CHECK((value_of(one.after().key) == k));
  CHECK((value_of(one.after().value) == v));
}

TEST_CASE("Mamba-3 shifted by the next token's share of this one is Mamba-2", "[theorem]") {
  Engine engine(6);
  OneToken first(recurrences::Mamba3<>(4, 3), engine), second(first.rule, engine);
  second.state = first.after();
  const auto share = [](const auto& one) { return (Q(1) - one.token.lambda_.data()[0]) * one.token.dt.data()[0]; };
  const auto outer = [](const auto& v, const auto& k) { return ExactMatrix(value_of(v) * value_of(k).transpose()); };
  const ExactMatrix shifted = first.S() + share(first) * outer(first.state.value, first.state.key);
  const ExactMatrix moved = second.S() + share(second) * outer(first.token.v, first.token.k);
  const Q rate = first.token.lambda_.data()[0] * first.token.dt.data()[0] + share(second);
  CHECK((moved == first.token.alpha.data()[0] * shifted + rate * outer(first.token.v, first.token.k)));
}
