// SPDX-License-Identifier: Apache-2.0
// The same with gdssm::compiled, whose library has what takes longest to compile: a layer is trained for a moment and
// says which learning algorithm it is.
#include <iostream>

#include <gdssm/analysis/explain.hpp>
#include <gdssm/gdssm.hpp>

int main() {
  const gdssm::PaperLayer<> layer(2);
  const gdssm::LinearRegression tasks{.features = 2, .outputs = 2, .context = 4};
  const auto run = gdssm::train(layer, tasks, {.updates = 10});
  const auto found = gdssm::explain(layer, gdssm::gradient_step(layer, gdssm::best_step(tasks)));
  std::cout << "gdssm " << gdssm::version << " compiled: " << run.message << "; the closed form is " << found.algorithm
            << ", expected gradient-descent\n";
  return run.updates == 10 && found.algorithm == "gradient-descent" ? 0 : 1;
}
