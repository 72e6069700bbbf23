// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/train.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "models/golden.hpp"
#include "support/catch.hpp"

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/initialization.hpp"

namespace gdssm::test {
namespace {

using Layer = PaperLayer<>;
using Lanes8 = Lanes<double>;

const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};

TrainingRun<Layer::Parameters<double>> trained(const Layer& layer, Index updates, int threads) {
  const AdamW optimizer = AdamW::reference();
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  ThreadPool pool(threads);
  const auto result = train<Lanes8, VectorTargets>(layer, tasks, optimizer, ConstantRate{},
                                                   {.updates = updates, .updates_per_draw = 3, .seed = 2}, run, pool);
  CHECK(result.status == TrainingStatus::finished);
  CHECK(result.updates == updates);
  return run;
}

}  // namespace

TEST_CASE("Maps of a single token begin normal, of variance 1 / columns, four standard errors", "[definition]") {
  const auto p = reference_initialization<double>(constructed_layer(50), 3);
  for (const Eigen::MatrixXd& map : {p.attention.B, p.gate.D}) {
    REQUIRE(map.size() == 5000);
    const double n = 5000, variance = 1. / 100;
    CHECK(std::abs(map.mean()) < 4 * std::sqrt(variance / n));
    CHECK(std::abs(map.squaredNorm() / n / variance - 1) < 4 * std::sqrt(2 / n));
  }
  CHECK(p.attention.B != p.gate.D);
}

TEST_CASE("Updates follow the reference's optimiser over 20 of them", "[golden]") {
  for (const std::string name : {"trained_vector_f3", "trained_vector_f10"}) {
    const Golden golden(std::string(GDSSM_GOLDEN_DIR) + "/" + name + ".json");
    const Layer layer(golden.value<Index>("/features"));
    const AdamW optimizer = AdamW::reference();
    auto run = begin_run(optimizer, golden_parameters<double>(golden, layer));
    auto gradient = run.parameters;
    const Batch<double> batch(layer.window(), golden_contexts<double>(golden, layer.output_count()));
    BatchGradient<Layer, double> loss_gradient(layer, batch.windows(), 1);
    int compared = 0;
    for (int update = 1; update <= 20; ++update) {
      const double loss = loss_gradient(run.parameters, batch, gradient);
      optimizer.update(gradient, 1, run.parameters, run.optimizer);
      const std::string step = "/training/steps/" + std::to_string(update);
      if (!golden.has(step)) continue;
      CHECK(std::abs(loss - golden.value<double>(step + "/loss_before_step")) < 1e-10);
      visit(
          [&](const Name& parameter, const auto& ours) {
            CAPTURE(update, parameter.str());
            const Eigen::MatrixXd theirs = golden.matrix(step + "/params/" + reference_name(parameter));
            CHECK((ours - theirs).cwiseAbs().maxCoeff() < 1e-10);
            ++compared;
          },
          run.parameters);
    }
    CHECK(compared == 4 * 5);
  }
}

TEST_CASE(
    "Training gives the same bits on any number of threads, in one go or "
    "in two",
    "[definition]") {
  const Layer layer(3);
  const auto alone = trained(layer, 50, 1);
  CHECK(identical(alone.parameters, trained(layer, 50, 3).parameters));
  CHECK_FALSE(identical(alone.parameters, trained(layer, 49, 1).parameters));

  auto run = trained(layer, 20, 2);
  ThreadPool pool(2);
  const AdamW optimizer = AdamW::reference();
  train<Lanes8, VectorTargets>(layer, tasks, optimizer, ConstantRate{},
                               {.updates = 50, .updates_per_draw = 3, .seed = 2}, run, pool);
  CHECK(identical(alone, run));
}

TEST_CASE("A run that diverges says at which update, and keeps the last good weights", "[definition]") {
  const Layer layer(3);
  AdamW optimizer{{{{}, 1e150}}};
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  ThreadPool pool;
  const auto result =
      train<double, VectorTargets>(layer, tasks, optimizer, ConstantRate{}, {.updates = 100}, run, pool);
  CHECK(result.status == TrainingStatus::diverged);
  CHECK(result.updates < 100);
  CHECK(result.message == "the loss or its gradient was not finite at update " + std::to_string(result.updates + 2));
  bool finite = true;
  visit([&](const Name&, const auto& matrix) { finite = finite && matrix.allFinite(); }, run);
  CHECK(finite);
}

TEST_CASE("Callbacks see every update, and one that returns true stops the run", "[definition]") {
  const Layer layer(3);
  const AdamW optimizer = AdamW::reference();
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  ThreadPool pool;
  Index seen = 0;
  const auto result = train<Lanes8, VectorTargets>(
      layer, tasks, optimizer, WarmUpCosine{2, 50}, {.updates = 50}, run, pool,
      [&](const auto& progress) { seen += progress.update; },
      [](const auto& progress) { return progress.update == 7; });
  CHECK(result.status == TrainingStatus::stopped);
  CHECK(result.updates == 7);
  CHECK(seen == 28);
}

TEST_CASE("The schedule rises, falls along a cosine and stays at its floor", "[definition]") {
  const WarmUpCosine schedule{10, 110, 0.2};
  CHECK(schedule(5) == 0.5);
  CHECK(schedule(10) == 1);
  CHECK(schedule(60) == Approx(0.6));
  CHECK(schedule(110) == 0.2);
  CHECK(schedule(1000) == 0.2);
  CHECK_THROWS_AS((WarmUpCosine{10, 10}(1)), std::invalid_argument);
  CHECK(ConstantRate{}(7) == 1);
}

TEST_CASE("A parameter that no group takes is refused by name, and nothing is changed", "[misuse]") {
  const Layer layer(2);
  const AdamW optimizer{{{{"A"}, 1e-3}}};
  auto run = begin_run(AdamW::reference(), reference_initialization<double>(layer, 1));
  const auto gradient = run.parameters, before = run.parameters;
  CHECK_THROWS_WITH(optimizer.update(gradient, 1, run.parameters, run.optimizer),
                    "AdamW: no group takes the parameter recurrence.Lambda, expected one "
                    "without names at the end");
  CHECK(run.updates() == 0);
  CHECK(run.parameters.attention.A == before.attention.A);
}

/// Tasks that are drawn one by one.
struct Drawn {
  LinearRegression regression;
  Index promised;  ///< the length that is announced

  Index length() const { return promised; }
  auto sequence(std::uint64_t seed, std::uint64_t index, Index losses) const {
    return regression.sequence(seed, index, losses);
  }
};

TEST_CASE("Training refuses tasks that don't fit the model, wherever they are drawn", "[misuse]") {
  const auto said = [](const LinearRegression& regression, Index length) -> std::string {
    const Layer layer(3);
    const AdamW optimizer = AdamW::reference();
    auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
    ThreadPool pool;
    try {
      train<Lanes8, VectorTargets>(layer, Drawn{regression, length}, optimizer, ConstantRate{}, {.updates = 1}, run,
                                   pool);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  CHECK(said({.features = 3, .outputs = 3, .context = 4}, 9) == "");
  CHECK(said({.features = 4, .outputs = 3, .context = 4}, 9) == "Batch: tokens are 4 x 9, expected 3 x at most 9");
  CHECK(said({.features = 2, .outputs = 2, .context = 4}, 9) == "Batch: tokens are 2 x 9, expected 3 x at most 9");
  CHECK(said({.features = 3, .outputs = 3, .context = 3}, 9) ==
        "TaskSource: the number of tokens of a task is 7, expected 9");
  CHECK(said({.features = 3, .outputs = 3, .context = 5}, 9) ==
        "TaskSource: the number of tokens of a task is 11, expected 9");
}

TEST_CASE("Random weights have the reference's laws", "[definition]") {
  const PaperLayer<> layer(40);
  const auto p = reference_initialization<double>(layer, 1);
  const auto c = layer.prepare(p);
  CHECK((p.recurrence.Lambda.array() == -0.5).all());
  CHECK(c.recurrence.decay.matrix().minCoeff() >= std::exp(-0.05));
  CHECK(c.recurrence.decay.matrix().maxCoeff() <= std::exp(-0.0005));
  CHECK(p.readout.C.squaredNorm() / 40 == Approx(1).epsilon(4 * std::sqrt(2. / 1600)));
  CHECK_FALSE(identical(p, reference_initialization<double>(layer, 2)));
  CHECK(identical(p, reference_initialization<double>(layer, 1)));
}

}  // namespace gdssm::test
