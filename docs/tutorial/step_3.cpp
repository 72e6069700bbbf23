// SPDX-License-Identifier: Apache-2.0
// Step 3 of docs/tutorial.md.
#include <iostream>

#include <gdssm/analysis/canonical.hpp>
#include <gdssm/construction/step_size.hpp>
#include <gdssm/tasks/linear_regression.hpp>
#include <gdssm/training/train.hpp>

int main() {
  const gdssm::LinearRegression tasks{.features = 4, .outputs = 4, .context = 10};
  const gdssm::PaperLayer<4> layer;
  auto start = gdssm::reference_initialization<float>(layer, 1);
  start.readout.C.setZero();

  const auto run = gdssm::train(layer, tasks, {.rate = 3e-3, .updates = 4000}, start);

  const double a = gdssm::best_step(tasks);
  const auto trained = gdssm::distance_from_step(gdssm::canonical_form(layer, run.weights), gdssm::VectorTargets());
  std::cout << run.message << "\n"
            << "loss of the last draw   " << run.loss << "\n"
            << "of the closed form (9)  " << gdssm::expected_loss(tasks, a) << "\n"
            << "step                    " << trained.step << ", best by (8) " << a << "\n"
            << "distances of A, d, C, L " << trained.A << " " << trained.d << " " << trained.C << " " << trained.decay
            << "\n";
  return trained.A < 0.1f && trained.C < 0.1f ? 0 : 1;
}
