// SPDX-License-Identifier: Apache-2.0
// From random weights to a step of gradient descent: the layer is trained on regression tasks, a new map W* for every
// context, and is told nothing of equation (7). What it becomes is compared with (7) in canonical form, and its step
// with the best one, (8).
#include <iostream>

#include <gdssm/gdssm.hpp>

int main() {
  const gdssm::PaperLayer<5> layer;
  const gdssm::LinearRegression tasks{.features = 5, .outputs = 5, .context = 10};
  const gdssm::TrainingSettings settings{.rate = 3e-3, .updates = 6000};
  const auto start = gdssm::reference_initialization<float>(layer, 1);

  std::cout << "updates   loss\n";
  const auto run = gdssm::train(layer, tasks, settings, start, [](const auto& progress) {
    if (progress.update % 1000 == 0) std::cout << progress.update << "      " << progress.loss << "\n";
  });
  const double best = gdssm::best_step(tasks);
  std::cout << "theory    " << gdssm::expected_loss(tasks, best) << "\n" << run.message << "\n";

  const auto distance = gdssm::distance_from_step(gdssm::canonical_form(layer, run.weights), gdssm::VectorTargets());
  std::cout << "its step           " << distance.step << ", the best is " << best << "\n"
            << "distances from (7)  A " << distance.A << ", d " << distance.d << ", C " << distance.C << ", L "
            << distance.decay << "\n";
  if (distance.A < 0.05f && distance.d < 0.05f && distance.C < 0.05f && distance.decay < 0.05f) return 0;
  std::cerr << "expected every distance to be below 0.05\n";
  return 1;
}
