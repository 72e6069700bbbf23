// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"

#include "gdssm/analysis/alignment.hpp"
#include "gdssm/analysis/canonical.hpp"
#include "gdssm/analysis/implicit_weights.hpp"
#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/tasks/classification.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm::test {
namespace {

using Layer = PaperLayer<>;

const LinearRegression tasks{.features = 4, .outputs = 4, .context = 6};
const Layer layer(4);

Layer::Parameters<double> random_weights(std::uint64_t seed) {
  auto p = reference_initialization<double>(layer, seed);
  p.attention.A *= 5;
  return p;
}

void expect_same(const Sample& a, const Sample& b) {
  CHECK(a.count() == b.count());
  CHECK(a.mean() == b.mean());
  CHECK(a.standard_error() == b.standard_error());
}

}  // namespace

TEST_CASE("A sample merged from parts has the mean and the standard error of the whole", "[definition]") {
  Sample whole, first, second;
  for (int i = 0; i < 10; ++i) {
    whole.add(i * i);
    (i < 3 ? first : second).add(i * i);
  }
  first.merge(second);
  CHECK(first.count() == 10);
  CHECK(first.mean() == Approx(28.5).epsilon(1e-15));
  CHECK(first.mean() == Approx(whole.mean()).epsilon(1e-15));
  CHECK(first.standard_error() == Approx(std::sqrt(7210.5 / 9 / 10)).epsilon(1e-15));
  CHECK(first.standard_error() == Approx(whole.standard_error()).epsilon(1e-15));
}

TEST_CASE("Cross-entropy and accuracy by context are those of the predictions, lane by lane", "[definition]") {
  const Classification labels{{.features = 4, .outputs = 3, .context = 5, .range = 4}};
  const auto p = random_weights(8);
  auto single = layer.parameters<float>();
  visit([](const Name&, const auto& from, auto& to) { to = from.template cast<float>(); }, p, single);
  ThreadPool pool;
  const auto losses = loss_by_context<Lanes<float>, ClassTargets<3>>(layer, single, labels, {3, 37}, pool);
  const auto hits = accuracy_by_context<Lanes<float>, 3>(layer, single, labels, {3, 37}, pool);
  const auto last = query_losses<Lanes<float>, ClassTargets<3>>(layer, single, labels, {3, 37}, pool);
  REQUIRE(losses.size() == 5);
  REQUIRE(hits.size() == 5);
  Eigen::VectorXd expected_loss = Eigen::VectorXd::Zero(5), expected_hits = expected_loss;
  for (std::uint64_t i = 0; i < 37; ++i) {
    const auto [tokens, targets] = labels.sequence(3, i, 5);
    const Eigen::MatrixXd logits = layer.predict(p, tokens).topRows(3);
    for (Index t = 0; t < 5; ++t) {
      Index predicted = 0, label = 0;
      logits.col(t).maxCoeff(&predicted);
      targets.col(t).head(3).maxCoeff(&label);
      const double loss = std::log(logits.col(t).array().exp().sum()) - logits(label, t);
      expected_loss[t] += loss / 37;
      expected_hits[t] += (predicted == label ? 1. : 0.) / 37;
      if (t == 4) CHECK(last[i] == Approx(loss).epsilon(1e-5));
    }
  }
  for (std::size_t t = 0; t < 5; ++t) {
    CHECK(losses[t].mean() == Approx(expected_loss[Index(t)]).epsilon(1e-6));
    CHECK(hits[t].mean() == Approx(expected_hits[Index(t)]).epsilon(1e-14));
  }
}

TEST_CASE("The constructed layer's loss after every number of pairs is (9), within four standard errors", "[theorem]") {
  const double step = best_step(LinearTask<>{4, 6, uniform_inputs(1.0)});
  const auto p = gradient_step(layer, static_cast<float>(step));
  ThreadPool pool;
  const auto losses = loss_by_context<Lanes<float>, VectorTargets>(layer, p, tasks, {3, 20000}, pool);
  REQUIRE(losses.size() == 6);
  for (Index t = 1; t <= 6; ++t) {
    const Sample& loss = losses[static_cast<std::size_t>(t - 1)];
    const double expected = expected_loss(LinearTask<>{4, t, uniform_inputs(1.0)}, step);
    CAPTURE(t, loss.mean(), expected, loss.standard_error());
    CHECK(loss.count() == 20000);
    CHECK(loss.standard_error() < 0.01 * expected);
    CHECK(std::abs(loss.mean() - expected) < 4 * loss.standard_error());
  }
}

TEMPLATE_TEST_CASE("Losses task by task are those whose mean is the loss after the whole context, in the tasks' order",
                   "[definition]", VectorTargets, ScalarTargets) {
  const auto p = random_weights(1);
  ThreadPool pool(2);
  const auto losses = query_losses<Lanes<double>, TestType>(layer, p, tasks, {3, 200, 100}, pool);
  REQUIRE(losses.size() == 200);
  Sample sample;
  for (const double loss : losses) sample.add(loss);
  const auto by_context = loss_by_context<Lanes<double>, TestType>(layer, p, tasks, {3, 200, 100}, pool);
  CHECK(sample.mean() == Approx(by_context.back().mean()).epsilon(1e-14));
  CHECK(sample.standard_error() == Approx(by_context.back().standard_error()).epsilon(1e-13));
  for (const Index i : {0, 7, 8, 199}) {
    const TaskRange alone{3, 1, 100 + static_cast<std::uint64_t>(i)};
    CHECK(losses[static_cast<std::size_t>(i)] ==
          query_losses<Lanes<double>, TestType>(layer, p, tasks, alone, pool).front());
  }
  CHECK_THROWS_WITH((query_losses<double, TestType>(layer, p, tasks, {3, 0}, pool)),
                    "TaskRange: there are 0 tasks, expected at least one");
}

TEMPLATE_TEST_CASE("The loss by context is the plain sum over predictions and tasks, for ranges of any length",
                   "[definition]", VectorTargets, ScalarTargets) {
  const auto p = random_weights(1);
  ThreadPool pool;
  for (const Index count : {1, 7, 9}) {
    const auto losses = loss_by_context<Lanes<double>, TestType>(layer, p, tasks, {3, count, 100}, pool);
    std::vector<double> sums(6);
    for (Index i = 0; i < count; ++i) {
      const auto sequence = tasks.sequence(3, 100 + static_cast<std::uint64_t>(i), 6);
      const Eigen::MatrixXd errors = layer.predict(p, sequence.tokens) - sequence.targets;
      for (Index t = 0; t < 6; ++t)
        sums[static_cast<std::size_t>(t)] +=
            std::is_same_v<TestType, ScalarTargets> ? errors(3, t) * errors(3, t) / 2 : errors.col(t).squaredNorm() / 8;
    }
    for (std::size_t t = 0; t < 6; ++t) CHECK(losses[t].mean() == Approx(sums[t] / double(count)).epsilon(1e-12));
  }
}

TEST_CASE("The query's derivative is the predictions' difference quotient, through every path", "[vjp]") {
  const auto p = random_weights(2);
  QueryDerivative<double> derivative(layer, p);
  for (const Index pairs : {1, 6}) {
    Eigen::MatrixXd tokens = tasks.sequence(1, 2).tokens.leftCols(2 * pairs + 1);
    derivative(view_of(std::as_const(tokens)));
    CHECK(derivative.prediction().matrix().isApprox(layer.predict(p, tokens).col(pairs - 1), 1e-14));
    const double h = 1e-5;
    for (Index j = 0; j < 4; ++j) {
      Eigen::MatrixXd up = tokens, down = tokens;
      up(j, 2 * pairs) += h;
      down(j, 2 * pairs) -= h;
      const Eigen::VectorXd quotient =
          (layer.predict(p, up).col(pairs - 1) - layer.predict(p, down).col(pairs - 1)) / (2 * h);
      CHECK((quotient - derivative.jacobian().matrix().col(j)).norm() < 1e-8 * (1 + quotient.norm()));
    }
  }
}

TEMPLATE_TEST_CASE("Alignment is its definition over the derivatives of both models", "[definition]", VectorTargets,
                   ScalarTargets) {
  const auto p = random_weights(3);
  const auto construction = gradient_step(layer, 0.7);
  const TaskRange range{5, 11};
  ThreadPool pool;
  const Alignment alignment = align<Lanes<double>, TestType>(layer, p, layer, construction, tasks, range, pool);
  QueryDerivative<double> one(layer, p), other(layer, construction);
  double cosine = 0, model = 0, prediction = 0;
  constexpr bool scalar = std::is_same_v<TestType, ScalarTargets>;
  for (Index i = 0; i < range.count; ++i) {
    const Eigen::MatrixXd tokens = tasks.sequence(range.seed, static_cast<std::uint64_t>(i)).tokens;
    one(view_of(tokens));
    other(view_of(tokens));
    const Index rows = scalar ? 1 : 4;
    const Eigen::MatrixXd J = one.jacobian().matrix().bottomRows(rows), K = other.jacobian().matrix().bottomRows(rows);
    for (Index r = 0; r < rows; ++r)
      cosine += J.row(r).dot(K.row(r)) / (J.row(r).norm() * K.row(r).norm()) / double(rows);
    model += scalar ? (J - K).norm() : (J - K).colwise().norm().mean();
    prediction += (one.prediction().matrix() - other.prediction().matrix()).bottomRows(rows).norm();
  }
  CHECK(alignment.cosine.count() == range.count);
  CHECK(alignment.cosine.mean() == Approx(cosine / 11).epsilon(1e-12));
  CHECK(alignment.model_difference.mean() == Approx(model / 11).epsilon(1e-12));
  CHECK(alignment.prediction_difference.mean() == Approx(prediction / 11).epsilon(1e-12));
}

TEST_CASE("A layer is aligned with itself, and the construction's derivative is its implicit model", "[theorem]") {
  const auto construction = gradient_step(layer, 0.7);
  ThreadPool pool;
  const Alignment alignment =
      align<double, VectorTargets>(layer, construction, layer, construction, tasks, {5, 20}, pool);
  CHECK(alignment.cosine.mean() == Approx(1).epsilon(1e-14));
  CHECK(alignment.model_difference.mean() == 0);
  CHECK(alignment.prediction_difference.mean() == 0);

  QueryDerivative<double> derivative(layer, construction);
  const auto task = tasks.draw(1, 2);
  const Eigen::MatrixXd tokens = tasks.sequence(1, 2).tokens;
  derivative(view_of(tokens));
  const Eigen::MatrixXd W_1 = 0.7 * task.targets.leftCols(6) * task.inputs.leftCols(6).transpose();
  CHECK(derivative.jacobian().matrix().isApprox(W_1, 1e-12));
}

TEST_CASE("Implicit weights agree up to the steps' ratio, and not before scales are undone", "[theorem]") {
  const auto one = gradient_step(layer, 0.7), other = gradient_step(layer, 0.5);
  auto rescaled = one;
  rescaled.attention.A *= -2;
  rescaled.gate.d *= 3;
  rescaled.readout.C /= -6;
  ThreadPool pool;
  const auto error = [&](const auto& p) {
    return implicit_weight_error<double, VectorTargets>(layer, p, other, tasks, {5, 20}, pool);
  };
  for (std::size_t t = 0; t < 6; ++t) {
    CHECK(error(one)[t].mean() == Approx(0.4).epsilon(1e-12));
    CHECK(error(canonicalised(rescaled))[t].mean() == Approx(0.4).epsilon(1e-12));
    CHECK(error(rescaled)[t].mean() > 0.5);
  }
  const auto last_row = implicit_weight_error<double, ScalarTargets>(layer, one, other, tasks, {5, 20}, pool);
  CHECK(last_row[5].mean() == Approx(0.4).epsilon(1e-12));
}

TEST_CASE("Measurements are the same bits on any number of threads", "[definition]") {
  const auto p = random_weights(4);
  const auto q = random_weights(5);
  ThreadPool one, three(3);
  const TaskRange range{5, 3000};
  const auto a = loss_by_context<Lanes<double>, VectorTargets>(layer, p, tasks, range, one);
  const auto b = loss_by_context<Lanes<double>, VectorTargets>(layer, p, tasks, range, three);
  for (std::size_t t = 0; t < a.size(); ++t) expect_same(a[t], b[t]);
  const auto c = align<Lanes<double>, VectorTargets>(layer, p, layer, q, tasks, range, one);
  const auto d = align<Lanes<double>, VectorTargets>(layer, p, layer, q, tasks, range, three);
  expect_same(c.cosine, d.cosine);
  expect_same(c.model_difference, d.model_difference);
  expect_same(c.prediction_difference, d.prediction_difference);
}

TEST_CASE("An empty range of tasks is refused", "[misuse]") {
  ThreadPool pool;
  CHECK_THROWS_WITH((loss_by_context<double, VectorTargets>(layer, random_weights(1), tasks, {1, 0}, pool)),
                    "TaskRange: there are 0 tasks, expected at least one");
}

TEST_CASE("So many tasks give so many losses, each its own task's, whether or not they fill their lanes",
          "[definition]") {
  const auto p = random_weights(6);
  ThreadPool pool(2);
  for (const Index count : {1, 8, 37, 1030}) {
    const TaskRange range{3, count, 5};
    const auto losses = query_losses<Lanes<double>, VectorTargets>(layer, p, tasks, range, pool);
    REQUIRE(Index(losses.size()) == count);
    Sample sample;
    for (Index i = 0; i < count; ++i) {
      const auto [tokens, targets] = tasks.sequence(3, 5 + static_cast<std::uint64_t>(i));
      const double loss = (layer.predict(p, tokens).rightCols(1) - targets.rightCols(1)).squaredNorm() / 8;
      CHECK(losses[static_cast<std::size_t>(i)] == Approx(loss).epsilon(1e-12));
      sample.add(losses[static_cast<std::size_t>(i)]);
    }
    const auto by_context = loss_by_context<Lanes<double>, VectorTargets>(layer, p, tasks, range, pool);
    const auto hits = accuracy_by_context<Lanes<double>, 4>(layer, p, tasks, range, pool);
    for (const auto& at : by_context) CHECK(at.count() == count);
    for (const auto& at : hits) CHECK(at.count() == count);
    CHECK(by_context.back().mean() == Approx(sample.mean()).epsilon(1e-13));
  }
}

TEST_CASE("A hit is the largest logit on the most probable class, the first of equal ones", "[definition]") {
  const auto hit = [](Eigen::Vector3d logits, const Eigen::Vector3d& classes) {
    return detail::lane_hit<double>(ClassTargets<3>(), View<double>(logits.data(), 3, 1),
                                    View<const double>(classes.data(), 3, 1), 0, 0);
  };
  CHECK(hit({1, 3, 2}, {0, 1, 0}) == 1);
  CHECK(hit({1, 3, 2}, {0, 0, 1}) == 0);
  CHECK(hit({1, 2, 3}, {0.1, 0.2, 0.7}) == 1);
  CHECK(hit({3, 1, 3}, {1, 0, 0}) == 1);
  CHECK(hit({3, 1, 3}, {0, 0, 1}) == 0);
  CHECK(hit({3, 1, 1}, {0.5, 0, 0.5}) == 1);
}

TEST_CASE("The loss of classes is the cross-entropy, however large the logits are", "[definition]") {
  const auto loss = [](Eigen::Vector3d logits, const Eigen::Vector3d& classes) {
    return detail::lane_loss<double>(ClassTargets<3>(), View<double>(logits.data(), 3, 1),
                                     View<const double>(classes.data(), 3, 1), 0, 0);
  };
  const double e = 4 * std::numeric_limits<double>::epsilon();
  CHECK(std::abs(loss({0, 0, 0}, {0, 1, 0}) - std::log(3.0)) <= e);
  CHECK(std::abs(loss({0, std::log(2.0), 0}, {0.25, 0.5, 0.25}) - (std::log(4.0) - std::log(2.0) / 2)) <= e);
  CHECK(std::abs(loss({1000, 1000 + std::log(2.0), 1000}, {0, 1, 0}) - std::log(2.0)) <= 1000 * e);
  CHECK(loss({-1000, 1000, 0}, {1, 0, 0}) == 2000);
}

TEST_CASE("A sample that has seen nothing changes none, and takes over what it merges", "[definition]") {
  Sample sample, nothing;
  for (const double x : {1.0, 2.0, 4.0}) sample.add(x);
  const Sample before = sample;
  sample.merge(nothing);
  expect_same(sample, before);
  nothing.merge(sample);
  expect_same(nothing, before);
  CHECK(std::isnan(Sample().standard_error()));
}

}  // namespace gdssm::test
