// SPDX-License-Identifier: Apache-2.0
// Step 2 of docs/tutorial.md.
#include <algorithm>
#include <cmath>
#include <iostream>

#include <gdssm/construction/gradient_step.hpp>

int main() {
  const gdssm::PaperLayer<2, gdssm::GivenDecay> layer;
  auto weights = gdssm::gradient_step(layer, 0.2);
  weights.recurrence.Lambda.setConstant(0.9);  // L itself: pair i counts 0.9^(t - i)

  const auto c = layer.prepare(weights);
  auto state = layer.initial_state<double>();
  auto workspace = layer.workspace<double>();
  Eigen::Vector2d prediction = Eigen::Vector2d::Zero();
  const auto read = [&](const Eigen::Vector2d& token) {
    return layer.step(c, gdssm::View<const double, 2, 1>(token.data(), 2, 1), state, gdssm::view_of(prediction),
                      workspace);
  };

  Eigen::Matrix2d W_star, W = Eigen::Matrix2d::Zero();
  W_star << 2, 1, 0, 3;
  double difference = 0;
  for (int t = 1; t <= 40; ++t) {
    if (t == 21) W_star *= -1;  // the world changes
    const Eigen::Vector2d x(std::sin(1.0 * t), std::cos(2.0 * t)), y = W_star * x;
    if (read(x)) {                           // a window is full: pair t - 1 is in the state, x_t is the query
      W = layer.implicit_weights(c, state);  // -E
      difference = std::max(difference, (prediction - W * x).norm());
    }
    read(y);
    if (t % 10 == 0) std::cout << "after " << t - 1 << " pairs\n" << W << "\n";
  }
  std::cout << "what it answers, less W q: " << difference << "\n";
  return W(0, 0) < 0 && difference < 1e-12 ? 0 : 1;
}
