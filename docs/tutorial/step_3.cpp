// SPDX-License-Identifier: Apache-2.0
// Step 3 of docs/tutorial.md.
#include <iostream>

#include <gdssm/analysis/canonical.hpp>
#include <gdssm/construction/step_size.hpp>
#include <gdssm/tasks/linear_regression.hpp>
#include <gdssm/training/initialization.hpp>
#include <gdssm/training/optimizer.hpp>
#include <gdssm/training/schedule.hpp>
#include <gdssm/training/train.hpp>

int main() {
  const gdssm::LinearRegression tasks{.features = 4, .outputs = 4, .context = 10};
  const gdssm::PaperLayer<4> layer;
  auto start = gdssm::reference_initialization<float>(layer, 1);
  start.readout.C.setZero();

  const gdssm::AdamW optimizer{.groups = {{{}, 3e-3}}};
  auto run = gdssm::begin_run(optimizer, start);
  gdssm::ThreadPool pool(2);
  const gdssm::TrainingResult result = gdssm::train<gdssm::Lanes<float>, gdssm::VectorTargets>(
      layer, tasks, optimizer, gdssm::ConstantRate(), {.updates = 4000}, run, pool);

  const gdssm::LinearTask<> task{.features = 4, .context = 10, .inputs = gdssm::uniform_inputs(1.0)};
  const double a = gdssm::best_step(task);
  const auto trained = gdssm::distance_from_step(gdssm::canonical_form(layer, run.parameters), gdssm::VectorTargets());
  std::cout << result.message << "\n"
            << "loss of the last draw   " << result.loss << "\n"
            << "of the closed form (9)  " << gdssm::expected_loss(task, a) << "\n"
            << "step                    " << trained.step << ", best by (8) " << a << "\n"
            << "distances of A, d, C, L " << trained.A << " " << trained.d << " " << trained.C << " " << trained.decay
            << "\n";
  return trained.A < 0.1f && trained.C < 0.1f ? 0 : 1;
}
