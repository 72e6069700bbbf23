// SPDX-License-Identifier: Apache-2.0
// Step 4 of docs/tutorial.md.
#include <algorithm>
#include <iostream>
#include <vector>

#include <gdssm/construction/horner_steps.hpp>
#include <gdssm/tasks/linear_regression.hpp>

int main() {
  const gdssm::LinearRegression tasks{};  // f = N = 10
  const gdssm::PaperLayer<10> layer;
  const auto one = gdssm::gradient_step(layer, 0.606);

  const gdssm::HornerStack stack(layer, 2);  // three layers: M_1, S_2, M_2
  const auto two = gdssm::descent_steps(stack, std::vector<double>{1.16, 0.40});

  double loss_one = 0, loss_two = 0, difference = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const auto [tokens, targets] = tasks.sequence(1, i);
    const Eigen::VectorXd first = layer.predict(one, tokens).col(9), second = stack.predict(two, tokens).col(9);
    loss_one += (first - targets).squaredNorm() / 20 / 2000;
    loss_two += (second - targets).squaredNorm() / 20 / 2000;

    Eigen::MatrixXd W = Eigen::MatrixXd::Zero(10, 10), S = W, M = W;
    for (int t = 0; t < 20; t += 2) {
      S += tokens.col(t) * tokens.col(t).transpose();
      M += tokens.col(t + 1) * tokens.col(t).transpose();
    }
    for (const double a : {1.16, 0.40}) W -= a * (W * S - M);
    difference = std::max(difference, (second - W * tokens.col(20)).norm());
  }
  std::cout << "one step               " << loss_one << "\n"
            << "two steps              " << loss_two << "\n"
            << "stack less descent     " << difference << "\n";
  return loss_two < loss_one && difference < 1e-12 ? 0 : 1;
}
