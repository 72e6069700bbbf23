// SPDX-License-Identifier: Apache-2.0
// Training refuses arguments of wrong sizes, and reads and writes nothing out of bounds.
#include <string>

#include "gdssm/models/query_derivative.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/batch.hpp"
#include "gdssm/training/gradient.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/loss.hpp"
#include "gdssm/training/online_gradient.hpp"
#include "gdssm/training/optimizer.hpp"
#include "gdssm/training/task_source.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::message_of;

/// The error message of a loss with targets (rows x cols) for a prediction and a derivative of these lengths at window
/// j.
template <class Loss, class S>
std::string said(Index rows, Index cols, Index length, Index derivative, Index j, Index marks) {
  const Array<S> targets(rows, cols), present(1, marks);
  const Array<S, Dynamic, 1> prediction(length, 1);
  Array<S, Dynamic, 1> g(derivative, 1);
  return message_of([&] {
    Loss loss(targets.view(), LaneScalar<S>(1), marks > 0 ? present.view() : View<const S>::absent());
    loss(j, prediction.view(), g.view());
  });
}

TEMPLATE_TEST_CASE("A loss refuses predictions, windows and marks without a target", "[misuse][regression]", double,
                   Lanes<float>) {
  using S = TestType;
  const auto squared = said<SquaredError<S>, S>;
  CHECK(squared(3, 2, 3, 3, 1, 0) == "");
  CHECK(squared(3, 2, 3, 3, 1, 2) == "");
  for (const Index length : {2, 4})
    CHECK(squared(3, 2, length, length, 0, 0) ==
          "Loss: the length of the prediction is " + std::to_string(length) + ", expected 3");
  CHECK(squared(3, 2, 3, 2, 0, 0) == "Loss: the length of the derivative is 2, expected 3");
  CHECK(squared(3, 2, 3, 3, 2, 0) == "Loss: the window is 2, expected 0 to 1");
  CHECK(squared(3, 2, 3, 3, -1, 0) == "Loss: the window is -1, expected 0 to 1");
  CHECK(squared(3, 2, 3, 3, 0, 1) == "Loss: the number of losses marked present is 1, expected 2");
  CHECK(said<SquaredError<S, ScalarTargets>, S>(2, 1, 3, 3, 0, 0) ==
        "Loss: the length of the prediction is 3, expected 2");

  const auto classes = said<CrossEntropy<S, 3>, S>;
  CHECK(classes(4, 2, 4, 4, 1, 2) == "");
  CHECK(classes(2, 2, 2, 2, 0, 0) == "Loss: predictions have 2 coordinates, expected at least 3");
  CHECK(classes(4, 2, 4, 3, 0, 0) == "Loss: the length of the derivative is 3, expected 4");
  CHECK(classes(4, 2, 4, 4, 2, 0) == "Loss: the window is 2, expected 0 to 1");
  CHECK(classes(4, 2, 4, 4, 0, 3) == "Loss: the number of losses marked present is 3, expected 2");
}

TEST_CASE("A batch has the contexts and groups that it was made for, and no others", "[misuse][regression]") {
  using S = Lanes<float>;
  const PaperLayer<> layer(3);
  const Index lanes = lane_count<S>, count = lanes + 1;
  Batch<S> batch(layer.window(), count, 9, 3, 1);
  const Eigen::MatrixXf tokens = Eigen::MatrixXf::Zero(3, 9), target = Eigen::MatrixXf::Zero(3, 1);
  CHECK(message_of([&] { batch.set(count - 1, tokens, target); }) == "");
  for (const Index b : {Index(-1), count, 2 * lanes})
    CHECK(message_of([&] { batch.set(b, tokens, target); }) ==
          "Batch: the context is " + std::to_string(b) + ", expected 0 to " + std::to_string(count - 1));
  for (const Index g : {-1, 2})
    CHECK(message_of([&] { batch.lane_group(g); }) == "Batch: the group is " + std::to_string(g) + ", expected 0 to 1");
  for (const Index height : {-1, 0})
    CHECK(message_of([&] { Batch<S>(layer.window(), 1, 9, height, 1); }) ==
          "Batch: the targets have " + std::to_string(height) + " rows, expected at least 1");

  const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};
  const TaskSource<S> source(tasks, layer.window(), 1);
  CHECK(message_of([&] { source.draw(1, 0, 0, batch); }) == "");
  for (const Index g : {-1, 1})
    CHECK(message_of([&] { source.draw(1, 0, g, batch); }) ==
          "TaskSource: the group is " + std::to_string(g) + ", expected 0 to 0");
  CHECK(message_of([&] { TaskSource<S>(tasks, layer.window(), 0); }) ==
        "TaskSource: there are 0 groups, expected at least 1");
}

TEST_CASE("The online gradient refuses tokens, predictions and derivatives of other lengths", "[misuse][regression]") {
  const OnlineGradient online(PaperLayer<>(3));
  const auto c = online.layer().prepare(online.layer().parameters<double>());
  auto c_bar = online.layer().coefficients<double>();
  auto ws = online.workspace<double>();
  const auto step = [&](Index token, Index prediction) {
    const Array<double, Dynamic, 1> x(token, 1);
    Array<double, Dynamic, 1> y(prediction, 1);
    auto state = online.initial_state<double>();
    return message_of([&] {
      for (int t = 0; t < 3; ++t) online.step(c, x.view(), state, y.view(), ws);
    });
  };
  CHECK(step(3, 3) == "");
  const auto pull = [&](Index length) {
    const Array<double, Dynamic, 1> g(length, 1);
    return message_of([&] { online.pull(c, online.initial_state<double>(), g.view(), c_bar, ws); });
  };
  CHECK(pull(3) == "");
  for (const Index wrong : {2, 4}) {
    const std::string found = std::to_string(wrong) + ", expected 3";
    CHECK(step(wrong, 3) == "OnlineGradient: the number of features of a token is " + found);
    CHECK(step(3, wrong) == "OnlineGradient: the length of the prediction is " + found);
    CHECK(pull(wrong) == "OnlineGradient: the length of the loss's derivative is " + found);
  }
}

TEST_CASE("An update takes a gradient and a state of the parameters' sizes", "[misuse][regression]") {
  const AdamW optimizer = AdamW::reference();
  const auto right = PaperLayer<>(3).parameters<double>(), wrong = PaperLayer<>(4).parameters<double>();
  const auto update = [&](const auto& gradient, const auto& like) {
    auto p = right;
    auto state = optimizer.initial_state(like);
    const std::string text = message_of([&] { optimizer.update(gradient, 1, p, state); });
    CHECK((text.empty() || (identical(p, right) && state.updates == 0)));
    return text;
  };
  CHECK(update(right, right) == "");
  CHECK(update(wrong, right) == "AdamW, the gradient: recurrence.Lambda is 4 x 4, expected 3 x 3");
  CHECK(update(right, wrong) == "AdamW, the state: recurrence.Lambda is 4 x 4, expected 3 x 3");
  CHECK(update(PaperLayer<>::Parameters<double>{}, right).find("AdamW, the gradient: ") == 0);
}

TEST_CASE("Weights, gradients and tokens of another model's sizes are refused", "[misuse][regression]") {
  using S = Lanes<double>;
  const PaperLayer<> layer(3), other(2);
  const auto weights = reference_initialization<double>(layer, 1), smaller = reference_initialization<double>(other, 1);
  const std::string apart = "recurrence.Lambda is 2 x 2, expected 3 x 3";

  const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};
  Batch<S> batch(layer.window(), 8, tasks.length(), 3, 1);
  TaskSource<S>(tasks, layer.window(), 8).draw(1, 0, 0, batch);
  BatchGradient<PaperLayer<>, S> of_batch(layer, batch.windows(), 1);
  auto gradient = weights, too_small = smaller;
  CHECK(message_of([&] { of_batch(weights, batch, gradient); }) == "");
  CHECK(message_of([&] { of_batch(weights, batch, too_small); }) == "the gradient: " + apart);
  CHECK(message_of([&] { of_batch(smaller, batch, gradient); }) == "the gradient's weights: " + apart);

  CHECK(message_of([&] { Predictor<S>(layer, smaller); }) == "Predictor: " + apart);
  CHECK(message_of([&] { QueryDerivative<S>(layer, smaller); }) == "QueryDerivative: " + apart);
  CHECK(message_of([&] { layer.predict(smaller, Eigen::MatrixXd::Zero(3, 9)); }) == "predict: " + apart);

  const auto c = layer.prepare(weights);
  auto state = layer.initial_state<double>();
  auto ws = layer.workspace<double>();
  const Eigen::VectorXd token = Eigen::VectorXd::Zero(4);
  Eigen::VectorXd prediction(3);
  CHECK(message_of([&] {
          layer.step(c, View<const double, Dynamic, 1>(token.data(), 4, 1), state,
                     View<double, Dynamic, 1>(prediction.data(), 3, 1), ws);
        }) == "AugmentedSsm::step: the number of features of a token is 4, expected 3");
}

}  // namespace
}  // namespace gdssm
