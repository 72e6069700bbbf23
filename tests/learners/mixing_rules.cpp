// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/mixing_rules.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/learners/combined_rules.hpp"
#include "gdssm/learners/learner_bank.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "gdssm/learners/regression.hpp"
#include "io/support.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::linear_stream;
using test::message_of;
using test::predictions_of;
using test::Stream;

/// The losses of a rule and of each of its experts on a sequence.
struct Losses {
  double mixture = 0;
  VectorXd experts;
  std::vector<VectorXd> by_row;
};

/// An adversary: it mostly chooses the target, -1 or 1, that hurts the mixture most, and sometimes 0, at random.
template <class Rule>
Losses play(Rule& rule, Index K, Index rows, std::uint64_t seed) {
  test::Random random(seed);
  rule.start(K, 1);
  Losses losses;
  losses.experts.setZero(K);
  for (Index t = 0; t < rows; ++t) {
    MatrixXd predictions(1, K);
    for (double& p : predictions.reshaped()) p = 2 * random();
    if (t / 100 % 2 == 0) predictions(0, t / 400 % K) *= 0.1;
    const double mixture = rule.mix(predictions)[0];
    const double mood = random();
    const VectorXd y = VectorXd::Constant(1, mood < -0.2 ? 0.0 : mixture > 0 ? -1.0 : 1.0);
    losses.mixture += std::pow(mixture - y[0], 2);
    losses.by_row.push_back((predictions.row(0).array() - y[0]).square().matrix().transpose());
    losses.experts += losses.by_row.back();
    rule.update(predictions, y);
  }
  return losses;
}

TEST_CASE("Theorem: (16) holds for AdaHedge, also on targets that an adversary has chosen", "[theorem]") {
  for (const Index K : {2, 5, 17})
    for (const double share : {0.0, 0.001, 0.02})
      for (const std::uint64_t seed : {1u, 2u, 3u}) {
        CAPTURE(K, share, seed);
        AdaHedge<> rule(share);
        const Losses losses = play(rule, K, 2000, seed);
        const double regret = losses.mixture - losses.experts.minCoeff(), bound = rule.regret_bound();
        CHECK(regret <= bound);
        if (share < 0.01) CHECK(bound < 0.25 * losses.mixture);  // it says something
        if (share == 0) continue;
        // The best expert of each stretch of 400 rows.
        double stretches = 0;
        for (std::size_t begin = 0; begin < 2000; begin += 400) {
          VectorXd sum = VectorXd::Zero(K);
          for (std::size_t t = begin; t < begin + 400; ++t) sum += losses.by_row[t];
          stretches += sum.minCoeff();
        }
        CHECK(losses.mixture - stretches <= rule.regret_bound(0, 4));
      }
}

/// The loss sum_k w_k l_k of a rule when expert k loses losses(k).
template <class Rule>
double suffer(Rule& rule, const VectorXd& losses) {
  using T = typename Rule::Scalar;
  const Eigen::MatrixX<T> predictions = losses.cwiseSqrt().transpose().cast<T>();
  const double loss = losses.dot(rule.weights().col(0).template cast<double>());
  rule.mix(predictions);
  rule.update(predictions, Eigen::VectorX<T>::Zero(1));
  return loss;
}

TEMPLATE_TEST_CASE("Theorem: (16) holds where experts take turns whose weights have become 0", "[theorem]", float,
                   double) {
  for (const double jump : {1.0, 1e2, 1e4, 1e6, 1e9}) {
    AdaHedge<TestType> rule;
    rule.start(2, 1);
    double mixture = 0;
    VectorXd experts = VectorXd::Zero(2);
    for (int t = 0; t < 2000; ++t) {
      const double size = t == 60 ? jump / 2 : jump;
      const VectorXd losses = t < 60 ? VectorXd{{0, 1}} : t % 2 == 0 ? VectorXd{{0, size}} : VectorXd{{size, 0}};
      mixture += suffer(rule, losses);
      experts += losses;
    }
    CAPTURE(jump);
    CHECK(mixture - experts.minCoeff() <= static_cast<double>(rule.regret_bound()));
    CHECK(mixture - experts.minCoeff() < 50 * std::max(jump, 1.0));
  }
}

TEST_CASE("Theorem: (16) holds for a change of experts right after the first losses", "[theorem]") {
  for (const Index K : {2, 5, 17})
    for (const double share : {0.001, 0.05, 0.5}) {
      CAPTURE(K, share);
      AdaHedge<> rule(share);
      rule.start(K, 1);
      VectorXd last = VectorXd::Zero(K);
      last[K - 1] = 1;
      const double mixture = suffer(rule, last) + suffer(rule, VectorXd::Ones(K) - last);
      CHECK(mixture <= rule.regret_bound(0, 1));  // the first expert, then the last, lose nothing
    }
}

template <class Rule>
void check_alone(Rule rule) {
  const Stream stream = linear_stream(3, 2, 40, 5);
  Bank bank(rule, RidgeLearner<>(3, 2));
  RidgeLearner<> member(3, 2);
  CHECK(predictions_of(bank, stream) == predictions_of(member, stream));
}

TEST_CASE("A bank of one answers what its member answers, to the bit, whatever the rule", "[theorem]") {
  check_alone(AdaHedge<>(0.01));
  check_alone(LogScore<>());
  check_alone(Stacking<LogScore<>>());
  check_alone(Blend(AdaHedge<>(), LogScore<>(), Stacking<AdaHedge<>>()));
}

TEST_CASE("Every rule finds the expert that is right, and again when another one is", "[theorem]") {
  const auto check = [](auto rule) {
    rule.start(4, 1);
    test::Random random(6);
    double recent = 0;
    for (int t = 0; t < 2000; ++t) {
      MatrixXd predictions(1, 4);
      for (double& p : predictions.reshaped()) p = random();
      const VectorXd y = VectorXd::Constant(1, predictions(0, t < 1000 ? 1 : 2) + 0.01 * random());
      const double error = rule.mix(predictions)[0] - y[0];
      if (t % 1000 >= 900) recent += error * error / 200;
      rule.update(predictions, y);
    }
    CHECK(recent < 0.005);  // a guess costs 1/12
  };
  check(AdaHedge<>(0.01));
  check(LogScore<>());
  check(LogScore<>({.decay = 0.95, .share = 0, .rate = 1, .discount = 0.95}));
}

TEST_CASE("Stacking finds a combination that no weights between 0 and 1 make", "[theorem]") {
  Stacking<LogScore<>> rule;
  rule.start(2, 1);
  test::Random random(7);
  double recent = 0;
  for (int t = 0; t < 1000; ++t) {
    const double a = random(), b = random();
    const MatrixXd predictions{{a, b}};
    const VectorXd y = VectorXd::Constant(1, 1.5 * a - 0.5 * b);
    if (t >= 900) recent += std::pow(rule.mix(predictions)[0] - y[0], 2) / 100;
    rule.mix(predictions);
    rule.update(predictions, y);
  }
  CHECK(recent < 3e-6);
}

/// The logarithms of LogScore's densities of three experts at a target, up to a common constant.
Eigen::ArrayXd log_densities(const LogScore<>& rule, const MatrixXd& predictions, double y) {
  const Eigen::ArrayXd S = rule.state().squares.col(0), e = y - predictions.row(0).transpose().array();
  const double W = rule.state().weight[0];
  const double median = std::max(std::min(S[0], S[1]), std::min(std::max(S[0], S[1]), S[2]));
  const Eigen::ArrayXd v = (S + 2 * median / W) / (W + 2);
  return -0.5 * v.log() - 2.5 * (1 + e.square() / (4 * v)).log();
}

TEST_CASE("Theorem: LogScore's density is bounded on the rows on which experts differ, from the second on",
          "[theorem]") {
  for (const double share : {0.0, 0.01})
    for (const double rate : {0.5, 1.0})
      for (const Index early : {0, 500}) {
        LogScore<> rule({.decay = 0.99, .share = share, .rate = rate});
        rule.start(3, 1);
        test::Random random(9);
        double mixture = 0, rows = 0;
        Eigen::ArrayXd experts = Eigen::ArrayXd::Zero(3);
        for (Index t = 0; t < 600; ++t) {
          const double y = 0.3 * random(), near = y + 1e-3 * random();
          MatrixXd predictions{{random(), 2 * random(), random()}};
          // Two experts lose their weight, first slowly and then in one row; then the third has the largest possible
          // error.
          if (0 < t && t < early - 1) predictions << near, y - 3, y + 2;
          if (0 < t && t == early - 1) predictions << near, 1e9, -1e9;
          if (0 < t && t == early) predictions << 1e100, y + 2, y;
          if (t % 4 == 1) predictions.setConstant(y + 3);  // no row of the bound
          if (t > 0 && t % 4 != 1) {
            const Eigen::ArrayXd d = log_densities(rule, predictions, y), w = rule.weights().col(0).array().log() + d;
            mixture -= w.maxCoeff() + std::log((w - w.maxCoeff()).exp().sum());
            experts -= d;
            const double bound = (std::log(3) - rows++ * std::log1p(-share)) / rate;
            CAPTURE(share, rate, early, t);
            REQUIRE(mixture - experts.minCoeff() <= bound + 1e-9);
          }
          rule.mix(predictions);
          rule.update(predictions, VectorXd::Constant(1, y));
        }
      }
}

TEST_CASE("Rows on which all experts say the same leave LogScore as it is", "[theorem]") {
  LogScore<> rule;
  rule.start(2, 1);
  for (const double y : {1.0, 2.0, -1.0}) {
    const MatrixXd predictions{{0.5, 0.1 * y}};
    rule.mix(predictions);
    rule.update(predictions, VectorXd::Constant(1, y));
  }
  const auto state = rule.state();
  rule.mix(MatrixXd::Ones(1, 2));
  rule.update(MatrixXd::Ones(1, 2), VectorXd::Constant(1, 7));
  CHECK(rule.state() == state);
}

/// A rule after some rows, on which the experts err differently.
template <class Rule>
Rule after_rows(Rule rule, Index K, Index rows, std::uint64_t seed) {
  test::Random random(seed);
  rule.start(K, 2);
  MatrixXd predictions(2, K);
  VectorXd y(2);
  for (Index t = 0; t < rows; ++t) {
    random.fill(predictions);
    for (double& entry : y) entry = random();
    rule.mix(predictions);
    rule.update(predictions, y);
  }
  return rule;
}

TEST_CASE("Theorem: AdaHedge's weights, gap and e are (14)'s, its shares (15)'s and its bound (16)'s", "[theorem]") {
  for (const double share : {0.0, 0.02}) {
    const Index K = 4;
    AdaHedge<> rule(share);
    rule.start(K, 1);
    test::Random random(11);
    VectorXd R = VectorXd::Zero(K), w = VectorXd::Constant(K, 0.25);
    double gap = 0, e = 0, sharing = 0;
    const double log_K = std::log(4.0);
    for (int t = 0; t < 60; ++t) {
      CAPTURE(share, t);
      MatrixXd predictions(1, K);
      random.fill(predictions);
      const double y = random(), eta_before = log_K / (gap + e);
      const VectorXd l = (predictions.row(0).array() - y).square();
      const VectorXd decayed = (-eta_before * l.array()).exp();
      gap += w.dot(l) - (t == 0 ? l.minCoeff() : -std::log(w.dot(decayed)) / eta_before);
      e = std::max(e, 1e-6 * l.maxCoeff());
      R += l;
      if (share > 0) {
        const double eta = t == 0 ? log_K / (gap + e) : eta_before;
        VectorXd v = (-eta * (R.array() - R.minCoeff())).exp();
        v /= v.sum();
        R = -((1 - share) * v.array() + share / 4).log() / eta;
        sharing += std::log(1 / (1 - share)) / eta;
      }
      const double next = log_K / (gap + e);
      w = (-next * (R.array() - R.minCoeff())).exp();
      w /= w.sum();
      rule.mix(predictions);
      rule.update(predictions, VectorXd::Constant(1, y));
      CHECK((rule.weights() - w).cwiseAbs().maxCoeff() < 1e-12);
      CHECK(rule.state().gap[0] == Approx(gap).epsilon(1e-12));
      CHECK(rule.state().floor[0] == Approx(e).epsilon(1e-14));
      CHECK(rule.state().sharing[0] == Approx(sharing).epsilon(1e-12));
      const double changes = 3, price = 1 + changes * std::log(4 / share) / log_K;
      CHECK(rule.regret_bound() == Approx(gap + (gap + e) + sharing).epsilon(1e-12));
      if (share > 0) CHECK(rule.regret_bound(0, 3) == Approx(gap + (gap + e) * price + sharing).epsilon(1e-12));
    }
    if (share == 0) CHECK(std::isinf(rule.regret_bound(0, 1)));
  }
}

TEST_CASE("Theorem: of two AdaHedges merged, losses, gaps and shares add up, and the larger e stands", "[theorem]") {
  const auto one = after_rows(AdaHedge<>(0.01), 3, 20, 1), other = after_rows(AdaHedge<>(0.01), 3, 30, 2);
  const auto a = one.state(), b = other.state();
  for (const bool swapped : {false, true}) {
    auto merged = swapped ? other : one;
    merged.merge(swapped ? a : b);
    const MatrixXd sum = a.losses + b.losses;
    for (Index i = 0; i < 2; ++i) {
      CHECK(merged.state().losses.col(i) == VectorXd(sum.col(i).array() - sum.col(i).minCoeff()));
      CHECK(merged.state().floor[i] == std::max(a.floor[i], b.floor[i]));
      const double eta = std::log(3.0) / (a.gap[i] + b.gap[i] + std::max(a.floor[i], b.floor[i]));
      VectorXd w = (-eta * merged.state().losses.col(i).array()).exp();
      CHECK((merged.weights().col(i) - w / w.sum()).cwiseAbs().maxCoeff() < 1e-14);
    }
    CHECK(merged.state().gap == a.gap + b.gap);
    CHECK(merged.state().sharing == a.sharing + b.sharing);
  }
}

TEST_CASE("Theorem: of two LogScores merged, evidence multiplies and the earlier errors fade", "[theorem]") {
  const LogScore<>::Settings settings{.decay = 0.9};
  for (const Index rows : {4, 60}) {
    const auto one = after_rows(LogScore<>(settings), 3, 20, 3), other = after_rows(LogScore<>(settings), 3, rows, 4);
    const auto a = one.state(), b = other.state();
    auto merged = one;
    merged.merge(b);
    for (Index i = 0; i < 2; ++i) {
      const double faded = std::max(0.0, 1 - 0.1 * b.weight[i]);
      const VectorXd w = a.weights.col(i).cwiseProduct(b.weights.col(i));
      CHECK((merged.weights().col(i) - w / w.sum()).cwiseAbs().maxCoeff() < 1e-15);
      CHECK(merged.state().weight[i] == Approx(faded * a.weight[i] + b.weight[i]).epsilon(1e-15));
      CHECK((merged.state().squares.col(i) - (faded * a.squares.col(i) + b.squares.col(i))).cwiseAbs().maxCoeff() <
            1e-15);
    }
    CHECK(a.weight[0] > 1);
  }
}

TEST_CASE("Theorem: LogScore's weights are w^c d^a, shared, with the median of all errors in d", "[theorem]") {
  for (const Index K : {2, 3, 4, 5}) {
    const double D = 0.9, alpha = 0.03, power = 0.7, c = 0.95;
    LogScore<> rule({.decay = D, .share = alpha, .rate = power, .discount = c});
    rule.start(K, 1);
    test::Random random(12);
    std::vector<double> S(static_cast<std::size_t>(K), 0);
    VectorXd w = VectorXd::Constant(K, 1 / static_cast<double>(K));
    double W = 0;
    for (int t = 0; t < 40; ++t) {
      CAPTURE(K, t);
      MatrixXd predictions(1, K);
      for (Index k = 0; k < K; ++k) predictions(0, k) = random() * static_cast<double>(1 + k * k);
      const double y = random();
      if (t > 0) {
        std::vector<double> sorted = S;
        std::sort(sorted.begin(), sorted.end());
        const std::size_t half = sorted.size() / 2;
        const double median = K % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
        for (Index k = 0; k < K; ++k) {
          const double v = (S[static_cast<std::size_t>(k)] + 2 * median / W) / (W + 2);
          const double d = std::pow(1 + std::pow(y - predictions(0, k), 2) / (4 * v), -2.5) / std::sqrt(v);
          w[k] = std::pow(w[k], c) * std::pow(d, power);
        }
        w = (1 - alpha) * w / w.sum() + VectorXd::Constant(K, alpha / static_cast<double>(K));
      }
      for (Index k = 0; k < K; ++k) {
        double& sum = S[static_cast<std::size_t>(k)];
        sum = D * sum + std::pow(y - predictions(0, k), 2);
      }
      W = D * W + 1;
      rule.mix(predictions);
      rule.update(predictions, VectorXd::Constant(1, y));
      CHECK((rule.weights() - w).cwiseAbs().maxCoeff() < 1e-13);
    }
  }
}

TEST_CASE("Theorem: stacking is ridge regression of what its base misses, of two merged that of all rows",
          "[theorem]") {
  const Index K = 3;
  const auto one = after_rows(Stacking<LogScore<>>(LogScore<>(), 2), K, 20, 5),
             other = after_rows(Stacking<LogScore<>>(LogScore<>(), 2), K, 15, 6);
  const auto fresh = after_rows(Stacking<LogScore<>>(LogScore<>(), 2), K, 0, 0);
  const auto a = one.state(), b = other.state();
  auto merged = one;
  merged.merge(b);
  const auto s = merged.state();
  CHECK(s.rows[0] == 35);
  CHECK(s.counted == a.counted + b.counted);
  CHECK(s.products == a.products + b.products);
  CHECK(s.targets == a.targets + b.targets);
  CHECK(s.squares == a.squares + b.squares);
  CHECK(s.least == a.least.cwiseMin(b.least));
  CHECK(s.most == a.most.cwiseMax(b.most));

  MatrixXd predictions(2, K);
  test::Random(7).fill(predictions);
  LogScore<> base;
  base.start(K, 2);
  base.set_state(s.inner);
  const VectorXd start = base.mix(predictions), mixture = merged.mix(predictions);
  for (Index i = 0; i < 2; ++i) {
    const VectorXd d = predictions.row(i).transpose().array() - start[i];
    const double s2 = s.squares[i] / s.counted[i];
    const MatrixXd H = s.products.middleCols(i * K, K) / s2 + 2 * MatrixXd::Identity(K, K);
    const double expected = start[i] + d.dot(H.ldlt().solve(VectorXd(s.targets.col(i) / s2)));
    CHECK(std::abs(mixture[i] - expected) < 1e-13);
  }

  auto empty = fresh;  // 0 is no target of its
  empty.merge(a);
  CHECK(empty.state().least == a.least);
  CHECK(empty.state().most == a.most);
  CHECK(a.least.maxCoeff() < 0);
}

TEST_CASE("In float too, one row more counts after 2^24, and one loss more after as many", "[regression]") {
  const float many = 16777216;
  const Eigen::MatrixXf predictions{{3, 1}};
  const Eigen::VectorXf y = Eigen::VectorXf::Zero(1);
  {
    AdaHedge<float> rule;
    rule.start(2, 1);
    auto state = rule.state();
    state.losses.col(0) << 0, 2 * many;
    state.gap[0] = many;
    rule.set_state(state);
    rule.mix(Eigen::MatrixXf{{1, 0}});
    for (int t = 0; t < 100; ++t) rule.update(Eigen::MatrixXf{{1, 0}}, y);
    CHECK(static_cast<double>(rule.state().losses(1, 0)) == 2.0 * many - 100);
  }
  {
    LogScore<float> rule({.decay = 1});
    rule.start(2, 1);
    auto state = rule.state();
    state.squares.col(0).setConstant(many);
    state.weight[0] = many;
    rule.set_state(state);
    rule.mix(predictions);
    for (int t = 0; t < 100; ++t) rule.update(predictions, y);
    CHECK(static_cast<double>(rule.state().squares(1, 0)) == many + 100.0);
    CHECK(static_cast<double>(rule.state().weight[0]) == many + 100.0);
  }
  {
    Stacking<AdaHedge<float>> rule;
    rule.start(2, 1);
    auto state = rule.state();
    state.inner.losses.col(0) << many, 0;
    state.inner.gap[0] = 1;
    state.squares[0] = state.counted[0] = many;
    rule.set_state(state);
    for (int t = 0; t < 100; ++t) {
      rule.mix(predictions);
      rule.update(predictions, y);
    }
    CHECK(static_cast<double>(rule.state().squares[0]) == many + 100.0);
    CHECK(static_cast<double>(rule.state().counted[0]) == many + 100.0);
  }
}

TEST_CASE("Members of other sizes, no members and shares of 1 or below 0 are refused", "[misuse]") {
  CHECK(message_of([] { Bank(AdaHedge<>(), LastValue<>(2, 1), LastValue<>(3, 1)); }) ==
        "Bank: a member's number of inputs is 3, expected 2");
  CHECK(message_of([] { Bank(AdaHedge<>(), std::vector<LastValue<>>()); }) ==
        "Bank: there are no members, expected at least one");
  CHECK(message_of([] { AdaHedge<>(1.0); }) == "AdaHedge: share is 1, expected at least 0 and below 1");
  CHECK(message_of([] { LogScore<>({.discount = 0}); }).find("expected above 0") != std::string::npos);
  for (const double rate : {-0.1, 1.1, std::nan("")})
    CHECK(message_of([&] { LogScore<>({.rate = rate}); }).find(", expected from 0 to 1") != std::string::npos);
}

}  // namespace
}  // namespace gdssm
