// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/train.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

/// Tasks without a `sequence` for lanes, drawn one by one, with any announced length.
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

/// Tasks that record which of them are drawn.
struct Noted {
  mutable std::mutex busy = {};
  mutable std::vector<std::uint64_t> drawn = {};  ///< since they were last asked for

  Index length() const { return tasks.length(); }
  auto sequence(std::uint64_t seed, std::uint64_t index, Index losses) const {
    const std::lock_guard lock(busy);
    drawn.push_back(seed == 2 && losses == 2 ? index : 999);
    return tasks.sequence(seed, index, losses);
  }
  std::vector<std::uint64_t> taken() const {
    std::sort(drawn.begin(), drawn.end());
    return std::exchange(drawn, {});
  }
};

TEST_CASE("Draw n holds the tasks n batch to (n + 1) batch - 1, each once, however the run got there", "[definition]") {
  const Layer layer(3);
  const AdamW optimizer = AdamW::reference();
  const Noted noted;
  ThreadPool pool(2);
  const auto indices = [](std::uint64_t first, std::uint64_t end) {
    std::vector<std::uint64_t> all(end - first);
    std::iota(all.begin(), all.end(), first);
    return all;
  };
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  std::vector<double> losses;
  const auto until = [&](Index updates) {
    return train<Lanes8, VectorTargets>(
        layer, noted, optimizer, ConstantRate{},
        {.updates = updates, .batch = 11, .updates_per_draw = 2, .losses = 2, .seed = 2}, run, pool,
        [&](const auto& progress) { losses.push_back(progress.loss); });
  };
  until(5);  // two updates on the first draw, two on the second, one on the third
  CHECK(noted.taken() == indices(0, 33));
  until(6);  // the third draw again
  CHECK(noted.taken() == indices(22, 33));
  const auto result = until(7);
  CHECK(noted.taken() == indices(33, 44));
  REQUIRE(losses.size() == 7);
  CHECK(result.loss == losses.back());
  CHECK(result.message == "all 7 updates were made");
  CHECK(until(7).updates == 7);  // nothing is left to do, and nothing is drawn
  CHECK(noted.taken().empty());
  CHECK(std::isnan(until(7).loss));
}

TEST_CASE("Every callback sees every update, also when one before it stops the run", "[definition]") {
  const Layer layer(3);
  const AdamW optimizer = AdamW::reference();
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  ThreadPool pool;
  Index last = 0;
  bool weights_of_the_run = true;
  const auto result = train<Lanes8, VectorTargets>(
      layer, tasks, optimizer, ConstantRate{}, {.updates = 50, .batch = 8}, run, pool,
      [](const auto& progress) { return progress.update == 3; },
      [&](const auto& progress) {
        last = progress.update;
        weights_of_the_run = weights_of_the_run && &progress.parameters == &run.parameters;
      });
  CHECK(last == 3);
  CHECK(weights_of_the_run);
  CHECK(result.message == "a callback stopped the run after update 3");
}

TEST_CASE("The schedule is asked for update n = 1, 2, ...", "[definition]") {
  const Layer layer(3);
  const AdamW optimizer = AdamW::reference();
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  ThreadPool pool;
  std::vector<Index> asked;
  const auto schedule = [&](Index n) {
    asked.push_back(n);
    return 1.0;
  };
  train<Lanes8, VectorTargets>(layer, tasks, optimizer, schedule, {.updates = 3, .batch = 8}, run, pool);
  CHECK(asked == std::vector<Index>{1, 2, 3});
}

TEST_CASE("Options below their least are refused, and no update at all is one that can be asked for", "[misuse]") {
  const Layer layer(3);
  const AdamW optimizer = AdamW::reference();
  auto run = begin_run(optimizer, reference_initialization<double>(layer, 5));
  ThreadPool pool;
  const auto said = [&](const TrainingOptions& options) -> std::string {
    try {
      train<Lanes8, VectorTargets>(layer, tasks, optimizer, ConstantRate{}, options, run, pool);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const auto refused = [](const std::string& numbers) {
    return "train: batch, updates a draw, losses and updates are " + numbers + ", expected at least 1, 1, 1 and 0";
  };
  CHECK(said({.updates = 0, .batch = 1}) == "");
  CHECK(run.updates() == 0);
  CHECK(said({.updates = 1, .batch = 1}) == "");
  CHECK(run.updates() == 1);
  CHECK(said({.updates = -1}) == refused("64, 1, 1 and -1"));
  CHECK(said({.updates = 1, .batch = 0}) == refused("0, 1, 1 and 1"));
  CHECK(said({.updates = 1, .updates_per_draw = 0}) == refused("64, 0, 1 and 1"));
  CHECK(said({.updates = 1, .losses = 0}) == refused("64, 1, 0 and 1"));
}

TEST_CASE("The schedule is its two formulas at every update", "[definition]") {
  const WarmUpCosine schedule{3, 13, 0.25};
  const auto near = [](double x, double y) { return std::abs(x - y) <= 4 * std::numeric_limits<double>::epsilon(); };
  CHECK(schedule(1) == 1. / 3);
  CHECK(schedule(2) == 2. / 3);
  for (Index n = 3; n <= 13; ++n) {
    const double half = std::cos(std::acos(-1.) * double(n - 3) / 20);  // (1 + cos 2 u) / 2 = cos^2 u
    CHECK(near(schedule(n), 0.25 + 0.75 * half * half));
  }
  CHECK(WarmUpCosine{0, 4}(4) == 0);
  CHECK(WarmUpCosine{0, 4, 1}(2) == 1);
  for (const WarmUpCosine& bad : {WarmUpCosine{-1, 4}, WarmUpCosine{4, 4}, WarmUpCosine{1, 4, -0.1},
                                  WarmUpCosine{1, 4, 1.1}, WarmUpCosine{1, 4, std::nan("")}})
    CHECK_THROWS_AS(bad(1), std::invalid_argument);
}

}  // namespace gdssm::test
