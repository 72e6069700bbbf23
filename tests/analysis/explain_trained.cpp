// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "support/catch.hpp"

#include "gdssm/analysis/explain.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm::test {

TEST_CASE("A layer trained from random weights is none of the candidates before and the gradient step after",
          "[theorem]") {
  const Index f = 4;
  const PaperLayer<> layer(f);
  const LinearRegression tasks{.features = f, .outputs = f, .context = f};
  const AdamW optimizer{{{{"Lambda", "log_step"}, 2e-3}, {{}, 4e-3, 0.05}}};
  auto run = begin_run(optimizer, reference_initialization<float>(layer, 1));
  ThreadPool pool;
  const auto explained = [&] {
    auto p = layer.parameters<double>();
    visit([](const Name&, auto& to, const auto& from) { to = from.template cast<double>(); }, p, run.parameters);
    return explain<VectorTargets>(layer, p, {.tasks = 300}, pool);
  };
  CHECK(explained().algorithm == "none");

  const TrainingOptions options{.updates = 4000, .batch = 64, .seed = 2};
  const auto result =
      train<Lanes<float>, VectorTargets>(layer, tasks, optimizer, WarmUpCosine{100, 4000}, options, run, pool);
  CHECK(result.status == TrainingStatus::finished);
  const Explanation found = explained();
  INFO(found.verdict);
  CHECK(found.algorithm.ends_with("gradient-descent"));
  const Candidate& nearest = found.candidates[found.nearest];
  CHECK(nearest.r2 > 0.99);
  REQUIRE(nearest.steps() == 1);
  const double best = best_step(LinearTask<>{f, f, uniform_inputs(1.0)});
  CHECK(nearest.step_sizes[0] == Approx(best).epsilon(0.1));
  CHECK(found.candidates[found.runner_up].r2 < nearest.r2);
}

}  // namespace gdssm::test
