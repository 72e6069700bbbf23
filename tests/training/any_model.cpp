// SPDX-License-Identifier: Apache-2.0
// A model whose type is forgotten trains, predicts and is measured as the model itself, bit for bit.

#include "gdssm/training/any_model.hpp"

#include <vector>

#include "gdssm/analysis/alignment.hpp"
#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/models/two_step_stack.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using test::message_of;

using S = Lanes<float>;

const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};
const TrainingOptions options{.updates = 20, .batch = 24, .losses = 2, .seed = 3};
const TaskRange range{7, 100};

TEST_CASE("A model whose type is forgotten trains bit for bit as the model does") {
  const PaperLayer<> layer(3);
  const AnyModel<S> model(layer);
  const AdamW optimizer = AdamW::reference();
  ThreadPool pool(2);
  auto typed = begin_run(optimizer, reference_initialization<float>(layer, 1));
  train<S>(layer, tasks, optimizer, ConstantRate(), options, typed, pool);
  auto any = begin_run(optimizer, model.draw(1));
  CHECK(!identical(any.parameters, NamedWeights<float>(typed.parameters)));
  const TrainingResult result = train(model, TaskSource<S>(tasks, model.window(), 1), tasks.targets(), optimizer,
                                      ConstantRate(), options, any, pool);
  CHECK(result.status == TrainingStatus::finished);
  CHECK(identical(any.parameters, NamedWeights<float>(typed.parameters)));
}

TEST_CASE("A model whose type is forgotten is measured bit for bit as the model is") {
  const PaperLayer<> layer(3);
  const AnyModel<S> model(layer);
  const auto one = reference_initialization<float>(layer, 1), two = reference_initialization<float>(layer, 2);
  const NamedWeights<float> first(one), second(two);
  const TaskSource<S> source(tasks, model.window(), 1);
  ThreadPool pool;

  CHECK(query_losses(model.predictor(first), source, range, tasks.targets(), pool) ==
        query_losses(layer, one, tasks, range, pool));
  const auto any = loss_by_context(model.predictor(first), source, range, tasks.targets(), pool),
             typed = loss_by_context(layer, one, tasks, range, pool);
  REQUIRE(any.size() == typed.size());
  for (std::size_t t = 0; t < any.size(); ++t) CHECK(any[t].mean() == typed[t].mean());
  const Alignment a = align(model.query_derivative(first), model.query_derivative(second), source, range,
                            tasks.targets(), pool),
                  b = align(layer, one, layer, two, tasks, range, pool);
  CHECK(a.cosine.mean() == b.cosine.mean());
  CHECK(a.model_difference.mean() == b.model_difference.mean());
}

TEST_CASE("A model whose type is forgotten says what it is") {
  const AnyModel<S> model(PaperLayer<>(3));
  CHECK(model.feature_count() == 3);
  CHECK(model.output_count() == 3);
  CHECK(model.window().width == 3);
  CHECK(model.weights().count() == 9 + 9 + 3 + 9 + 3);
  const NamedWeights<float> other(PaperLayer<>(4).parameters<float>());
  CHECK(message_of([&] { model.predictor(other); }) ==
        "NamedWeights::copy_to: recurrence.Lambda is 3 x 3, expected 4 x 4");
  const AnyModel<S> stack{TwoStepStack(PaperLayer<>(3))};
  CHECK(message_of([&] { stack.query_derivative(stack.weights()); }) ==
        "AnyModel: the vjp of this model gives no gradient of its tokens, expected one that does");
}

}  // namespace
}  // namespace gdssm
