// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/sequence_model.hpp"

#include <utility>

#include "baselines/layer_case.hpp"
#include "support/catch.hpp"

#include "gdssm/baselines/attention.hpp"
#include "gdssm/baselines/gated_linear_rnn.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::ModelCase;
using test::random_matrix;

using Windows = SequenceModel<WindowInput, GatedLinearRnnLayer>;
using Attended = SequenceModel<AttentionInput, GatedLinearRnnLayer>;
using Pairs = SequenceModel<PairInput, LinearAttentionLayer>;

TEST_CASE("stacks of layers pull back to all their parameters, whatever they read", "[vjp]") {
  const Index f = 2, N = 3;
  const Eigen::MatrixXd tokens = random_matrix(f, 2 * N + 1, 1);
  expect_vjp(ModelCase<Windows>{{WindowInput(f), {3, 2, 2}, N, 2}, tokens, 3});
  expect_vjp(ModelCase<Attended>{{AttentionInput(f), {3, 2, 2}, N, 1}, tokens, 2});
  expect_vjp(ModelCase<Pairs>{{PairInput(f), {3, 2, 2}, N, 2}, tokens, 1});
}

TEST_CASE("inputs are the windows, the windows with their local attention, and the pairs", "[definition]") {
  const Index f = 2, N = 3;
  Array<double> tokens(f, 2 * N + 1);
  test::Random(2).fill(tokens);
  const auto x = std::as_const(tokens).view();

  Array<double> windows(3 * f, N), attended(3 * f + f * f, N), pairs(2 * f, N + 1);
  const WindowInput window_input(f);
  const AttentionInput attention_input(f);
  const PairInput pair_input(f);
  window_input.read(window_input.coefficients<double>(), x, windows);
  pair_input.read(pair_input.coefficients<double>(), x, pairs);
  auto c = attention_input.coefficients<double>();
  test::Random(3).fill(c);
  attention_input.read(c, x, attended);
  for (Index t = 0; t < N; ++t) {
    const Eigen::MatrixXd X = tokens.matrix().middleCols(2 * t, 3).transpose();
    const Eigen::MatrixXd G = X.transpose() * c.A.matrix() * X;
    CHECK(windows.matrix().col(t) == X.transpose().reshaped());
    CHECK(attended.matrix().col(t).head(3 * f) == X.transpose().reshaped());
    CHECK((attended.matrix().col(t).tail(f * f) - G.reshaped()).norm() < 1e-15);
    CHECK(pairs.matrix().col(t) == X.topRows(2).transpose().reshaped());
  }
  CHECK(pairs.matrix().col(N).head(f) == tokens.matrix().col(2 * N));
  CHECK(pairs.matrix().col(N).tail(f).isZero(0));
}

TEST_CASE("a prediction from windows depends on the pairs before it alone", "[theorem]") {
  const Index f = 2, N = 4;
  const Windows model(WindowInput(f), {3, 2, 2}, N, 2);
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
  const Windows model(WindowInput(f), {4, 3, 3}, N, 2);
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
  Windows::State<S> state;
  model.forward(model.prepare(run.parameters), Sequence<S>{tokens.view()}, state, predictions.view(), ws);
  for (Index l = 0; l < S::count; ++l) {
    Eigen::MatrixXf alone(f, 2 * N + 1);
    for (Index i = 0; i < alone.size(); ++i) alone.data()[i] = tokens[i][l];
    const Eigen::MatrixXf expected = model.predict(run.parameters, alone);
    for (Index i = 0; i < expected.size(); ++i) CHECK(predictions[i][l] == Approx(expected.data()[i]).margin(1e-5));
  }
}

TEST_CASE("a stack says which contexts and predictions it does not have", "[misuse]") {
  const Pairs model(PairInput(2), {3, 2, 2}, 4, 1);
  const auto p = reference_initialization<double>(model, 1);
  CHECK_THROWS_WITH(model.predict(p, random_matrix(2, 7, 1)), "SequenceModel: the number of tokens is 7, expected 9");
  CHECK_THROWS_WITH(model.predict(p, random_matrix(3, 9, 1)), "SequenceModel: the number of features is 3, expected 2");
  const Array<double> tokens(2, 9);
  Array<double> high(3, 1);
  auto state = model.initial_state<double>();
  auto ws = model.workspace<double>();
  CHECK_THROWS_WITH(model.forward(model.prepare(p), {tokens.view()}, state, high.view(), ws),
                    "SequenceModel: the number of rows of the predictions is 3, expected 2");
  CHECK_THROWS_WITH(model.gradient_workspace<double>(4, 2),
                    "SequenceModel: predictions at the last 2 windows, expected 0 to 1");
  CHECK_THROWS_WITH(Pairs(PairInput(2), {3, 2, 2}, 4, 0), "SequenceModel: the depth is 0, expected at least 1");
  CHECK_THROWS_WITH(LinearAttentionLayer(3, 0, 2),
                    "AttentionLayer: the number of keys' coordinates is 0, expected at least 1");
}

}  // namespace
}  // namespace gdssm
