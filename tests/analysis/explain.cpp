// SPDX-License-Identifier: Apache-2.0
#include "gdssm/analysis/explain.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/algorithms/gd_plus_plus.hpp"
#include "gdssm/algorithms/least_squares.hpp"
#include "gdssm/blocks/factored_attention.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/learning_recurrence.hpp"
#include "gdssm/blocks/recurrences/longhorn.hpp"
#include "gdssm/blocks/recurrences/mesa.hpp"
#include "gdssm/blocks/recurrences/titans.hpp"
#include "gdssm/construction/drift.hpp"
#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/horner_steps.hpp"

namespace gdssm::test {
namespace {

using Layer = PaperLayer<Dynamic, GivenDecay>;
using Stack = HornerStack<Layer>;

const Index f = 5;
const Layer layer(f);
const ExplainOptions options{.tasks = 200, .seed = 3};

/// Weights of the same function: every A exchanges a factor and a sign with its C, the gate's d with every M_k's C, and
/// gates without effect are arbitrary.
Stack::Parameters<double> disguised(Stack::Parameters<double> p, std::uint64_t seed) {
  Random random(seed);
  const auto factor = [&] { return (random() < 0 ? -1 : 1) * std::exp(4 * random()); };
  const double of_d = factor();
  for (std::size_t l = 0; l < p.layers.size(); ++l) {
    auto& layer_weights = p.layers[l];
    const double of_A = factor();
    layer_weights.attention.A *= of_A;
    layer_weights.readout.C /= of_A;
    if (l % 2 == 0) layer_weights.readout.C /= of_d;
    if (l + 1 == p.layers.size())
      layer_weights.gate.d *= of_d;
    else
      random.fill(layer_weights.gate.d);
  }
  return p;
}

Stack::Parameters<double> disguised(const Layer::Parameters<double>& p, std::uint64_t seed) {
  return disguised(Stack::Parameters<double>{{p}}, seed);
}

template <class Kind = VectorTargets>
Explanation explained(const Stack::Parameters<double>& p) {
  ThreadPool pool;
  return explain<Kind>(Stack(layer, static_cast<Index>(p.layers.size() + 1) / 2), p, options, pool);
}

const Candidate& nearest(const Explanation& found) { return found.candidates[found.nearest]; }

void expect(const Explanation& found, const std::string& algorithm, const std::vector<double>& sizes,
            double tolerance = 1e-9) {
  INFO(found.verdict);
  REQUIRE(found.algorithm == algorithm);
  CHECK(nearest(found).r2 > 1 - 1e-12);
  CHECK(found.runner_up != found.nearest);
  CHECK(found.candidates[found.runner_up].r2 < 1 - 1e-7);
  REQUIRE(nearest(found).step_sizes.size() == sizes.size());
  for (std::size_t k = 0; k < sizes.size(); ++k)
    CHECK(nearest(found).step_sizes[k] == Approx(sizes[k]).epsilon(tolerance));
  CHECK_FALSE(found.counterexample);
}

Observation some_context(std::uint64_t seed) {
  Random random(seed);
  Observation seen{Eigen::MatrixXd(f, 7), Eigen::MatrixXd(3, 7), Eigen::VectorXd(f), {}, {}};
  random.fill(seen.inputs);
  random.fill(seen.targets);
  random.fill(seen.query);
  return seen;
}

}  // namespace

TEST_CASE("A filter of descent is the descent, of ridge and least squares their normal equations", "[definition]") {
  const Observation seen = some_context(1);
  const auto [S, M] = accumulate(seen.inputs, seen.targets);
  const SpectralContext context = spectral_context(seen, 1);
  const auto I = Eigen::MatrixXd::Identity(f, f);
  const Eigen::Vector3d sizes(0.9, 0.2, 0.5);
  Eigen::MatrixXd W = Eigen::MatrixXd::Zero(3, f);
  for (const double a : sizes) W = descent_step(W, S, M, a);
  CHECK(implicit_weights(DescentFilter{sizes}, context).isApprox(W, 1e-12));
  CHECK(implicit_weights(EqualDescentFilter{0.4, 3}, context)
            .isApprox(implicit_weights(DescentFilter{Eigen::Vector3d::Constant(0.4)}, context), 1e-12));
  CHECK((implicit_weights(RidgeFilter{0.3}, context) * (S + 0.3 * I)).isApprox(M, 1e-12));
  CHECK((implicit_weights(LeastSquaresFilter{}, context) * S).isApprox(M, 1e-10));
}

TEST_CASE("A discounted context counts the pair k back by the decay to the k-th power", "[definition]") {
  const Observation seen = some_context(2);
  const SpectralContext context = spectral_context(seen, 0.8);
  Eigen::MatrixXd S = Eigen::MatrixXd::Zero(f, f), M = Eigen::MatrixXd::Zero(3, f);
  for (Index i = 0; i < 7; ++i) {
    S = 0.8 * S + seen.inputs.col(i) * seen.inputs.col(i).transpose();
    M = 0.8 * M + seen.targets.col(i) * seen.inputs.col(i).transpose();
  }
  CHECK((context.basis * context.spectrum.asDiagonal() * context.basis.transpose()).isApprox(S, 1e-12));
  CHECK((context.moment * context.basis.transpose()).isApprox(M, 1e-12));
}

TEMPLATE_TEST_CASE("A filter's derivatives are those of central differences", "[vjp]", DescentFilter,
                   EqualDescentFilter, RidgeFilter) {
  TestType filter = [] {
    if constexpr (std::is_same_v<TestType, DescentFilter>)
      return DescentFilter{Eigen::Vector3d(0.9, 0.2, 0.5)};
    else if constexpr (std::is_same_v<TestType, EqualDescentFilter>)
      return EqualDescentFilter{0.4, 4};
    else
      return RidgeFilter{0.3};
  }();
  const Eigen::VectorXd logs = filter.logs();
  Eigen::VectorXd by_log(filter.count()), unused(filter.count());
  for (const double s : {0.0, 0.1, 1.0, 3.0}) {
    filter.set_logs(logs);
    filter.at(s, by_log);
    for (Index k = 0; k < filter.count(); ++k) {
      const auto moved = [&](double h) {
        Eigen::VectorXd at = logs;
        at[k] += h;
        filter.set_logs(at);
        return filter.at(s, unused);
      };
      CHECK(by_log[k] == Approx((moved(1e-5) - moved(-1e-5)) / 2e-5).margin(1e-9));
    }
  }
}

TEST_CASE("The implicit weights regressed on queries are -E where the layer is linear in the query", "[theorem]") {
  auto p = discounted_step(layer, 0.7, 0.9);
  Random random(4);
  random.fill(p.readout.C);
  random.fill(p.recurrence.Lambda);
  p.attention.A.setZero();
  p.attention.A(0, 1) = 1;
  p.attention.A(1, 1) = 0.3;
  Eigen::MatrixXd tokens(f, 9);
  random.fill(tokens);
  const Observation seen = Observer(layer, p, f, 0.3)(tokens);
  const auto c = layer.prepare(p);
  auto state = layer.initial_state<double>();
  auto ws = layer.workspace<double>();
  layer.forward(c, Sequence<double>{view_of(std::as_const(tokens))}, state, View<double>(nullptr, f, 0), ws);
  CHECK(seen.weights.isApprox(layer.implicit_weights(c, state), 1e-12));
  CHECK(seen.prediction.isApprox(layer.predict(p, tokens).col(3), 1e-14));
  CHECK(seen.inputs.col(3) == tokens.col(6));
  CHECK(seen.targets.col(3) == tokens.col(7));
  CHECK(seen.query == tokens.col(8));
}

TEST_CASE("A fit recovers what made the predictions, though it starts elsewhere", "[theorem]") {
  std::vector<SpectralContext> contexts;
  std::vector<Observation> seen;
  for (std::uint64_t i = 0; i < 20; ++i) {
    seen.push_back(some_context(10 + i));
    contexts.push_back(spectral_context(seen.back(), 0.9));
  }
  const auto predicted_by = [&](const auto& filter, double residual) {
    for (std::size_t i = 0; i < seen.size(); ++i)
      seen[i].prediction = implicit_weights(filter, contexts[i]) * contexts[i].basis * contexts[i].query +
                           residual * seen[i].query.tail(3);
  };
  predicted_by(RidgeFilter{0.7}, 0);
  CHECK(fit(RidgeFilter{0.01}, false, contexts, seen).filter.rho == Approx(0.7).epsilon(1e-12));
  predicted_by(DescentFilter{Eigen::Vector2d(1.3, 0.4)}, -0.5);
  const auto two = fit(DescentFilter{Eigen::Vector2d(0.8, 0.7)}, true, contexts, seen);
  CHECK(two.filter.sizes.maxCoeff() == Approx(1.3).epsilon(1e-10));
  CHECK(two.filter.sizes.minCoeff() == Approx(0.4).epsilon(1e-10));
  CHECK(two.residual == Approx(-0.5).epsilon(1e-10));
}

TEST_CASE("The gradient step is explained behind any symmetry, with its size", "[theorem]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Explanation found = explained(disguised(gradient_step(layer, 0.7), seed));
    expect(found, "gradient-descent", {0.7});
    CHECK(found.decay == 1);
    REQUIRE(found.layers.size() == 1);
    CHECK(found.layers[0].distance.step == Approx(0.7).epsilon(1e-15));
    CHECK(found.layers[0].distance.A < 1e-14);
    CHECK(found.layers[0].distance.C < 1e-14);
  }
  expect(explained<ScalarTargets>(disguised(gradient_step(layer, 0.7), 4)), "gradient-descent", {0.7});
}

TEST_CASE("A step on a discounted loss is explained with its decay, from 0 on and however near 1", "[theorem]") {
  for (const double decay : {0.0, 0.3, 0.9, 0.999}) {
    auto p = gradient_step(layer, 0.7);
    p.recurrence.Lambda.setConstant(decay);
    const Explanation found = explained(disguised(p, 5));
    expect(found, "discounted-gradient-descent", {0.7});
    CHECK(nearest(found).forgetting == Forgetting::common);
    CHECK(half_life(found.decay) == Approx(std::log(0.5) / std::log(decay)).epsilon(1e-12));
    CHECK(found.candidates[found.runner_up].r2 < nearest(found).r2);
  }
  const Explanation scalar = explained<ScalarTargets>(disguised(discounted_step(layer, 0.7, 0.9), 6));
  expect(scalar, "discounted-gradient-descent", {0.7});
  CHECK(scalar.decay == Approx(0.9).epsilon(1e-15));
}

TEST_CASE("Decays that differ are explained weight by weight", "[theorem]") {
  auto p = gradient_step(layer, 0.7);
  Random random(7);
  random.fill(p.recurrence.Lambda);
  p.recurrence.Lambda.array() += 0.5;  // in [0, 1)
  const Explanation found = explained(disguised(p, 8));
  expect(found, "discounted-gradient-descent", {0.7});
  CHECK(nearest(found).forgetting == Forgetting::each);
  const double shortest = half_life(p.recurrence.Lambda.minCoeff()),
               longest = half_life(p.recurrence.Lambda.maxCoeff());
  CHECK(found.layers[0].half_lives.shortest == Approx(shortest).epsilon(1e-15));
  CHECK(found.layers[0].half_lives.longest == Approx(longest).epsilon(1e-15));
  // For scalar targets only the last column's decays have an effect; the others may be anything.
  p.recurrence.Lambda.rightCols(1).setConstant(0.8);
  const Explanation scalar = explained<ScalarTargets>(disguised(p, 9));
  expect(scalar, "discounted-gradient-descent", {0.7});
  CHECK(scalar.decay == Approx(0.8).epsilon(1e-15));
}

TEST_CASE("A positive definite C is a preconditioner on the output side, another C is none", "[theorem]") {
  auto p = gradient_step(layer, 1.0);
  Random random(10);
  Eigen::MatrixXd root(f, f);
  random.fill(root);
  const Eigen::MatrixXd Q = root * root.transpose() + 0.1 * Eigen::MatrixXd::Identity(f, f);
  p.readout.C = -Q;
  const Explanation found = explained(disguised(p, 11));
  expect(found, "preconditioned-gradient-descent", {Q.trace() / static_cast<double>(f)});
  CHECK(nearest(found).rule == LearningRule::output_preconditioned);
  CHECK(nearest(found).preconditioner.isApprox(Q, 1e-9));

  p.readout.C = -Q + 2 * Eigen::MatrixXd::Identity(f, f);
  CHECK(explained(disguised(p, 12)).algorithm == "none");
  const Explanation ascent = explained(disguised(gradient_step(layer, -0.7), 13));
  CHECK(ascent.algorithm == "none");
  CHECK(nearest(ascent).r2 > 1 - 1e-12);
}

TEST_CASE("A C and decays that are a little off are still the gradient step", "[theorem]") {
  auto p = gradient_step(layer, 0.7);
  Random random(18);
  random.fill(p.recurrence.Lambda);
  p.recurrence.Lambda = 0.99 + 0.01 * p.recurrence.Lambda.array();
  Eigen::MatrixXd off(f, f);
  random.fill(off);
  p.readout.C += 0.05 * off;
  const Explanation found = explained(disguised(p, 19));
  INFO(found.verdict);
  CHECK(found.algorithm.ends_with("gradient-descent"));
  CHECK(nearest(found).preconditioner.size() == 0);
  CHECK(nearest(found).forgetting != Forgetting::each);
  CHECK(nearest(found).r2 > 0.99);
  CHECK(nearest(found).r2 < 0.99999);
}

TEST_CASE("A P in the gate is a preconditioner on the input side", "[theorem]") {
  using Gated =
      AugmentedSsm<LocalAttention<>, DiagonalRecurrence<Dynamic, Dynamic, GivenDecay>, Readout<>, PreconditionedGate<>>;
  const Gated gated(f);
  Random random(14);
  Eigen::MatrixXd P(f, f);
  random.fill(P);
  P += 2 * Eigen::MatrixXd::Identity(f, f);
  ThreadPool pool;
  const Explanation found = explain<VectorTargets>(gated, preconditioned_step(gated, P), options, pool);
  expect(found, "preconditioned-gradient-descent", {P.trace() / static_cast<double>(f)});
  CHECK(nearest(found).rule == LearningRule::input_preconditioned);
  CHECK(nearest(found).preconditioner.isApprox(P, 1e-9));
}

TEST_CASE("K steps are explained with every size, equal or not, discounted or not", "[theorem]") {
  const auto stack_of = [](const std::vector<double>& sizes, double decay) {
    auto p = descent_steps(Stack(layer, static_cast<Index>(sizes.size())), sizes);
    for (auto& l : p.layers) l.recurrence.Lambda.setConstant(decay);
    return disguised(p, 15);
  };
  for (const std::vector<double>& sizes : {std::vector<double>{1.4, 0.5}, {0.5, 1.6, 0.9}, {0.7, 0.7, 0.7}}) {
    expect(explained(stack_of(sizes, 1)), "gradient-descent", sizes);
    const Explanation found = explained(stack_of(sizes, 0.9));
    expect(found, "discounted-gradient-descent", sizes);
    CHECK(found.decay == Approx(0.9).epsilon(1e-15));
  }
  expect(explained<ScalarTargets>(stack_of({1.4, 0.5}, 1)), "gradient-descent", {1.4, 0.5});
  expect(explained(stack_of(std::vector<double>(8, 0.4), 1)), "gradient-descent", std::vector<double>(8, 0.4));
}

TEST_CASE("Two steps are explained also where the layers hold their sum and product", "[theorem]") {
  const double a = 1.4, b = 0.5;
  auto p = descent_steps(Stack(layer, 2), std::vector{a + b, a * b / (a + b)});
  p.layers[2].readout.C.setZero();
  const Explanation found = explained(disguised(p, 17));
  expect(found, "gradient-descent", {a, b});
}

TEST_CASE("The reference's stack is two steps less the query", "[theorem]") {
  const TwoStepStack<Layer> stack(layer);
  ThreadPool pool;
  const auto p = disguised(descent_steps(stack.without_residual(), std::vector{1.4, 0.5}), 16);
  const Explanation found = explain<VectorTargets>(stack, p, options, pool);
  expect(found, "gradient-descent", {1.4, 0.5});
  CHECK(nearest(found).residual == Approx(-1).epsilon(1e-9));
  // It is observed by its own last row.
  const LinearRegression tasks{.features = f, .outputs = f, .context = f};
  const auto seen = observe(stack.without_residual(), p, tasks, {1, 1}, pool, -1);
  CHECK(seen[0].prediction.isApprox(stack.predict(p, tasks.sequence(1, 0).tokens).col(2 * f), 1e-13));
}

TEST_CASE("Random weights are none of the candidates, and an input shows it", "[theorem]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    auto p = Stack(layer, 1).parameters<double>();
    Random random(seed);
    random.fill(p);
    p.layers[0].recurrence.Lambda.array() += 0.5;
    const Explanation found = explained(p);
    INFO(found.verdict);
    CHECK(found.algorithm == "none");
    CHECK(nearest(found).r2 < least_explained);
    CHECK(found.candidates[found.runner_up].r2 <= nearest(found).r2);
    REQUIRE(found.counterexample);
    const auto& [seen, expected] = *found.counterexample;
    Eigen::MatrixXd tokens(f, 2 * seen.inputs.cols() + 1);
    for (Index t = 0; t < seen.inputs.cols(); ++t)
      tokens.middleCols(2 * t, 2) << seen.inputs.col(t), seen.targets.col(t);
    tokens.rightCols(1) = seen.query;
    const Eigen::VectorXd answer = layer.predict(p.layers[0], tokens).rightCols(1);
    CHECK(answer.isApprox(seen.prediction, 1e-12));
    CHECK((answer - expected).norm() > 0.3 * answer.norm());
  }
}

TEST_CASE("A layer that predicts nothing or overflows is none of the candidates", "[definition]") {
  auto p = gradient_step(layer, 0.7);
  p.readout.C.setZero();
  CHECK(explained(disguised(p, 1)).verdict == "None of the candidates: it predicts zero whatever the context.");
  p = gradient_step(layer, 0.7);
  p.attention.A.setZero();
  CHECK(explained(disguised(p, 1)).algorithm == "none");
  p = gradient_step(layer, 0.7);
  p.recurrence.Lambda.setConstant(1e200);
  CHECK(explained(disguised(p, 1)).verdict == "None of the candidates: its predictions are not finite.");
}

TEST_CASE("An explanation is the same to the bit on any number of threads", "[definition]") {
  auto p = discounted_step(layer, 0.7, 0.9);
  p.attention.A(1, 1) = 0.1;
  ThreadPool one, three(3);
  const Explanation a = explain<VectorTargets>(layer, p, options, one);
  const Explanation b = explain<VectorTargets>(layer, p, options, three);
  CHECK(a.verdict == b.verdict);
  REQUIRE(a.candidates.size() == b.candidates.size());
  for (std::size_t k = 0; k < a.candidates.size(); ++k) CHECK(a.candidates[k].errors == b.candidates[k].errors);
}

TEST_CASE("Half-lives are those of the decays", "[definition]") {
  CHECK(half_life(0.5) == 1);
  CHECK(half_life(-0.25) == 0.5);
  CHECK(half_life(0) == 0);
  CHECK(half_life(1) == std::numeric_limits<double>::infinity());
  CHECK(half_life(1.5) == std::numeric_limits<double>::infinity());
  const HalfLives of = half_lives(Eigen::Matrix2d{{0.5, 0.25}, {0.125, 1}});
  CHECK(of.decay == 0.46875);
  CHECK_FALSE(of.equal);
  CHECK(of.shortest == Approx(1.0 / 3).epsilon(1e-15));
  CHECK(of.median == 1);
  CHECK(of.longest == std::numeric_limits<double>::infinity());
}

TEST_CASE("No tasks and contexts of no pairs are refused", "[misuse]") {
  ThreadPool pool;
  const auto p = gradient_step(layer, 0.7);
  CHECK_THROWS_WITH(explain<VectorTargets>(layer, p, {.tasks = 0}, pool),
                    "explain: tasks and context are 0 and 0, expected at least 1 and 0");
  CHECK_THROWS_WITH(explain<VectorTargets>(layer, p, {.context = -1}, pool),
                    "explain: tasks and context are 500 and -1, expected at least 1 and 0");
}

TEST_CASE("The layers of a disguised stack are reported in canonical scale", "[theorem]") {
  const std::vector<double> sizes{0.5, 1.6, 0.9};
  auto p = descent_steps(Stack(layer, 3), sizes);
  Random random(20);
  for (auto& l : p.layers) random.fill(l.recurrence.Lambda);
  const Explanation found = explained(disguised(p, 21));
  REQUIRE(found.layers.size() == 5);
  double decay = 0;
  for (std::size_t l = 0; l < 5; ++l) {
    CAPTURE(l);
    const LayerReport& report = found.layers[l];
    const bool is_curvature = l == 1 || l == 3;
    CHECK(report.is_curvature == is_curvature);
    Eigen::Matrix3d A = Eigen::Matrix3d::Zero();
    A(0, is_curvature ? 0 : 1) = 1;
    CHECK((report.form.A - A).norm() < 1e-15);
    CHECK((report.form.d - Eigen::Vector3d(0, 0, 1)).norm() < 1e-15);
    CHECK((report.form.C - p.layers[l].readout.C).norm() < 1e-14);
    const Eigen::MatrixXd L = p.layers[l].recurrence.Lambda;
    CHECK(report.form.L == L);
    const double size = -p.layers[l].readout.C(0, 0);
    CHECK(report.distance.step == Approx(size).epsilon(1e-14));
    CHECK(report.distance.A < 1e-15);
    CHECK(report.distance.d < 1e-15);
    CHECK(report.distance.C < 1e-14);
    CHECK(report.distance.decay == Approx((L.array() - 1).abs().maxCoeff()).epsilon(1e-15));
    CHECK(report.half_lives.decay == L.mean());
    decay += L.mean() / 5;
  }
  CHECK(found.decay == Approx(decay).epsilon(1e-14));

  // For scalar targets only the last row of C and the last column of L have an effect in an M_k, and all of them in an
  // S_k.
  const Explanation scalar = explained<ScalarTargets>(disguised(p, 22));
  REQUIRE(scalar.layers.size() == 5);
  CHECK(scalar.layers[2].half_lives.decay == p.layers[2].recurrence.Lambda.rightCols(1).mean());
  CHECK(scalar.layers[1].half_lives.decay == p.layers[1].recurrence.Lambda.mean());
}

TEST_CASE("Layers of another direction are as far from the gradient step as their distances say", "[definition]") {
  auto p = gradient_step(layer, 0.7);
  p.attention.A.setZero();
  p.attention.A(0, 1) = -3;
  p.attention.A(2, 2) = 4;
  p.gate.d = Eigen::Vector3d(0, 12, -5);
  const Explanation found = explained(Stack::Parameters<double>{{p}});
  REQUIRE(found.layers.size() == 1);
  const StepDistance<double>& distance = found.layers[0].distance;
  CHECK(distance.A == Approx(std::hypot(0.4, 0.8)).epsilon(1e-14));
  CHECK(distance.d == Approx(std::hypot(12. / 13, 8. / 13)).epsilon(1e-14));
  CHECK(distance.step == Approx(0.7 * 65).epsilon(1e-14));

  auto stack = descent_steps(Stack(layer, 2), std::vector{1.4, 0.5});
  auto& A = stack.layers[1].attention.A;
  A.setZero();
  A(0, 0) = -3;
  A(1, 2) = 4;
  const Explanation of_stack = explained(stack);
  REQUIRE(of_stack.layers.size() == 3);
  CHECK(of_stack.layers[1].distance.A == Approx(std::hypot(0.4, 0.8)).epsilon(1e-14));
  CHECK(of_stack.layers[1].distance.d == 0);
}

TEST_CASE("Candidates are judged on the tasks after those that they were fitted to", "[definition]") {
  auto p = discounted_step(layer, 0.7, 0.9);
  p.attention.A(1, 1) = 0.1;
  ThreadPool pool(2);
  // At f = 5 candidates are fitted to 250 tasks, or to as many as they are judged on.
  for (const auto& [count, fitted] : {std::pair<Index, std::uint64_t>{40, 40}, {260, 250}}) {
    const Explanation found = explain<VectorTargets>(layer, p, {.tasks = count, .seed = 3}, pool);
    REQUIRE(found.candidates.size() > 3);
    const LinearRegression tasks{.features = f, .outputs = f, .context = f};
    const auto seen = observe(layer, p, tasks, {3, count, fitted}, pool);
    double squares = 0;
    for (const Observation& of : seen) squares += of.prediction.squaredNorm() / static_cast<double>(count);
    const CandidateSetup setup{.decay = found.decay};
    for (const Candidate& candidate : found.candidates) {
      if (candidate.forgetting == Forgetting::each) continue;
      REQUIRE(candidate.errors.size() == count);
      for (Index i = 0; i < count; ++i) {
        const Observation& of = seen[static_cast<std::size_t>(i)];
        const double error = (of.prediction - predict(candidate, candidate_context(of, setup))).squaredNorm();
        CHECK(std::abs(candidate.errors[i] - error / squares) < 1e-13);
      }
      CHECK(candidate.r2 == Approx(1 - candidate.errors.mean()).epsilon(1e-14));
      CHECK(candidate.prediction_difference == Approx(candidate.errors.mean() * squares / f).epsilon(1e-13));
    }
  }
}

TEST_CASE("Explaining tells the share of its work that is done, rising to all of it", "[definition]") {
  std::vector<double> shares;
  ThreadPool pool;
  explain<VectorTargets>(layer, gradient_step(layer, 0.7),
                         {.tasks = 20, .done = [&](double share) { shares.push_back(share); }}, pool);
  REQUIRE(shares.size() > 3);
  CHECK(shares.front() >= 0.1);
  for (std::size_t k = 1; k < shares.size(); ++k) CHECK(shares[k] >= shares[k - 1]);
  CHECK(shares.back() == Approx(1).epsilon(1e-15));
}

namespace {

/// A layer with a learning rule in the slot of the recurrence, in closed form: keys x, values y, the query x_{N+1}.
template <class Rule>
using RuleLayer = AugmentedSsm<FactoredAttention<f>, LearningRecurrence<Rule>, Readout<f>, OutputGate<f>>;

double logit(double p) { return std::log(p / (1 - p)); }

/// Its weights with all controls raised to these numbers z, keys and values in another scale that C takes back.
template <class Rule>
auto rule_weights(const RuleLayer<Rule>& rule_layer, const Eigen::VectorXd& z) {
  auto p = rule_layer.template parameters<double>();
  p.attention.K(0, 0) = 1;
  p.attention.V(1, 0) = -2;
  p.recurrence.bias = z;
  p.readout.C = 0.5 * Eigen::MatrixXd::Identity(f, f);
  p.gate.d[2] = 1;
  return p;
}

/// Any rule as a learner, its controls set on a token of the sequence by a function.
template <class Rule, class Set>
AnsweredQueries learner(const Rule& rule, const Set& set) {
  return [rule, set](const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets, const Eigen::MatrixXd& queries) {
    auto constants = rule.template constants<InArrays<double>>();
    auto token = tokens_of<double>(rule, 1);
    set(token, constants);
    auto state = rule.template initial_state<double>();
    auto ws = rule.template workspace<double>();
    for (Index t = 0; t < inputs.cols(); ++t) {
      for (Index i = 0; i < inputs.rows(); ++i) token.k.data()[i] = inputs(i, t);
      for (Index i = 0; i < targets.rows(); ++i) token.v.data()[i] = targets(i, t);
      rule.step(constants, token_at<double>(rule, token, 0), state, ws);
    }
    Eigen::MatrixXd answers(targets.rows(), queries.cols());
    for (Index k = 0; k < queries.cols(); ++k)
      rule.read(constants, state, View<const double, f, 1>(queries.col(k).data(), f, 1),
                View<double, f, 1>(answers.col(k).data(), f, 1), ws);
    return answers;
  };
}

Explanation explained(const AnsweredQueries& of) {
  ThreadPool pool(2);
  return explain(of, f, options, pool);
}

/// c W q for a rule that steps on every pair.
AnsweredQueries online(const OnlineRule& rule) {
  return [rule](const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets, const Eigen::MatrixXd& queries) {
    return Eigen::MatrixXd(implicit_weights(rule, inputs, targets) * queries);
  };
}

}  // namespace

TEST_CASE("An online rule's weights are those of its recurrence", "[definition]") {
  const Observation seen = some_context(3);
  const OnlineRule heavy{OnlineStep::heavy_ball, 0.4, 0.3, 0.9, 2};
  Eigen::MatrixXd W = Eigen::MatrixXd::Zero(3, f), B = W, D = W, H = W;
  for (Index t = 0; t < 7; ++t) {
    const Eigen::VectorXd x = seen.inputs.col(t), y = seen.targets.col(t);
    B = 0.3 * B + 0.4 * (y - W * x) * x.transpose();
    W = 0.9 * W + B;
    D = 0.9 * D + 0.4 * (y - 0.9 * D * x) * x.transpose();
    H = 0.9 * H + 0.4 / (1 + 0.4 * x.squaredNorm()) * (y - 0.9 * H * x) * x.transpose();
  }
  CHECK(implicit_weights(heavy, seen.inputs, seen.targets).isApprox(2 * W, 1e-13));
  CHECK(
      implicit_weights(OnlineRule{OnlineStep::stochastic, 0.4, 0, 0.9}, seen.inputs, seen.targets).isApprox(D, 1e-13));
  CHECK(implicit_weights(OnlineRule{OnlineStep::implicit, 0.4, 0, 0.9}, seen.inputs, seen.targets).isApprox(H, 1e-13));
}

TEST_CASE("A filter of GD++ is GD++, and its derivatives are those of central differences", "[definition]") {
  const Observation seen = some_context(4);
  const auto [S, M] = accumulate(seen.inputs, seen.targets);
  const SpectralContext context = spectral_context(seen, 1);
  GdPlusPlusFilter filter{0.4, 0.15, 3};
  const Eigen::VectorXd expected = predict_by_gd_plus_plus(S, M, seen.query, equal_steps(0.4, 3), equal_steps(0.15, 3));
  CHECK((implicit_weights(filter, context) * seen.query).isApprox(expected, 1e-12));
  const Eigen::VectorXd logs = filter.logs();
  Eigen::VectorXd by_log(2), unused(2);
  filter.at(0.7, by_log);
  for (Index k = 0; k < 2; ++k) {
    const auto moved = [&](double h) {
      Eigen::VectorXd at = logs;
      at[k] += h;
      filter.set_logs(at);
      return filter.at(0.7, unused);
    };
    CHECK(by_log[k] == Approx((moved(1e-5) - moved(-1e-5)) / 2e-5).margin(1e-9));
  }
}

TEST_CASE("The delta rule in the recurrence's slot is named with its rate, and its decay if it has one", "[theorem]") {
  const RuleLayer<recurrences::GatedDeltaRule<f>> gated{
      FactoredAttention<f>(), LearningRecurrence<recurrences::GatedDeltaRule<f>>(), Readout<f>(), OutputGate<f>()};
  ThreadPool pool(2);
  const auto found_at = [&](double rate, double decay) {
    return explain<VectorTargets>(gated, rule_weights(gated, Eigen::Vector2d(logit(rate), -decay)), options, pool);
  };
  const Explanation delta = found_at(0.7, logit(1 - 1e-13));  // a decay of 1 up to rounding
  expect(delta, "delta-rule", {0.7}, 1e-7);
  CHECK(nearest(delta).rule == LearningRule::stochastic);
  CHECK(delta.verdict.starts_with("This is the delta rule, a step of stochastic gradient descent a pair, a = 0.7: "));
  CHECK(delta.layers.empty());
  const Explanation decayed = found_at(0.4, logit(0.8));
  expect(decayed, "decayed-delta-rule", {0.4}, 1e-7);
  CHECK(nearest(decayed).decay == Approx(0.8).epsilon(1e-7));
}

TEST_CASE("An implicit step is named apart from the delta rule, with its rate", "[theorem]") {
  const RuleLayer<recurrences::Longhorn<f>> longhorn{
      FactoredAttention<f>(), LearningRecurrence<recurrences::Longhorn<f>>(), Readout<f>(), OutputGate<f>()};
  ThreadPool pool(2);
  const auto p = rule_weights(longhorn, Eigen::VectorXd::Constant(f, logit(0.9)));
  expect(explain<VectorTargets>(longhorn, p, options, pool), "implicit-steps", {0.9}, 1e-7);
  expect(explained(online({OnlineStep::implicit, 8})), "implicit-steps", {8}, 1e-6);
}

TEST_CASE("Momentum is named with its rate and eta, Mesa as ridge regression with its penalty, GD++ with gamma",
          "[theorem]") {
  const recurrences::Titans<f> titans;
  const Explanation momentum = explained(learner(titans, [](auto& token, auto&) {
    token.alpha.data()[0] = 1;
    token.eta.data()[0] = 0.4;
    token.theta.data()[0] = 0.6;
  }));
  expect(momentum, "momentum", {0.6}, 1e-6);
  CHECK(nearest(momentum).momentum == Approx(0.4).epsilon(1e-6));

  const recurrences::Mesa<f> mesa;
  const auto mesa_at = [&](double lambda, double decay) {
    return explained(learner(mesa, [=](auto& token, auto& constants) {
      token.alpha.data()[0] = decay;
      token.beta.data()[0] = 1;
      for (Index i = 0; i < f; ++i) constants.lambda[i] = lambda;
    }));
  };
  const Explanation ridge = mesa_at(0.3, 1);
  expect(ridge, "ridge", {}, 1e-9);
  CHECK(nearest(ridge).rho == Approx(0.3).epsilon(1e-9));
  const Explanation discounted = mesa_at(0.2, 0.8);
  expect(discounted, "discounted-ridge", {}, 1e-9);
  CHECK(nearest(discounted).rho == Approx(0.2).epsilon(1e-6));
  CHECK(discounted.decay == Approx(0.8).epsilon(1e-6));

  const Explanation transformed =
      explained([](const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets, const Eigen::MatrixXd& queries) {
        const auto [S, M] = accumulate(inputs, targets);
        Eigen::MatrixXd answers(targets.rows(), queries.cols());
        for (Index k = 0; k < queries.cols(); ++k)
          answers.col(k) = predict_by_gd_plus_plus(S, M, queries.col(k), equal_steps(0.6, 2), equal_steps(0.5, 2));
        return answers;
      });
  expect(transformed, "gd-plus-plus", {0.6, 0.6}, 1e-7);
  CHECK(nearest(transformed).gamma == Approx(0.5).epsilon(1e-7));
}

TEST_CASE("Additive rules in the slot are gradient descent, on a loss with the decay that is fitted", "[theorem]") {
  const RuleLayer<recurrences::LinearAttention<f>> plain{
      FactoredAttention<f>(), LearningRecurrence<recurrences::LinearAttention<f>>(), Readout<f>(), OutputGate<f>()};
  ThreadPool pool(2);
  auto p = rule_weights(plain, Eigen::VectorXd(0));
  p.readout.C *= 0.7;
  const Explanation found = explain<VectorTargets>(plain, p, options, pool);
  expect(found, "gradient-descent", {0.7});
  CHECK(found.decay == 1);
  const Explanation discounted =
      explained([](const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets, const Eigen::MatrixXd& queries) {
        Eigen::MatrixXd M = Eigen::MatrixXd::Zero(targets.rows(), f);
        for (Index t = 0; t < inputs.cols(); ++t) M = 0.85 * M + targets.col(t) * inputs.col(t).transpose();
        return Eigen::MatrixXd(0.5 * M * queries);
      });
  expect(discounted, "discounted-gradient-descent", {0.5}, 1e-6);
  CHECK(discounted.decay == Approx(0.85).epsilon(1e-6));
}

TEST_CASE("A learner halfway between two is said to be between or roughly one, and one that is none is none",
          "[theorem]") {
  const auto halfway = [](double rate, double rho) {
    return explained([=](const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets,
                         const Eigen::MatrixXd& queries) {
      const auto [S, M] = accumulate(inputs, targets);
      const OnlineRule delta{OnlineStep::stochastic, rate};
      return Eigen::MatrixXd((implicit_weights(delta, inputs, targets) + ridge_regression(S, M, rho)) / 2 * queries);
    });
  };
  const Explanation between = halfway(2, 0.02), roughly = halfway(4, 0.02);
  INFO(between.verdict << roughly.verdict);
  CHECK(between.verdict.starts_with("This is between "));
  CHECK(nearest(between).r2 < 0.99);
  CHECK(1 - between.candidates[between.runner_up].r2 < 2 * (1 - nearest(between).r2));
  CHECK(roughly.verdict.starts_with("This is roughly the delta rule"));
  CHECK(nearest(roughly).r2 < 0.99);

  const AnsweredQueries delta = online({OnlineStep::stochastic, 2});
  const Explanation none =
      explained([&](const Eigen::MatrixXd& inputs, const Eigen::MatrixXd& targets, const Eigen::MatrixXd& queries) {
        // Every second pair counts the other way round.
        Eigen::MatrixXd turned = targets;
        for (Index t = 0; t < targets.cols(); t += 2) turned.col(t) *= -1;
        return delta(inputs, turned, queries);
      });
  INFO(none.verdict);
  CHECK(none.algorithm == "none");
  CHECK(none.counterexample);
}

}  // namespace gdssm::test
