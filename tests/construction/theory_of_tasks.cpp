// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "support/catch.hpp"

#include "gdssm/analysis/measured_moments.hpp"
#include "gdssm/construction/drift.hpp"
#include "gdssm/construction/step_size.hpp"

namespace gdssm {
namespace {

TEST_CASE("Tasks and theory are one declaration: laws, scales, noise and distractors", "[definition]") {
  const auto theory = [](const InputMoments<double>& inputs) { return LinearTask<>{5, 8, inputs, 0.49, 0.04, 2, 1.0}; };
  LinearRegression tasks{.features = 5, .outputs = 5, .context = 8, .range = 3, .weight_scale = 0.7};
  tasks.label_noise = 0.2;
  tasks.distractors = 2;
  const std::vector<std::pair<InputLaw, InputMoments<double>>> laws{{InputLaw::uniform, uniform_inputs(3.0)},
                                                                    {InputLaw::normal, normal_inputs(0.75)},
                                                                    {InputLaw::laplace, laplace_inputs(0.75)},
                                                                    {InputLaw::exponential, exponential_inputs(0.75)}};
  for (const auto& [law, inputs] : laws) {
    tasks.inputs = law;
    CHECK(best_step(tasks) == Approx(best_step(theory(inputs))).epsilon(1e-15));
    CHECK(expected_loss(tasks, 0.1) == Approx(expected_loss(theory(inputs), 0.1)).epsilon(1e-15));
  }
  tasks.distractors = 0;
  tasks.inputs = InputLaw::normal;
  tasks.scales = Eigen::VectorXd::LinSpaced(5, 0.5, 2);
  std::vector<InputMoments<double>> inputs;
  for (const double scale : tasks.scales) inputs.push_back(normal_inputs(0.75 * scale * scale));
  const ContextMoments<double> moments = independent_context(inputs, 8);
  CHECK(best_step(tasks) == Approx(best_step(moments, 0.49, 0.04)).epsilon(1e-14));
  CHECK(expected_loss(tasks, 0.1) == Approx(expected_loss(moments, 0.1, 0.49, 0.04)).epsilon(1e-14));
}

TEST_CASE("Drifting tasks are those of (9c)", "[definition]") {
  const DriftingRegression tasks{{.features = 4, .outputs = 4, .context = 12}, 0.1};
  const DriftingContext<> context{4, 12, 0.1, uniform_inputs(1.0)};
  CHECK(best_decay(theory_of(tasks)) == best_decay(context));
  CHECK(best_step(theory_of(tasks), 0.9) == best_step(context, 0.9));
  DriftingRegression noisy = tasks;
  noisy.regression.label_noise = 1;
  CHECK_THROWS_WITH(theory_of(noisy), "theory_of: drifting tasks have noise or distractors, expected neither");
}

TEST_CASE("Measured moments are those of the formula, to four standard errors of the step", "[theorem]") {
  const LinearRegression tasks{.features = 3, .outputs = 3, .context = 6};
  const Index count = 40000;
  ThreadPool two(2);
  const auto measured = measured_moments(tasks, {.seed = 3, .count = count});
  CHECK(measured.mean_S2 == measured_moments(tasks, {.seed = 3, .count = count}, two).mean_S2);
  // S has entries of variance below 6 E x^4 = 6 / 80 on the diagonal, and E S^2 those of a few times as much.
  CHECK((measured.input_covariance - Eigen::Matrix3d::Identity() / 12).cwiseAbs().maxCoeff() < 4 * 0.112 / 200);
  CHECK((measured.mean_S - Eigen::Matrix3d::Identity() / 2).cwiseAbs().maxCoeff() < 4 * 0.274 / 200);
  CHECK(best_step(measured) == Approx(best_step(tasks)).epsilon(0.01));
  CHECK_THROWS_WITH(measured_moments(tasks, {.seed = 3, .count = 0}),
                    "TaskRange: there are 0 tasks, expected at least one");
}

}  // namespace
}  // namespace gdssm
