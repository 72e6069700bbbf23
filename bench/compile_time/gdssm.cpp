// SPDX-License-Identifier: Apache-2.0
// The whole library included and the model used: weights in closed form and every prediction of a sequence.
#include <gdssm/gdssm.hpp>

int main() {
  const gdssm::PaperLayer<> layer(4);
  const Eigen::MatrixXd tokens = Eigen::MatrixXd::Ones(4, 9);
  return layer.predict(gdssm::gradient_step(layer, 0.1), tokens).allFinite() ? 0 : 1;
}
