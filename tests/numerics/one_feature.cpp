// SPDX-License-Identifier: Apache-2.0
// One feature, where matrices are numbers.
#include <cmath>
#include <vector>

#include <Eigen/Core>

#include "support/catch.hpp"
#include "support/random.hpp"

#include "gdssm/analysis/explain.hpp"
#include "gdssm/construction/horner_steps.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm::test {

TEST_CASE("With one feature K steps in a stack are the K scalar steps", "[numerics]") {
  Random random(1);
  Eigen::MatrixXd x(1, 9), y(1, 8);
  random.fill(x);
  random.fill(y);
  const std::vector<double> steps{0.4, 0.9, 0.1};
  const HornerStack<PaperLayer<>> stack(PaperLayer<>(1), 3);
  const Eigen::MatrixXd predictions = stack.predict(descent_steps(stack, steps), interleave(x, y));
  double S = 0, M = 0;
  for (Index t = 0; t < 8; ++t) {
    S += x(0, t) * x(0, t);
    M += y(0, t) * x(0, t);
    double W = 0;
    for (const double a : steps) W -= a * (W * S - M);
    CHECK(predictions(0, t) == Approx(W * x(0, t + 1)).epsilon(1e-13));
  }
}

TEST_CASE("With one feature a layer trains to the best step, and is explained as it", "[numerics]") {
  const Index N = 6;
  const LinearRegression tasks{.features = 1, .outputs = 1, .context = N};
  const double s2 = 1.0 / 12, m4 = 1.0 / 80;
  const double best = best_step(LinearTask<>{1, N, uniform_inputs(1.0)});
  CHECK(best == Approx(s2 / (m4 + (N - 1) * s2 * s2)).epsilon(1e-14));

  const PaperLayer<> layer(1);
  const AdamW optimizer{{{{"Lambda", "log_step"}, 2e-3}, {{}, 5e-3}}};
  auto run = begin_run(optimizer, reference_initialization<float>(layer, 3));
  ThreadPool pool;
  const auto result = train<Lanes<float>, VectorTargets>(layer, tasks, optimizer, WarmUpCosine{100, 6000},
                                                         {.updates = 6000, .batch = 64, .seed = 2}, run, pool);
  CHECK(result.status == TrainingStatus::finished);
  auto trained = layer.parameters<double>();
  visit([](const Name&, auto& to, const auto& from) { to = from.template cast<double>(); }, trained, run.parameters);
  const Explanation found = explain<VectorTargets>(layer, trained, {.tasks = 300, .context = N}, pool);
  INFO(found.verdict);
  const Candidate& nearest = found.candidates[found.nearest];
  CHECK(nearest.r2 > 0.99);
  REQUIRE(nearest.steps() == 1);
  CHECK(nearest.step_sizes[0] == Approx(best).epsilon(0.1));
}

}  // namespace gdssm::test
