// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/default_classifier.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/algorithms/softmax_descent.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/learners/any_learner.hpp"
#include "gdssm/learners/classes.hpp"
#include "io/support.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::message_of;

/// Labels drawn from softmax(W x), one row a column.
struct Labelled {
  MatrixXd x, y, W;

  Labelled(Index f, Index c, Index rows, std::uint64_t seed, double strength = 2) : x(f, rows), y(c, rows), W(c, f) {
    RandomStream<> random(seed);
    for (double& w : W.reshaped()) w = strength * random.normal();
    for (Index t = 0; t < rows; ++t) {
      for (Index j = 0; j < f; ++j) x(j, t) = random.normal();
      const VectorXd p = softmax((W * x.col(t)).eval());
      double u = random.uniform();
      Index k = 0;
      while (k + 1 < c && u >= p[k]) u -= p[k++];
      y.col(t) = one_hot(k, c);
    }
  }
  Index rows() const { return x.cols(); }
};

/// The log loss of each row's prediction, made before the row was learned.
template <class L>
VectorXd losses_of(L& learner, const Labelled& stream) {
  VectorXd losses(stream.rows());
  for (Index t = 0; t < stream.rows(); ++t) {
    const VectorXd p = learner.predict(stream.x.col(t));
    REQUIRE(p.minCoeff() >= 0);
    REQUIRE(p.sum() == Approx(1));
    losses[t] = -stream.y.col(t).dot(p.cwiseMax(1e-300).array().log().matrix());
    learner.observe(stream.x.col(t), stream.y.col(t));
  }
  return losses;
}

TEST_CASE("Theorem: running frequencies lose at most (c - 1)/2 ln n + ln c more than the best constant ones, (63)",
          "[theorem]") {
  for (const Index c : {2, 3, 7})
    for (const int kind : {0, 1, 2}) {
      const Index rows = 500;
      Labelled stream(1, c, rows, 3);
      for (Index t = 0; t < rows && kind > 0; ++t)  // one class alone, and classes in blocks
        stream.y.col(t) = one_hot(kind == 1 ? Index(1) : t * c / rows, c);
      ClassFrequencies<> learner(1, c);
      const double loss = losses_of(learner, stream).sum(), n = static_cast<double>(rows);
      double best = 0;
      for (Index k = 0; k < c; ++k)
        if (const double count = stream.y.row(k).sum(); count > 0) best += count * std::log(n / count);
      CHECK(loss - best <= static_cast<double>(c - 1) / 2 * std::log(n) + std::log(static_cast<double>(c)));
      CHECK(loss >= best - 1e-9);
    }
}

TEST_CASE("Theorem: a Markov chain's frequencies are those among rows with the same class before", "[theorem]") {
  const Labelled stream(1, 3, 200, 4);
  ClassTransitions<> chain(1, 3);
  std::vector<ClassFrequencies<>> after(3, ClassFrequencies<>(1, 3));
  Index last = -1, k = 0;
  for (Index t = 0; t < stream.rows(); ++t) {
    const VectorXd x = stream.x.col(t), y = stream.y.col(t);
    if (last < 0)
      CHECK(chain.predict(x) == VectorXd::Constant(3, 1.0 / 3));
    else
      CHECK((chain.predict(x) - after[static_cast<std::size_t>(last)].predict(x)).norm() < 1e-15);
    if (last >= 0) after[static_cast<std::size_t>(last)].observe(x, y);
    chain.observe(x, y);
    y.maxCoeff(&k);
    last = k;
  }
}

TEST_CASE("Theorem: the one-step classifier is one step of (13b) from zero on all rows", "[theorem]") {
  for (const double decay : {1.0, 0.9}) {
    const Labelled stream(4, 3, 30, 5);
    SoftmaxStep<> learner(4, 3, {.decay = decay});
    for (Index t = 0; t < stream.rows(); ++t) {
      if (t > 0) {
        MatrixXd x = stream.x.leftCols(t), gradient = MatrixXd::Zero(3, 4), S = MatrixXd::Zero(4, 4);
        for (Index i = 0; i < t; ++i) {
          const double weight = std::pow(decay, static_cast<double>(t - 1 - i));
          gradient += weight * cross_entropy_gradient(MatrixXd::Zero(3, 4).eval(), x.col(i), stream.y.col(i));
          S += weight * x.col(i) * x.col(i).transpose();
        }
        const VectorXd expected = softmax((-2 / largest_eigenvalue_bound(S) * gradient * stream.x.col(t)).eval());
        CHECK((learner.predict(stream.x.col(t)) - expected).norm() < 1e-13);
      }
      learner.observe(stream.x.col(t), stream.y.col(t));
    }
  }
}

TEST_CASE("Theorem: the classifier of K steps is K steps of (13b) on its window, and each diminishes the loss",
          "[theorem]") {
  const Labelled stream(3, 3, 40, 6);
  const double rho = 0.5;
  double before = 1e300;
  for (const Index K : {0, 1, 2, 5, 20}) {
    SoftmaxDescent<> learner(3, 3, {.steps = K, .window = 12, .ridge = rho});
    losses_of(learner, stream);
    const MatrixXd x = stream.x.rightCols(12), y = stream.y.rightCols(12);
    const double a = 1 / (largest_eigenvalue_bound((x * x.transpose()).eval()) / 2 + rho);
    const MatrixXd W = descend_on_cross_entropy(x, y, equal_steps(a, K), rho);
    const VectorXd q{{0.3, -1, 2}};
    CHECK((learner.predict(q) - softmax((W * q).eval())).norm() < 1e-13);
    const double loss = cross_entropy(W, x, y, rho);
    CHECK(loss < before);
    before = loss;
  }
}

double loss_of(const MatrixXd& W, const VectorXd& x, const VectorXd& y) {
  return -y.dot(softmax((W * x).eval()).array().log().matrix());
}

TEST_CASE("Theorem: online Newton steps keep their bound (69) against every U, row by row", "[theorem]") {
  for (const Index c : {2, 4})
    for (const double constant : {0.0, 0.05}) {
      const Labelled stream(3, c, 300, 7);
      const double rho = 0.7;
      OnlineNewton<> learner(3, c, {.ridge = rho, .curvature = constant});
      test::Random random(9);
      std::vector<MatrixXd> others{MatrixXd::Zero(c, 3), stream.W, -stream.W, 5 * stream.W};
      others.push_back(stream.W);
      random.fill(others.back());
      std::vector<double> regret(others.size(), 0), rest(others.size(), 0);
      MatrixXd A = rho * MatrixXd::Identity(3, 3);
      for (Index t = 0; t < stream.rows(); ++t) {
        const VectorXd x = stream.x.col(t), y = stream.y.col(t);
        const MatrixXd W = learner.state().W;
        const VectorXd p = learner.predict(x);
        const double k = constant > 0 ? constant : (1 - p.squaredNorm()) / static_cast<double>(c - 1);
        A += k * x * x.transpose();
        for (std::size_t u = 0; u < others.size(); ++u) {
          const MatrixXd& U = others[u];
          const double excess = loss_of(U, x, y) - loss_of(W, x, y), tangent = (p - y).dot((U - W) * x);
          REQUIRE(excess - tangent >= -1e-12);
          regret[u] -= excess;
          rest[u] += k / 2 * ((U - W) * x).squaredNorm() - (excess - tangent);
        }
        learner.observe(x, y);
        REQUIRE((learner.state().P * A - MatrixXd::Identity(3, 3)).norm() < 1e-9);
        for (std::size_t u = 0; u < others.size(); ++u)
          REQUIRE(regret[u] <= learner.regret_bound(others[u].squaredNorm()) + rest[u] + 1e-9);
      }
    }
}

TEST_CASE("Theorem: with curvature exp(-2 B) / c online Newton steps are within their bound of every U of logits to B",
          "[theorem]") {
  const Index c = 3;
  const double B = 0.8;
  Labelled stream(3, c, 2000, 8, 0.3);
  for (Index t = 0; t < stream.rows(); ++t) stream.x.col(t).normalize();
  OnlineNewton<> learner(3, c, {.ridge = 1, .curvature = std::exp(-2 * B) / static_cast<double>(c)});
  const double loss = losses_of(learner, stream).sum();
  test::Random random(2);
  for (int draw = 0; draw < 200; ++draw) {
    MatrixXd U(c, 3);
    random.fill(U);
    U *= B / (U * stream.x).cwiseAbs().maxCoeff();
    double other = 0;
    for (Index t = 0; t < stream.rows(); ++t) other += loss_of(U, stream.x.col(t), stream.y.col(t));
    CHECK(loss - other <= learner.regret_bound(U.squaredNorm()));
  }
  CHECK(learner.regret_bound(0) < 3 * std::log(2000.0) * std::exp(2 * B) * static_cast<double>(c));
}

TEST_CASE("Theorem: the mixture of classifiers is within (65) of every sequence of experts, even of a spiteful stream",
          "[theorem]") {
  test::Random random(10);
  for (const double share : {0.0, 0.01})
    for (const Index K : {2, 5}) {
      const Index c = 3, rows = 400;
      LogLossMixing<> rule(share);
      rule.start(K, c);
      MatrixXd p(c, K);
      VectorXd experts = VectorXd::Zero(K);
      double loss = 0, first = 0, second = 0;
      for (Index t = 0; t < rows; ++t) {
        random.fill(p);
        p = (p.array() + 0.51).matrix();
        for (Index k = 0; k < K; ++k) p.col(k) /= p.col(k).sum();
        const VectorXd mixture = rule.mix(p);
        REQUIRE(mixture.sum() == Approx(1));
        Index worst = 0;
        mixture.minCoeff(&worst);
        const VectorXd y = one_hot(t % 3 == 0 ? Index(0) : worst, c);
        loss -= std::log(y.dot(mixture));
        for (Index k = 0; k < K; ++k) experts[k] -= std::log(y.dot(p.col(k)));
        (t < rows / 2 ? first : second) -= std::log(y.dot(p.col(t < rows / 2 ? 0 : 1)));
        rule.update(p, y);
        REQUIRE(loss <= experts.minCoeff() + rule.regret_bound() + 1e-9);
      }
      if (share > 0) CHECK(loss <= first + second + rule.regret_bound(1) + 1e-9);
    }
}

TEST_CASE("The default classifier comes close to the truth, also when classes appear one after another", "[theorem]") {
  const Index f = 4, c = 3, rows = 1500;
  const Labelled stream(f, c, rows, 11);
  AnyLearner<> learner(default_classifier(f, 1));
  std::vector<Index> place(static_cast<std::size_t>(c), -1);
  Index known = 0;
  double loss = 0, truth = 0;
  for (Index t = 0; t < rows; ++t) {
    Index label = 0;
    stream.y.col(t).maxCoeff(&label);
    const VectorXd p = learner.predict(stream.x.col(t));
    REQUIRE(p.size() == known + 1);
    Index& at = place[static_cast<std::size_t>(label)];
    if (at < 0) {  // a new class takes the last entry, and the learner gets a new one
      at = known++;
      AnyLearner<> wide(default_classifier(f, known + 1));
      widen_classes(wide, learner);
      const VectorXd q = wide.predict(stream.x.col(t));
      REQUIRE(q.sum() == Approx(1));
      learner = std::move(wide);
    }
    REQUIRE(p[at] > 0);
    if (t >= rows / 2) {
      loss -= std::log(p[at]);
      truth += loss_of(stream.W, stream.x.col(t), stream.y.col(t));
    }
    learner.observe(stream.x.col(t), one_hot(at, known + 1));
  }
  CHECK(loss < 1.1 * truth);
}

TEST_CASE("Classifiers continue from their states bit for bit, and merged counts are those of all rows", "[theorem]") {
  const Labelled stream(3, 3, 60, 12);
  const auto half = [&](auto learner, Index begin, Index end) {
    for (Index t = begin; t < end; ++t) learner.observe(stream.x.col(t), stream.y.col(t));
    return learner;
  };
  const auto continues = [&](const auto& fresh) {
    auto one = half(fresh, 0, 30), other = fresh;
    other.set_state(one.state());
    one = half(one, 30, 60);
    other = half(other, 30, 60);
    CHECK(one.state() == other.state());
    CHECK(VectorXd(one.predict(stream.x.col(0))) == VectorXd(other.predict(stream.x.col(0))));
  };
  continues(default_classifier(3, 3));
  continues(SoftmaxDescent<>(3, 3, {.window = 7}));
  const auto merges = [&](const auto& fresh) {
    auto merged = half(fresh, 0, 30);
    merged.merge(half(fresh, 30, 60).state());
    const VectorXd a = merged.predict(stream.x.col(0)), b = half(fresh, 0, 60).predict(stream.x.col(0));
    CHECK((a - b).norm() < 1e-13);
  };
  merges(ClassFrequencies<>(3, 3));
  merges(ClassFrequencies<>(3, 3, 0.9));
  merges(SoftmaxStep<>(3, 3, {.decay = 0.95}));
  merges(SoftmaxDescent<>(3, 3, {.window = 7}));
}

TEST_CASE("Classifiers refuse targets that are no labels, and change nothing", "[misuse]") {
  auto learner = default_classifier(2, 2);
  const VectorXd x{{1, 2}};
  learner.observe(x, one_hot(0, 2));
  const auto state = learner.state();
  CHECK(
      message_of([&] {
        learner.observe(x, VectorXd{{0.7, 0.7}});
      }) ==
      "LogLossMixing: observe: the target has entries from 0.7 and the sum 1.4, expected a label: 1 at its class and 0 "
      "elsewhere, or probabilities");
  CHECK(message_of([&] { learner.observe(x, VectorXd{{2, -1}}); }).find("entries from -1") != std::string::npos);
  CHECK(learner.state() == state);
  CHECK(message_of([] { one_hot(2, 2); }) == "one_hot: class 2 of 2, expected one of them");
  CHECK(message_of([] { LogLossMixing<> rule(1); }) == "LogLossMixing: share is 1, expected at least 0 and below 1");
  CHECK(message_of([] { OnlineNewton<>(2, 2, {.ridge = 0}); }) == "OnlineNewton: ridge is 0, expected at least 1e-100");
  CHECK(message_of([] { SoftmaxDescent<>(2, 2, {.window = 0}); }) ==
        "SoftmaxDescent: window is 0, expected at least 1");
  const auto refused = [&](auto fresh, const auto& change, const std::string& sentence) {
    auto bad = fresh.state();
    change(bad);
    CHECK(message_of([&] { fresh.set_state(bad); }) == sentence);
  };
  refused(
      ClassFrequencies<>(2, 2), [](auto& s) { s.counts[1] = -1; },
      "ClassFrequencies: set_state: counts has the entry -1, expected at least 0");
  refused(
      ClassTransitions<>(2, 2), [](auto& s) { s.last[1] = 0.5; },
      "ClassTransitions: set_state: last has entries from 0 and the sum 0.5, expected a label, or zeros");
  LogLossMixing<> rule;
  rule.start(2, 2);
  refused(
      rule, [](auto& s) { s.weights[0] = 2; },
      "LogLossMixing: set_state: weights has entries from 0.5 and the sum 2.5, expected at least 0 and 1");
  auto wide = default_classifier(2, 4);
  CHECK(message_of([&] { widen_classes(wide, learner); }).find("number of classes") != std::string::npos);
}

TEST_CASE("Probabilities stay probabilities on rows of any size", "[regression]") {
  auto learner = default_classifier(3, 3);
  test::Random random(13);
  for (Index t = 0; t < 300; ++t) {
    VectorXd x(3);
    random.fill(x);
    x *= std::pow(10.0, t % 7 == 0 ? 100 * random() + 49 : 3);
    const VectorXd p = learner.predict(x);
    REQUIRE(p.minCoeff() >= 0);
    REQUIRE(p.sum() == Approx(1));
    learner.observe(x, one_hot(t * t % 3, 3));
  }
}

}  // namespace
}  // namespace gdssm
