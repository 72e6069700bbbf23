// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/gradient.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/no_heap.hpp"
#include "training/contexts.hpp"

#include "gdssm/models/two_step_stack.hpp"

namespace gdssm {
namespace {

using test::Random;
using test::random_contexts;
using Sizes = std::vector<std::pair<Index, Index>>;

/// Windows and losses of contexts: all different, more than lanes, and not a multiple of the lanes.
Sizes ragged_sizes(Index count) {
  Sizes sizes;
  for (Index b = 0; b < count; ++b) sizes.push_back({2 + (3 * b) % 5, 1 + b % 2});
  return sizes;
}

template <class P, class Model>
typename Model::template Parameters<P> random_parameters(const Model& model, Random& random) {
  auto p = model.template parameters<P>();
  random.fill(p);
  return p;
}

template <class S, class Kind, class Method, class Model, class Parameters>
std::pair<LaneScalar<S>, Parameters> loss_and_gradient(const Model& model, const Parameters& p,
                                                       const std::vector<Context<LaneScalar<S>>>& contexts) {
  const Batch<S> batch(model.window(), contexts);
  BatchGradient<Model, S, Kind, Method> of_batch(model, batch.windows(), batch.losses());
  Parameters gradient = model.template parameters<LaneScalar<S>>();
  fill(gradient, 100);  // must be overwritten
  const LaneScalar<S> loss = of_batch(p, batch, gradient);
  return {loss, gradient};
}

/// The loss by its definition, from the model's predictions.
template <class Kind, class Model, class Parameters>
double plain_loss(const Model& model, const Parameters& p, const std::vector<Context<double>>& contexts) {
  double sum = 0;
  Index losses = 0;
  const Index m = std::is_same_v<Kind, ScalarTargets> ? 1 : model.output_count();
  for (const auto& [tokens, targets] : contexts) {
    const Eigen::MatrixXd error = model.predict(p, tokens).rightCols(targets.cols()) - targets;
    sum += 0.5 * error.bottomRows(m).squaredNorm();
    losses += targets.cols();
  }
  return sum / static_cast<double>(losses * m);
}

/// The mean cross-entropy of two classes by its definition.
template <class Model, class Parameters>
double plain_cross_entropy(const Model& model, const Parameters& p, const std::vector<Context<double>>& contexts) {
  double sum = 0;
  Index losses = 0;
  for (const auto& [tokens, targets] : contexts) {
    const Eigen::MatrixXd logits = model.predict(p, tokens).rightCols(targets.cols()).topRows(2);
    sum += logits.array().exp().colwise().sum().log().sum() - targets.topRows(2).cwiseProduct(logits).sum();
    losses += targets.cols();
  }
  return sum / static_cast<double>(losses);
}

/// Lanes and masks give the mean of single contexts, sum_b k_b loss_b / sum_b k_b, and the same for gradients.
template <class S, class Kind, class Method, class Model>
void check_against_single_contexts(const Model& model, const Sizes& sizes) {
  using P = LaneScalar<S>;
  Random random(61);
  const auto p = random_parameters<P>(model, random);
  const auto contexts = random_contexts<P>(model.feature_count(), model.output_count(), sizes, random);
  CAPTURE(contexts.size(), lane_count<S>, sizeof(P));

  P total = 0, expected_loss = 0;
  for (const auto& context : contexts) total += static_cast<P>(context.targets.cols());
  auto expected = model.template parameters<P>();
  for (const auto& context : contexts) {
    const P weight = static_cast<P>(context.targets.cols()) / total;
    const auto [loss, gradient] = loss_and_gradient<P, Kind, Method>(model, p, {context});
    expected_loss += weight * loss;
    visit([&](const Name&, const auto& one, auto& sum) { sum += weight * one; }, gradient, expected);
  }

  const auto [loss, gradient] = loss_and_gradient<S, Kind, Method>(model, p, contexts);
  const P tolerance = 200 * std::numeric_limits<P>::epsilon();
  CHECK(std::abs(loss - expected_loss) <= tolerance * expected_loss);
  visit(
      [&](const Name& name, const auto& got, const auto& sum) {
        INFO(name.str());
        CHECK((got - sum).cwiseAbs().maxCoeff() <= tolerance * sum.cwiseAbs().maxCoeff());
      },
      gradient, expected);
}

TEST_CASE("the gradient over lanes is the sum over single contexts, ragged or not", "[gradient]") {
  const PaperLayer<> layer(4);
  const Sizes even(19, {5, 2});
  check_against_single_contexts<Lanes<float>, VectorTargets, StoredHistory>(layer, ragged_sizes(37));
  check_against_single_contexts<Lanes<float>, VectorTargets, StoredHistory>(layer, ragged_sizes(16));
  check_against_single_contexts<Lanes<float>, VectorTargets, StoredHistory>(layer, even);
  check_against_single_contexts<Lanes<float>, ScalarTargets, ForwardSensitivity>(layer, ragged_sizes(21));
  check_against_single_contexts<Lanes<double>, VectorTargets, ForwardSensitivity>(layer, ragged_sizes(11));
  check_against_single_contexts<double, VectorTargets, StoredHistory>(layer, ragged_sizes(5));
  check_against_single_contexts<double, VectorTargets, StoredHistory>(layer, even);
}

TEST_CASE("the gradient of a stack over lanes is the sum over single contexts", "[gradient]") {
  check_against_single_contexts<Lanes<double>, VectorTargets, StoredHistory>(
      HornerStack<PaperLayer<>>(PaperLayer<>(3), 2), ragged_sizes(11));
}

/// Loss against its definition, gradient against the definition's central differences.
template <class S, class Kind, class Method, class Model>
void check_against_differences(const Model& model) {
  constexpr bool classes = std::is_same_v<Kind, ClassTargets<2>>;
  Random random(62);
  auto p = random_parameters<double>(model, random);
  auto contexts = random_contexts<double>(model.feature_count(), model.output_count(), ragged_sizes(5), random);
  if constexpr (classes)
    for (auto& context : contexts)
      for (Index j = 0; j < context.targets.cols(); ++j) context.targets.col(j).head(2) << 0.3, 0.7;
  const auto plain = [&] {
    if constexpr (classes)
      return plain_cross_entropy(model, p, contexts);
    else
      return plain_loss<Kind>(model, p, contexts);
  };
  const auto [loss, gradient] = loss_and_gradient<S, Kind, Method>(model, p, contexts);
  CHECK(std::abs(loss - plain()) <= 1e-13 * loss);
  visit(
      [&](const Name& name, const auto& of_loss, auto& matrix) {
        for (Index i = 0; i < matrix.size(); ++i) {
          INFO(name.str() << ", entry " << i);
          const double at = matrix.data()[i], h = 1e-5;
          matrix.data()[i] = at + h;
          const double above = plain();
          matrix.data()[i] = at - h;
          const double below = plain();
          matrix.data()[i] = at;
          CHECK(std::abs(of_loss.data()[i] - (above - below) / (2 * h)) <= 1e-8);
        }
        CHECK(of_loss.cwiseAbs().maxCoeff() > 1e-6);
      },
      gradient, p);
}

TEST_CASE("loss and gradient are those of the definition", "[gradient]") {
  check_against_differences<Lanes<double>, VectorTargets, StoredHistory>(PaperLayer<>(3));
  check_against_differences<double, VectorTargets, ForwardSensitivity>(PaperLayer<>(3));
  check_against_differences<double, ScalarTargets, StoredHistory>(PaperLayer<Dynamic, Bilinear>(3));
  check_against_differences<double, ClassTargets<2>, StoredHistory>(PaperLayer<>(3));
}

TEST_CASE("the same batch gives the same bits", "[gradient]") {
  Random random(63);
  const PaperLayer<> layer(4);
  const auto p = random_parameters<float>(layer, random);
  const auto contexts = random_contexts<float>(4, 4, ragged_sizes(21), random);
  const Batch<Lanes<float>> batch(layer.window(), contexts);
  BatchGradient<PaperLayer<>, Lanes<float>> of_batch(layer, batch.windows(), batch.losses());
  auto first = layer.parameters<float>(), second = first;
  const float loss = of_batch(p, batch, first);
  CHECK(of_batch(p, batch, second) == loss);
  CHECK(identical(first, second));
}

TEST_CASE("a context without a loss changes nothing", "[gradient]") {
  Random random(64);
  const PaperLayer<> layer(3);
  const auto p = random_parameters<double>(layer, random);
  auto contexts = random_contexts<double>(3, 3, {{4, 1}, {6, 2}, {4, 0}}, random);
  const auto [loss, gradient] = loss_and_gradient<Lanes<double>, VectorTargets, StoredHistory>(layer, p, contexts);
  contexts.pop_back();
  const auto [same_loss, same] = loss_and_gradient<Lanes<double>, VectorTargets, StoredHistory>(layer, p, contexts);
  CHECK(loss == same_loss);
  CHECK(identical(gradient, same));
}

template <class S, class Method, class Model>
void check_no_allocation(const Model& model, const Sizes& sizes) {
  using P = LaneScalar<S>;
  Random random(65);
  const auto p = random_parameters<P>(model, random);
  const Batch<S> batch(model.window(), random_contexts<P>(model.feature_count(), model.output_count(), sizes, random));
  BatchGradient<Model, S, VectorTargets, Method> of_batch(model, batch.windows(), batch.losses());
  auto gradient = model.template parameters<P>();
  P loss = 0;
  CHECK(test::allocations_of([&] { loss = of_batch(p, batch, gradient); }) == 0);
  CHECK(loss > 0);
}

TEST_CASE("a batch's gradient asks for no memory", "[gradient][no_heap]") {
  CHECK(test::allocations_of([] { Eigen::VectorXd(3).setZero(); }) > 0);
  check_no_allocation<Lanes<float>, StoredHistory>(PaperLayer<>(4), ragged_sizes(21));
  check_no_allocation<double, ForwardSensitivity>(PaperLayer<>(4), ragged_sizes(3));
  check_no_allocation<double, StoredHistory>(HornerStack<PaperLayer<>>(PaperLayer<>(3), 2), ragged_sizes(3));
  check_no_allocation<double, StoredHistory>(TwoStepStack<PaperLayer<>>(PaperLayer<>(3)), {{4, 1}, {4, 1}});
}

TEST_CASE("a batch that doesn't fit what the gradient was made for is refused", "[gradient][misuse]") {
  Random random(66);
  const PaperLayer<> layer(3);
  const auto p = layer.parameters<double>();
  auto gradient = p;
  const auto batch = [&](Index f, Index m, const Sizes& sizes) {
    return Batch<double>(PaperLayer<>(f).window(), random_contexts<double>(f, m, sizes, random));
  };
  BatchGradient<PaperLayer<>, double> of_batch(layer, 4, 1);
  CHECK_NOTHROW(of_batch(p, batch(3, 3, {{4, 1}}), gradient));
  CHECK_NOTHROW(of_batch(p, batch(3, 3, {{2, 1}}), gradient));
  CHECK_THROWS_WITH(of_batch(p, batch(3, 3, {{5, 1}}), gradient),
                    "AugmentedSsm::vjp: the workspace has room for 4 states and 1 losses, expected 5 and 1");
  CHECK_THROWS_WITH(of_batch(p, batch(3, 3, {{4, 2}}), gradient),
                    "AugmentedSsm::vjp: the workspace has room for 4 states and 1 losses, expected 4 and 2");
  CHECK_THROWS_WITH(of_batch(p, batch(3, 2, {{4, 1}}), gradient),
                    "BatchGradient: the number of rows of the targets is 2, expected 3");
  CHECK_THROWS_WITH(of_batch(p, batch(4, 3, {{4, 1}}), gradient),
                    "BatchGradient: the number of features of a token is 4, expected 3");
  BatchGradient<PaperLayer<3>, double> of_fixed(PaperLayer<3>(), 4, 1);
  auto fixed_gradient = PaperLayer<3>().parameters<double>();
  CHECK_THROWS_WITH(of_fixed(fixed_gradient, batch(4, 3, {{4, 1}}), fixed_gradient),
                    "BatchGradient: the number of features of a token is 4, expected 3");
}

TEMPLATE_TEST_CASE("Many windows at once give the gradient of one at a time, for contexts of any length", "[vjp]",
                   double, Lanes<double>, Lanes<float>) {
  using S = TestType;
  using P = LaneScalar<S>;
  const double tolerance = std::is_same_v<P, float> ? 1e-4 : 1e-12;
  Random random(71);
  const PaperLayer<> layer(4);
  auto p = random_parameters<P>(layer, random);
  p.recurrence.Lambda = -p.recurrence.Lambda.cwiseAbs();
  p.recurrence.log_step.setConstant(P(-2));
  for (const Index pairs : {1, 2, 25, 26, 64, 65, 130}) {
    CAPTURE(pairs, lane_count<S>);
    const auto contexts = random_contexts<P>(4, 4, Sizes(5, {pairs, 1}), random);
    const auto [loss, by_runs] = loss_and_gradient<S, VectorTargets, ForwardSensitivity>(layer, p, contexts);
    const auto [stored_loss, stored] = loss_and_gradient<S, VectorTargets, StoredHistory>(layer, p, contexts);
    CHECK(loss == stored_loss);
    visit(
        [&](const Name& name, const auto& one, const auto& other) {
          CAPTURE(name.str());
          CHECK(double((one - other).norm()) <= tolerance * double(other.norm()));
        },
        by_runs, stored);
  }
}

TEST_CASE("A gradient that is used again follows the parameters", "[regression]") {
  Random random(72);
  const PaperLayer<> layer(3);
  const auto before = random_parameters<double>(layer, random), after = random_parameters<double>(layer, random);
  const auto contexts = random_contexts<double>(3, 3, Sizes(3, {5, 1}), random);
  const Batch<double> batch(layer.window(), contexts);
  BatchGradient<PaperLayer<>, double, VectorTargets, ForwardSensitivity> of_batch(layer, 5, 1);
  auto gradient = before;
  of_batch(before, batch, gradient);
  of_batch(after, batch, gradient);
  CHECK(
      identical(gradient, loss_and_gradient<double, VectorTargets, ForwardSensitivity>(layer, after, contexts).second));
}

}  // namespace
}  // namespace gdssm
