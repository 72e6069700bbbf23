// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/redrawn_gradient.hpp"

#include <limits>

#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/task_source.hpp"
#include "support/catch.hpp"
#include "support/no_heap.hpp"

namespace gdssm {
namespace {

using S = Lanes<float>;
using Layer = PaperLayer<4>;

template <class Method>
std::pair<float, Layer::Parameters<float>> of_stored_tokens(const Layer& layer, const Layer::Parameters<float>& p,
                                                            const LinearRegression& tasks, Index count) {
  Batch<S> batch(layer.window(), count, tasks.length(), 4, 1);
  const TaskSource<S> source(tasks, layer.window(), static_cast<Index>(batch.groups().size()));
  for (Index g = 0; g < static_cast<Index>(batch.groups().size()); ++g) source.draw(3, 5, g, batch);
  BatchGradient<Layer, S, VectorTargets, Method> of_batch(layer, batch.windows(), 1);
  auto gradient = p;
  const float loss = of_batch(p, batch, gradient);
  return {loss, gradient};
}

TEST_CASE("tokens drawn again where they are needed give the gradient of stored ones, bit for bit", "[gradient]") {
  const Layer layer;
  const auto p = reference_initialization<float>(layer, 2);
  ThreadPool two(2);
  for (const Index pairs : {1, 10, 25, 26, 64, 65, 400}) {
    CAPTURE(pairs);
    LinearRegression tasks{.features = 4, .outputs = 4, .context = pairs};
    tasks.distractors = pairs / 10;
    RedrawnGradient<Layer, S, LinearRegression> redrawn(layer, tasks);
    auto gradient = p;
    const float loss = redrawn(p, 3, 5, 21, gradient, two);
    const auto [stored_loss, stored] = of_stored_tokens<ForwardSensitivity>(layer, p, tasks, 21);
    CHECK(loss == stored_loss);
    CHECK(identical(gradient, stored));

    // And, to rounding, of stored states.
    const auto [history_loss, history] = of_stored_tokens<StoredHistory>(layer, p, tasks, 21);
    CHECK(loss == history_loss);
    visit(
        [](const Name& name, const auto& a, const auto& b) {
          CAPTURE(name.str());
          CHECK((a - b).norm() <= 1e-4f * b.norm());
        },
        gradient, history);
  }
}

TEST_CASE("a million pairs take the memory of a few", "[gradient][no_heap]") {
  const Layer layer;
  const auto p = reference_initialization<float>(layer, 2);
  const auto places = [&](Index pairs) {
    const LinearRegression tasks{.features = 4, .outputs = 4, .context = pairs};
    return test::allocations_of([&] { RedrawnGradient<Layer, S, LinearRegression>(layer, tasks); });
  };
  CHECK(places(1000000) == places(100));
  const LinearRegression tasks{.features = 4, .outputs = 4, .context = 5000};
  RedrawnGradient<Layer, S, LinearRegression> redrawn(layer, tasks);
  auto gradient = p;
  ThreadPool alone;
  float loss = 0;
  CHECK(test::allocations_of([&] { loss = redrawn(p, 1, 0, 3, gradient, alone); }) == 0);
  CHECK(loss > 0);
}

TEST_CASE("tasks that don't fit the model are refused", "[gradient][misuse]") {
  using Redrawn = RedrawnGradient<Layer, S, LinearRegression>;
  CHECK_THROWS_WITH(Redrawn(Layer(), LinearRegression{.features = 5, .outputs = 5}),
                    "RedrawnGradient: the number of features of the tasks is 5, expected 4");
  CHECK_THROWS_WITH(Redrawn(Layer(), LinearRegression{.features = 4, .outputs = 4, .scales = Eigen::VectorXd::Ones(3)}),
                    "LinearRegression: the number of scales is 3, expected 4");
  CHECK_THROWS_WITH(Redrawn(Layer(), LinearRegression{.features = -1, .outputs = 4}),
                    "LinearRegression: features, outputs and context are -1, 4 and 10, expected at least 1");
  Redrawn redrawn(Layer(), LinearRegression{.features = 4, .outputs = 4});
  auto gradient = Layer().parameters<float>();
  ThreadPool alone;
  CHECK_THROWS_WITH(redrawn(gradient, 1, 0, 0, gradient, alone),
                    "RedrawnGradient: there are 0 tasks, expected at least 1");
}

}  // namespace
}  // namespace gdssm
