// SPDX-License-Identifier: Apache-2.0
// From random weights to a step of gradient descent: the layer is trained on regression tasks, a new map W* for every
// context, and is told nothing of equation (7). What it becomes is compared with (7) in canonical form, and its step
// with the best one, (8).
#include <iostream>

#include <gdssm/gdssm.hpp>

int main() {
  using Layer = gdssm::PaperLayer<5>;
  const gdssm::Index f = 5, N = 10, updates = 6000;
  const Layer layer;
  const gdssm::LinearRegression tasks{.features = f, .outputs = f, .context = N};
  const gdssm::LinearTask<> theory{f, N, gdssm::uniform_inputs(1.0)};
  const double best = gdssm::best_step(theory);

  const gdssm::AdamW optimizer{.groups = {{{}, 3e-3}}};
  auto run = gdssm::begin_run(optimizer, gdssm::reference_initialization<float>(layer, 1));
  gdssm::ThreadPool pool;
  std::cout << "updates   loss\n";
  const auto report = [](const auto& progress) {
    if (progress.update % 1000 == 0) std::cout << progress.update << "      " << progress.loss << "\n";
  };
  // As many contexts side by side as a vector register holds floats, a lane each.
  const gdssm::TrainingResult result = gdssm::train<gdssm::Lanes<float>, gdssm::VectorTargets>(
      layer, tasks, optimizer, gdssm::WarmUpCosine{0, updates}, {.updates = updates}, run, pool, report);
  std::cout << "theory    " << gdssm::expected_loss(theory, best) << "\n" << result.message << "\n";

  const auto distance = gdssm::distance_from_step(gdssm::canonical_form(layer, run.parameters), gdssm::VectorTargets());
  std::cout << "its step           " << distance.step << ", the best is " << best << "\n"
            << "distances from (7)  A " << distance.A << ", d " << distance.d << ", C " << distance.C << ", L "
            << distance.decay << "\n";
  if (distance.A < 0.05f && distance.d < 0.05f && distance.C < 0.05f && distance.decay < 0.05f) return 0;
  std::cerr << "expected every distance to be below 0.05\n";
  return 1;
}
