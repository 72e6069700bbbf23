// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/sequence_model.hpp"

#include <utility>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/analysis/check_gradient.hpp"
#include "gdssm/baselines/attention.hpp"
#include "gdssm/baselines/fast_weights.hpp"
#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/baselines/rg_lru.hpp"
#include "gdssm/baselines/whole_context.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/models/stream.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm {
namespace {

using test::expect_model;
using test::expect_vjp;
using test::Pass;
using test::random_matrix;

using Windows = SequenceModel<WindowInput, GatedLinearRnnLayer>;
using Deltas = SequenceModel<PairInput, DeltaNetLayer<>>;
using Attention = SequenceModel<PairInput, SoftmaxAttentionLayer>;

TEST_CASE("stacks step as they go forward, cut anywhere, and pull back to weights, tokens and state", "[vjp][state]") {
  expect_model(Windows(WindowInput(2), {3, 2, 2}, 2));
  expect_model(Windows(WindowInput(2, 2), {3, 2, 2}, 1));
  expect_model(Deltas(PairInput(2), delta_net(3, 2, 2), 2));
}

TEST_CASE("any layer around a learning rule stacks", "[vjp][state]") {
  using Rule = recurrences::Kda<>;
  using Layer = AugmentedSsm<KeyValueProjection<>, LearningRecurrence<Rule>, Readout<>, ProjectionGate<>>;
  const Layer layer({3, 2, 2}, LearningRecurrence<Rule>(Rule(2, 2)), {3, 2}, {2, 3});
  expect_model(SequenceModel(PairInput(2), layer, 2));
}

TEST_CASE("stacks of layers that read whole contexts pull back to weights and tokens", "[vjp]") {
  expect_vjp(Pass<Attention>{{PairInput(2), {3, 2, 2, 3}, 2}, 3, 1});
  using Linear = SequenceModel<PairInput, WholeContext<LinearAttentionLayer>>;
  expect_vjp(Pass<Linear>{{PairInput(2), {linear_attention(3, 2, 2), 3}, 2}, 3, 1, 0, {1, 0, 1}});
}

TEST_CASE("a stack has the gradient of its loss on every path that training takes, contexts of two lengths too",
          "[vjp]") {
  const auto report = check_gradient(Deltas(PairInput(2), delta_net(3, 2, 2), 1));
  INFO(report.message);
  CHECK(report.passed);
}

TEST_CASE("inputs are the windows, the windows with their local attention, and pairs and queries", "[definition]") {
  const Index f = 2;
  Array<double> tokens(f, 3), attended(3 * f + f * f, 1), pair(2 * f, 1), query = pair;
  test::Random(2).fill(tokens);
  const View<const double, Dynamic, 3> window(std::as_const(tokens).view());
  const WindowInput heads(f, 1);
  const PairInput pairs(f);
  auto c = heads.coefficients<double>();
  test::Random(3).fill(c);
  auto ws = heads.workspace<double>();
  auto nothing = pairs.workspace<double>();
  heads.read(c, window, attended.view().column(0), ws);
  pairs.read(pairs.coefficients<double>(), window, pair.view().column(0), nothing);
  pairs.ask(window, query.view().column(0));
  const Eigen::MatrixXd X = tokens.matrix().transpose(), G = X.transpose() * c.heads[0].A.matrix() * X;
  CHECK(attended.matrix().col(0).head(3 * f) == X.transpose().reshaped());
  CHECK((attended.matrix().col(0).tail(f * f) - G.reshaped()).norm() < 1e-15);
  CHECK(pair.matrix().col(0) == X.topRows(2).transpose().reshaped());
  CHECK(query.matrix().col(0).head(f) == tokens.matrix().col(2));
  CHECK(query.matrix().col(0).tail(f).isZero(0));
  CHECK(WindowInput(f).size() == 3 * f);
  CHECK(count(WindowInput(f).parameters<double>()) == 0);
}

TEST_CASE("a prediction from windows depends on the pairs before it alone", "[theorem]") {
  const Index f = 2, N = 4;
  const Windows model(WindowInput(f), {3, 2, 2}, 2);
  const auto p = reference_initialization<double>(model, 1);
  Eigen::MatrixXd tokens = random_matrix(f, 2 * N + 1, 5);
  const Eigen::MatrixXd before = model.predict(p, tokens);
  tokens.rightCols(2).setOnes();
  const Eigen::MatrixXd after = model.predict(p, tokens);
  CHECK(before.leftCols(N - 1) == after.leftCols(N - 1));
  CHECK(before.col(N - 1) != after.col(N - 1));
}

TEST_CASE("lanes are what each of their contexts would be alone, and a stack trains like any model", "[lanes]") {
  using S = Lanes<float>;
  const Index f = 2, N = 4;
  const Windows model(WindowInput(f), {4, 3, 3}, 2);
  const auto p = reference_initialization<float>(model, 1);
  const LinearRegression tasks{.features = f, .outputs = f, .context = N};
  ThreadPool pool;
  auto run = begin_run(AdamW{{{{}, 1e-2}}}, p);
  double first = 0, last = 0;
  const TrainingResult ended = train<S, VectorTargets>(model, tasks, AdamW{{{{}, 1e-2}}}, ConstantRate{},
                                                       {.updates = 300, .seed = 1}, run, pool, [&](const auto& at) {
                                                         if (at.update <= 50) first += at.loss;
                                                         if (at.update > 250) last += at.loss;
                                                       });
  CHECK(ended.status == TrainingStatus::finished);
  CHECK(last < first);

  Array<S> tokens(f, 2 * N + 1), predictions(f, N);
  test::Random(6).fill(tokens);
  auto ws = model.workspace<S>();
  auto state = model.initial_state<S>();
  model.forward(model.prepare(run.parameters), Sequence<S>{tokens.view()}, state, predictions.view(), ws);
  for (Index l = 0; l < S::count; ++l) {
    Eigen::MatrixXf alone(f, 2 * N + 1);
    for (Index i = 0; i < alone.size(); ++i) alone.data()[i] = tokens[i][l];
    const Eigen::MatrixXf expected = model.predict(run.parameters, alone);
    for (Index i = 0; i < expected.size(); ++i) CHECK(predictions[i][l] == Approx(expected.data()[i]).margin(1e-5));
  }
}

TEST_CASE("a stack of any depth begins as its encoder and decoder alone", "[definition]") {
  const Index f = 2, N = 4;
  const Eigen::MatrixXd tokens = random_matrix(f, 2 * N + 1, 1);
  const auto check = [&](const auto& layer) {
    const SequenceModel model(PairInput(f), layer, 3);
    const auto p = reference_initialization<double>(model, 1);
    const Eigen::MatrixXd predictions = model.predict(p, tokens);
    for (Index t = 0; t < N; ++t)
      CHECK((predictions.col(t) - p.decoder * (p.encoder.leftCols(f) * tokens.col(2 * t + 2))).norm() < 1e-15);
  };
  check(delta_net(5, 3, 2));
  check(mesa_net(5, 3, 2));
  check(RgLruLayer(5, 3));
}

TEST_CASE("a stack reads a stream, a token at a time", "[state]") {
  const Deltas model(PairInput(2), delta_net(3, 2, 2), 2);
  const auto p = reference_initialization<double>(model, 1);
  const Eigen::MatrixXd tokens = random_matrix(2, 9, 1), predictions = model.predict(p, tokens);
  Stream stream(model, p);
  Index t = 0;
  for (Index i = 0; i < tokens.cols(); ++i)
    if (const auto answer = stream.step(tokens.col(i))) CHECK(*answer == predictions.col(t++));
  CHECK(t == 4);
}

TEST_CASE("a stack says which tokens, contexts and predictions it does not have", "[misuse]") {
  const Attention model(PairInput(2), {3, 2, 2, 4}, 1);
  const auto p = reference_initialization<double>(model, 1);
  CHECK_THROWS_WITH(model.predict(p, random_matrix(2, 11, 1)),
                    "SequenceModel: the sequence has 6 columns, the workspace room for 5");
  CHECK_THROWS_WITH(model.predict(p, random_matrix(3, 9, 1)), "SequenceModel: the number of features is 3, expected 2");
  const Array<double> tokens(2, 9);
  Array<double> high(3, 1), many(2, 2);
  auto state = model.initial_state<double>();
  auto ws = model.workspace<double>();
  CHECK_THROWS_WITH(model.forward(model.prepare(p), {tokens.view()}, state, high.view(), ws),
                    "SequenceModel: the number of rows of the predictions is 3, expected 2");
  CHECK_THROWS_WITH(model.forward(model.prepare(p), {tokens.view()}, state, many.view(), ws),
                    "SequenceModel: predictions at the last 2 windows, expected 0 to 1");
  CHECK_THROWS_WITH(Attention(PairInput(2), {3, 2, 2, 4}, 0), "SequenceModel: the depth is 0, expected at least 1");
  CHECK_THROWS_WITH(WindowInput(2, -1), "WindowInput: the number of heads is -1, expected at least 0");
  const AugmentedSsm<KeyValueProjection<>, UnitDecay<>, Readout<>, ProjectionGate<>> narrow({3, 2, 2}, {2, 2}, {2, 2},
                                                                                            {2, 3});
  CHECK_THROWS_WITH(SequenceModel(PairInput(2), narrow, 1),
                    "SequenceModel: the length of a layer's output is 2, expected 3");
}

}  // namespace
}  // namespace gdssm
