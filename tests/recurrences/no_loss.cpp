// SPDX-License-Identifier: Apache-2.0
// Rules that descend no loss in the Euclidean metric: J of S' = S - F(S) would be symmetric. Two rationals tell.
#include "recurrences/exact_rules.hpp"

#include <initializer_list>

#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/gated_delta_net2.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/longhorn_diagonal.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"
#include "gdssm/blocks/recurrences/titans.hpp"

using namespace gdssm;
using namespace gdssm::test;

namespace {

template <class Member>
void set(Member& member, std::initializer_list<Q> entries) {
  REQUIRE(member.size() == static_cast<Index>(entries.size()));
  Index i = 0;
  for (const Q& entry : entries) member.data()[i++] = entry;
}
Q over(int numerator, int denominator) { return Q(numerator) / Q(denominator); }

}  // namespace

TEST_CASE("KDA in one stage has no Euclidean loss", "[theorem]") {
  Engine engine(1);
  OneToken one(recurrences::Kda<>(2, 3), engine);
  set(one.token.alpha, {over(1, 2), over(1, 3)});
  set(one.token.k, {Q(1), Q(2)});
  set(one.token.beta, {over(1, 2)});
  const ExactMatrix J = jacobian(one);
  CHECK(J(0, 1) == over(1, 3));
  CHECK(J(1, 0) == over(1, 2));
  set(one.token.k, {Q(1), Q(0)});  // on whose support alpha is constant
  CHECK((jacobian(one) == jacobian(one).transpose()));
}

TEST_CASE("Gated DeltaNet-2 has no Euclidean loss, after its decay", "[theorem]") {
  Engine engine(2);
  OneToken one(recurrences::GatedDeltaNet2<>(2, 3), engine);
  set(one.token.alpha, {Q(1), Q(1)});
  const auto b = token_at<Q>(one.rule, one.token, 0).b;
  const auto k = token_at<Q>(one.rule, one.token, 0).k;
  const ExactMatrix J = jacobian(one);
  CHECK(J(0, 1) == b[1] * k[0] * k[1]);
  CHECK(J(1, 0) == b[0] * k[0] * k[1]);
  CHECK(J(0, 1) != J(1, 0));
  set(one.token.b, {over(1, 3), over(1, 3)});
  CHECK((jacobian(one) == jacobian(one).transpose()));
}

TEST_CASE("Comba has a Euclidean loss where p is parallel to k, and none in any metric where <p, k> = 0", "[theorem]") {
  Engine engine(3);
  OneToken one(recurrences::Comba<>(2, 3), engine);
  const auto x = token_at<Q>(one.rule, one.token, 0);
  const ExactMatrix J = jacobian(one);
  CHECK(J(0, 1) == x.beta[0] * x.k[0] * x.p[1]);
  CHECK(J(1, 0) == x.beta[0] * x.k[1] * x.p[0]);
  CHECK(J(0, 1) != J(1, 0));
  set(one.token.p, {-x.k[1], x.k[0]});  // I - M is then (1 - alpha) I and a nilpotent part, which is not diagonalisable
  const ExactMatrix nilpotent = jacobian(one) - (Q(1) - x.alpha[0]) * ExactMatrix::Identity(2, 2);
  CHECK((nilpotent * nilpotent == ExactMatrix::Zero(2, 2)));
  CHECK_FALSE((nilpotent == ExactMatrix::Zero(2, 2)));
}

TEST_CASE("A written key that is scaled channel by channel has no Euclidean loss, after its decay", "[theorem]") {
  // The preconditioned gated delta rule, (35), m being given.
  Engine engine(9);
  const OneToken one(recurrences::Rwkv7<>(2, 3), engine);
  const auto x = token_at<Q>(one.rule, one.token, 0);
  const ExactMatrix S = one.S();
  const Q beta = over(1, 2), m[] = {over(1, 2), over(2, 3)};
  Array<Q, Dynamic, 1> written(2, 1);
  for (Index j = 0; j < 2; ++j) written[j] = beta * m[j] * x.k[j];
  const auto after = [&](const ExactMatrix& at) {
    auto ws = one.rule.workspace<Q>();
    Array<Q> memory(3, 2);
    assign(memory, at);
    recurrences::core_after(recurrences::NoDecay(), x.k, written, x.v, memory, ws);
    return value_of(memory);
  };
  ExactMatrix J(2, 2);
  for (Index l = 0; l < 2; ++l) {
    ExactMatrix moved = S;
    moved(0, l) += Q(1);
    J.col(l) = ((moved - S) - (after(moved) - after(S))).row(0).transpose();
  }
  CHECK(J(0, 1) == beta * m[0] * x.k[0] * x.k[1]);
  CHECK(J(1, 0) == beta * m[1] * x.k[0] * x.k[1]);
  CHECK(J(0, 1) != J(1, 0));
}

TEST_CASE("RWKV-7 has no Euclidean loss", "[theorem]") {
  Engine engine(4);
  OneToken one(recurrences::Rwkv7<>(2, 3), engine);
  set(one.token.kappa, {over(3, 5), over(4, 5)});
  set(one.token.a, {over(1, 4), over(3, 4)});
  const ExactMatrix J = jacobian(one);
  CHECK(J(0, 1) == over(3, 25));
  CHECK(J(1, 0) == over(9, 25));
  set(one.token.a, {over(1, 4), over(1, 4)});
  CHECK((jacobian(one) == jacobian(one).transpose()));
}

TEST_CASE("DeltaProduct of two steps has a Euclidean loss only where its keys commute", "[theorem]") {
  Engine engine(5);
  OneToken one(recurrences::DeltaProduct<>(2, 3, 2), engine);
  set(one.token.alpha, {Q(1)});
  const auto expect_entries = [&] {
    const auto x = token_at<Q>(one.rule, one.token, 0);
    const auto first = x.k.column(0), second = x.k.column(1);
    const Q sum = x.beta[0] * first[0] * first[1] + x.beta[1] * second[0] * second[1];
    const Q mixed = x.beta[0] * x.beta[1] * (first[0] * second[0] + first[1] * second[1]);
    const ExactMatrix J = jacobian(one);
    CHECK(J(0, 1) == sum - mixed * second[0] * first[1]);
    CHECK(J(1, 0) == sum - mixed * second[1] * first[0]);
    return J(0, 1) == J(1, 0);
  };
  CHECK_FALSE(expect_entries());
  set(one.token.k, {Q(1), Q(2), Q(-2), Q(1)});
  CHECK(expect_entries());
  set(one.token.k, {Q(1), Q(2), Q(2), Q(4)});
  CHECK(expect_entries());
}

TEST_CASE("Two reflections are a rotation, with no loss in any metric", "[theorem]") {
  Engine engine(6);
  OneToken one(recurrences::DeltaProduct<>(2, 3, 2), engine);
  set(one.token.alpha, {Q(1)});
  set(one.token.k, {Q(1), Q(0), over(3, 5), over(4, 5)});
  set(one.token.beta, {Q(2), Q(2)});
  const ExactMatrix M = ExactMatrix::Identity(2, 2) - jacobian(one);
  const Q determinant = M(0, 0) * M(1, 1) - M(0, 1) * M(1, 0);
  CHECK(M.trace() * M.trace() == over(196, 625));
  CHECK(determinant == Q(1));
}

TEST_CASE("Titans moves (S, B) along no Euclidean gradient, and may oscillate", "[theorem]") {
  Engine engine(7);
  OneToken one(recurrences::Titans<>(2, 3), engine);
  const auto x = token_at<Q>(one.rule, one.token, 0);
  const auto moved = [&](const auto& change) {
    OneToken other = one;
    change(other.state);
    const auto after = other.after(), plain = one.after();
    return std::pair<Q, Q>(after.memory(0, 1) - plain.memory(0, 1), after.momentum(0, 1) - plain.momentum(0, 1));
  };
  const auto by_B = moved([](auto& state) { state.momentum(0, 1) += Q(1); });
  const auto by_S = moved([](auto& state) { state.memory(0, 1) += Q(1); });
  CHECK(by_B.first == x.eta[0]);
  CHECK(by_S.second == -x.theta[0] * x.k[1] * x.k[1]);
  CHECK(by_B.first != by_S.second);

  // Along k, the pair moves by a matrix of trace alpha + eta - theta |k|^2 and determinant alpha eta.
  set(one.token.k, {Q(0), Q(1)});
  const auto along_B = moved([](auto& state) { state.momentum(0, 1) += Q(1); });
  const auto along_S = moved([](auto& state) { state.memory(0, 1) += Q(1); });
  const Q trace = along_S.first + along_B.second;
  CHECK(trace == x.alpha[0] + x.eta[0] - x.theta[0]);
  CHECK(along_S.first * along_B.second - along_B.first * along_S.second == x.alpha[0] * x.eta[0]);
}

TEST_CASE("The gated delta rule and the recurrence of Longhorn's code have losses", "[theorem]") {
  Engine engine(8);
  const ExactMatrix gated = jacobian(OneToken(recurrences::GatedDeltaRule<>(3, 2), engine));
  CHECK((gated == gated.transpose()));
  const ExactMatrix diagonal = jacobian(OneToken(recurrences::LonghornDiagonal<>(3, 2), engine));
  CHECK((diagonal == ExactMatrix(diagonal.diagonal().asDiagonal())));
}
