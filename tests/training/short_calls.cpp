// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>

#include "support/catch.hpp"

#include "gdssm/analysis/loss_by_context.hpp"
#include "gdssm/tasks/classification.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm {
namespace {

const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};

TEST_CASE("The short call is the long form with its defaults, bit for bit", "[definition]") {
  const PaperLayer<> layer(3);
  const auto trained = train(layer, tasks, {.rate = 2e-3, .updates = 30, .seed = 5});
  const AdamW optimizer{2e-3};
  auto run = begin_run(optimizer, reference_initialization<float>(layer, 5));
  ThreadPool pool(2);
  const auto result =
      train<Lanes<float>>(layer, tasks, optimizer, WarmUpCosine{0, 30}, {.updates = 30, .seed = 5}, run, pool);
  CHECK(identical(trained.weights, run.parameters));
  CHECK(trained.loss == result.loss);
  CHECK(trained.message == "all 30 updates were made");

  Index seen = 0;
  const auto stopped = train<double>(layer, tasks, {.updates = 30, .optimizer = optimizer, .schedule = ConstantRate()},
                                     reference_initialization<double>(layer, 5), [&](const auto& progress) {
                                       seen = progress.update;
                                       return progress.update == 7;
                                     });
  CHECK(stopped.status == TrainingStatus::stopped);
  CHECK(seen == 7);
}

/// Tasks whose contexts have two to four pairs.
struct Ragged {
  static constexpr bool ragged = true;
  LinearRegression longest = tasks;

  Index length() const { return longest.length(); }
  Targets targets() const { return longest.targets(); }
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses) const {
    LinearRegression shorter = longest;
    shorter.context -= static_cast<Index>(index % 3);
    return shorter.sequence(seed, index, losses);
  }
};

TEST_CASE("Tasks of several lengths train on the mean of their losses", "[definition]") {
  const PaperLayer<> layer(3);
  const auto start = reference_initialization<double>(layer, 2);
  const Ragged ragged;
  const auto trained = train<double>(layer, ragged, {.updates = 1, .batch = 10, .seed = 4}, start);
  double loss = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    const auto [tokens, targets] = ragged.sequence(4, i, 1);
    loss += (layer.predict(start, tokens).rightCols(1) - targets).squaredNorm() / 6 / 10;
  }
  CHECK(trained.loss == Approx(loss).epsilon(1e-13));

  const PaperLayer<> wide(3);
  const auto first = train(wide, ragged, {.updates = 12, .seed = 4}),
             again = train(wide, ragged, {.updates = 12, .seed = 4, .threads = 3});
  CHECK(identical(first.weights, again.weights));
  ThreadPool pool;
  CHECK(query_losses(layer, start, ragged, {.seed = 4, .count = 3}, pool).size() == 3);
}

TEST_CASE("What counts of a target is said by the tasks, and another kind is refused", "[misuse][regression]") {
  const PaperLayer<> layer(4);
  ThreadPool pool;
  const auto said = [&]<class Kind>(const auto& of, Kind) -> std::string {
    const AdamW optimizer{1e-3};
    auto run = begin_run(optimizer, reference_initialization<float>(layer, 1));
    try {
      train<Lanes<float>, Kind>(layer, of, optimizer, ConstantRate(), {.updates = 1}, run, pool);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const LinearRegression vectors{.features = 4, .outputs = 4}, scalars{.features = 4, .outputs = 1};
  const Classification classes{{.features = 4, .outputs = 4}};
  CHECK(said(vectors, VectorTargets()) == "");
  CHECK(said(scalars, ScalarTargets()) == "");
  CHECK(said(classes, ClassTargets<4>()) == "");
  const std::string other = "train: targets are of another kind than the tasks say: ";
  CHECK(said(scalars, VectorTargets()) == other + "4 coordinates, expected 1 coordinates");
  CHECK(said(vectors, ScalarTargets()) == other + "1 coordinates, expected 4 coordinates");
  CHECK(said(vectors, ClassTargets<3>()) == other + "3 classes, expected 4 coordinates");
  CHECK(said(classes, ClassTargets<3>()) == other + "3 classes, expected 4 classes");
  CHECK(std::isfinite(train(layer, classes, {.updates = 2}).loss));
  CHECK_THROWS_WITH(train(PaperLayer<>(3), Classification{{.features = 3, .outputs = 4}}, {.updates = 1}),
                    Catch::Matchers::Contains("expected at least 4") || Catch::Matchers::Contains("expected 2 to 3"));
}

}  // namespace
}  // namespace gdssm
