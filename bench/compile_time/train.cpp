// SPDX-License-Identifier: Apache-2.0
// A layer is trained.
#include <gdssm/gdssm.hpp>

int main() {
  const gdssm::PaperLayer<> layer(4);
  const gdssm::LinearRegression tasks{.features = 4, .outputs = 4, .context = 8};
  return gdssm::train(layer, tasks, {.rate = 3e-3, .updates = 100}).weights.readout.C.allFinite() ? 0 : 1;
}
