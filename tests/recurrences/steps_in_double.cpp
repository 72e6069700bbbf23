// SPDX-License-Identifier: Apache-2.0
// What rules with roots, logarithms and angles are steps of, which no rational can say.
#include <cmath>
#include <complex>
#include <utility>

#include <Eigen/Core>

#include "support/catch.hpp"
#include "support/message_of.hpp"
#include "support/random.hpp"

#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/mamba2.hpp"
#include "gdssm/blocks/recurrences/omega_rule.hpp"
#include "gdssm/blocks/recurrences/preconditioned_gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/sequence_pass.hpp"
#include "gdssm/blocks/recurrences/ttt_linear.hpp"
#include "gdssm/blocks/recurrences/ttt_linear_normed.hpp"
#include "gdssm/blocks/recurrences/turning_mamba3.hpp"

using namespace gdssm;
using namespace gdssm::recurrences;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::Random;

TEST_CASE("The preconditioned gated delta rule takes a step in the metric of the keys' second moment", "[theorem]") {
  const PreconditionedGatedDeltaRule<> rule(4, 3, 1e-3, 2.5);
  Random random(1);
  auto c = rule.constants<InArrays<double>>();
  auto x = tokens_of<double>(rule, 1);
  auto state = rule.initial_state<double>();
  random.fill(c), random.fill(x), random.fill(state);
  for (Index j = 0; j < 4; ++j) state.second_moment[j] += 1;
  x.alpha_A.data()[0] = 0.7, x.beta_A.data()[0] = 0.4;
  const MatrixXd S = state.memory.matrix();
  const VectorXd a = state.second_moment.matrix();
  const auto token = token_at<double>(rule, x, 0);
  const Eigen::Map<const VectorXd> k(token.k.data(), 4), v(token.v.data(), 3);
  auto ws = rule.workspace<double>();
  rule.step(c, token, state, ws);

  const VectorXd moment = 0.7 * a + 0.4 * k.cwiseProduct(k);
  CHECK((state.second_moment.matrix() - moment).norm() < 1e-15);
  VectorXd m(4);
  for (Index j = 0; j < 4; ++j) {
    const double r = std::log(moment[j] + 1e-3) - c.center[0];
    m[j] = std::pow(2.5, -r / (1 + std::abs(r)));
    CHECK(m[j] > 1 / 2.5);
    CHECK(m[j] < 2.5);
  }
  const MatrixXd decayed = token.alpha[0] * S, gradient = -(v - decayed * k) * k.transpose();
  CHECK((state.memory.matrix() - (decayed - token.beta[0] * gradient * m.asDiagonal())).norm() < 1e-14);

  // After its decay J_jl = beta m_j k_j k_l: not symmetric, since m is not constant.
  CHECK(std::abs(m[0] - m[1]) > 1e-3);
}

TEST_CASE("TTT-linear with layer norm descends on 1/2 |LN(S k + c) - (v - k)|^2", "[theorem]") {
  const Index d = 4;
  const TttLinearNormed<> rule(d, 2, 0.01);
  Random random(2);
  auto c = rule.constants<InArrays<double>>();
  auto x = tokens_of<double>(rule, 2);
  auto state = rule.initial_state<double>();
  random.fill(c), random.fill(x), random.fill(state.memory), random.fill(state.bias);
  const MatrixXd S = state.memory.matrix();
  const VectorXd bias = state.bias.matrix();
  const auto normed = [&](const VectorXd& z) {
    const VectorXd centred = z.array() - z.mean();
    return VectorXd(c.ln_weight.matrix().cwiseProduct(centred / std::sqrt(centred.squaredNorm() / d + 0.01)) +
                    c.ln_bias.matrix());
  };
  const auto loss = [&](const MatrixXd& W, const VectorXd& b) {
    double sum = 0;
    for (Index t = 0; t < 2; ++t) {
      const auto token = token_at<double>(rule, x, t);
      const Eigen::Map<const VectorXd> k(token.k.data(), d), v(token.v.data(), d);
      sum += token.eta[0] / 2 * (normed(W * k + b) - (v - k)).squaredNorm();
    }
    return sum;
  };
  auto ws = rule.workspace<double>();
  for (Index t = 0; t < 2; ++t) rule.step(c, token_at<double>(rule, x, t), state, ws);

  const double theta = token_at<double>(rule, x, 1).theta[0], h = 1e-5;
  for (Index i = 0; i < d; ++i) {
    VectorXd above = bias, below = bias;
    above[i] += h, below[i] -= h;
    CHECK(state.bias[i] == Approx(bias[i] - theta * (loss(S, above) - loss(S, below)) / (2 * h)).margin(1e-9));
    for (Index j = 0; j < d; ++j) {
      MatrixXd more = S, less = S;
      more(i, j) += h, less(i, j) -= h;
      CHECK(state.memory(i, j) ==
            Approx(S(i, j) - theta * (loss(more, bias) - loss(less, bias)) / (2 * h)).margin(1e-9));
    }
  }
  Array<double, Dynamic, 1> q(d, 1), o(d, 1);
  random.fill(q);
  rule.read(c, state, std::as_const(q).view(), o.view(), ws);
  CHECK((o.matrix() - (q.matrix() + normed(state.memory.matrix() * q.matrix() + state.bias.matrix()))).norm() < 1e-14);
}

TEST_CASE("Mamba-3 that turns is a complex recurrence whose decay turns the other way", "[theorem]") {
  using Complex = std::complex<double>;
  const TurningMamba3<> rule(2, 1);
  Random random(3);
  auto x = tokens_of<double>(rule, 5);
  random.fill(x);
  for (Index t = 0; t < 5; ++t) x.pair.lambda_.data()[t] = 1;  // the token before is not looked at
  auto state = rule.initial_state<double>();
  random.fill(state.angle);
  auto ws = rule.workspace<double>();
  Complex h = 0;
  double angle = state.angle[0];
  for (Index t = 0; t < 5; ++t) {
    const auto token = token_at<double>(rule, x, t);
    rule.step({}, token, state, ws);
    const double turn = token.omega[0] * token.pair.dt[0];
    angle += turn;
    const Complex key(token.pair.k[0], token.pair.k[1]);
    h = token.pair.alpha[0] * std::polar(1.0, -turn) * h + token.pair.dt[0] * token.pair.v[0] * key;
    Array<double, Dynamic, 1> q(2, 1), o(1, 1);
    random.fill(q);
    rule.read({}, state, std::as_const(q).view(), o.view(), ws);
    CHECK(o[0] == Approx((std::conj(h) * Complex(q[0], q[1])).real()).margin(1e-14));
  }
  CHECK(state.angle[0] == Approx(angle));
}

TEST_CASE("The stand-in of the exponential in the rational tests is one in numbers: Mamba-2 decays by exp(A Delta)") {
  const Mamba2<> rule(1, 1);
  auto c = rule.constants<InArrays<double>>();
  auto x = tokens_of<double>(rule, 1);
  auto state = rule.initial_state<double>();
  c.A[0] = -0.8, x.dt.data()[0] = 0.5, state.memory[0] = 2, x.k.data()[0] = 3, x.v.data()[0] = 5;
  auto ws = rule.workspace<double>();
  rule.step(c, token_at<double>(rule, x, 0), state, ws);
  CHECK(state.memory[0] == Approx(2 * std::exp(-0.4) + 0.5 * 15).epsilon(1e-15));
}

TEST_CASE("Rules and passes refuse sizes that cannot be", "[misuse]") {
  using test::message_of;
  CHECK(message_of([] { Mamba2<>(0, 3); }) == "learning rule: the memory is 3 x 0, expected at least 1 x 1");
  CHECK(message_of([] { Mamba2<4, 3>(4, 2); }) == "learning rule: the size of values is 2, expected 3");
  CHECK(message_of([] { Mamba2<4>(5); }) == "learning rule: the size of keys is 5, expected 4");
  CHECK(message_of([] { DeltaProduct<>(4, 3, 0); }) == "DeltaProduct: the number of steps is 0, expected at least 1");
  CHECK(message_of([] { DeltaProduct<4, 3, 2>(4, 3, 3); }) == "DeltaProduct: the number of steps is 3, expected 2");
  CHECK(message_of([] { OmegaRule<>(4, 3, 0); }) == "OmegaRule: the window is 0, expected at least 1");
  CHECK(message_of([] { TttLinear<>(4, 3, 0); }) == "TttLinear: the batch is 0, expected at least 1");
  CHECK(message_of([] { TttLinearNormed<>(4, 0); }) == "TttLinearNormed: the batch is 0, expected at least 1");
  CHECK(message_of([] { TurningMamba3<>(3, 1); }) == "TurningMamba3: the size of keys is 3, expected an even number");
  CHECK(message_of([] { PreconditionedGatedDeltaRule<>(4, 3, 1e-6, 0.0); }) ==
        "PreconditionedGatedDeltaRule: the base is 0, expected a number above 0");

  const Mamba2<> rule(2, 1);
  CHECK(message_of([&] { SequencePass<Mamba2<>, double>(rule, 4, 0); }) ==
        "SequencePass: the chunk is 0, expected at least 1");
  CHECK(message_of([&] { SequencePass<Mamba2<>, double>(rule, -1); }) ==
        "SequencePass: the length is -1, expected at least 0");
  SequencePass<Mamba2<>, double> pass(rule, 4);
  auto state = rule.initial_state<double>();
  const auto c = rule.constants<InArrays<double>>();
  const auto forward = [&](Index tokens, Index queries, Index outputs) {
    const Array<double> q(2, queries);
    Array<double> o(1, outputs);
    return message_of([&] { pass.forward(c, tokens_of<double>(rule, tokens), q.view(), state, o.view()); });
  };
  CHECK(forward(4, 4, 4) == "");
  CHECK(forward(5, 5, 5) == "SequencePass::forward: the sequence has 5 tokens, expected at most 4");
  CHECK(forward(3, 4, 4) == "SequencePass::forward: k has 3 tokens, expected 4");
  CHECK(forward(4, 4, 3) == "SequencePass::forward: the number of outputs is 3, expected 4");
}
