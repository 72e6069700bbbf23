// SPDX-License-Identifier: Apache-2.0
// A layer is trained, and says which algorithm it is.
#include <gdssm/analysis/explain.hpp>
#include <gdssm/gdssm.hpp>

int main() {
  const gdssm::PaperLayer<> layer(4);
  const gdssm::LinearRegression tasks{.features = 4, .outputs = 4, .context = 8};
  const auto run = gdssm::train(layer, tasks, {.rate = 3e-3, .updates = 100});
  return gdssm::explain(layer, run.weights).verdict.empty() ? 1 : 0;
}
