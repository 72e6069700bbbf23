// SPDX-License-Identifier: Apache-2.0
// Another learning rule in the slot of the recurrence: with the delta rule, (29) of docs/theory.md, the layer corrects
// what its state answers instead of adding up gradients at zero. Set by hand it is least mean squares, as a loop that
// is written out; trained from random weights it loses a tenth of what the best single step of gradient descent does.
#include <algorithm>
#include <cmath>
#include <iostream>

#include <gdssm/gdssm.hpp>

using Rule = gdssm::recurrences::DeltaRule<5>;
using Layer = gdssm::AugmentedSsm<gdssm::FactoredAttention<5>, gdssm::LearningRecurrence<Rule>, gdssm::Readout<5>,
                                  gdssm::OutputGate<5>>;

int main() {
  const gdssm::Index f = 5, N = 20;
  const Layer layer;
  const double rate = 0.3;
  auto weights = layer.parameters<double>();
  weights.attention.K(0, 0) = 1;                             // the key is x_t
  weights.attention.V(1, 0) = 1;                             // the value is y_t
  weights.recurrence.bias[0] = std::log(rate / (1 - rate));  // beta, logistic of it
  weights.readout.C = -Eigen::MatrixXd::Identity(f, f);
  weights.gate.d[2] = 1;  // the query is x_{t+1}

  const Eigen::MatrixXd x = Eigen::MatrixXd::Random(f, N + 1), y = Eigen::MatrixXd::Random(f, f) * x;
  const Eigen::MatrixXd predictions = layer.predict(weights, gdssm::interleave(x, y.leftCols(N)));
  Eigen::MatrixXd W = Eigen::MatrixXd::Zero(f, f);
  double difference = 0;
  for (gdssm::Index t = 0; t < N; ++t) {
    W += rate * (y.col(t) - W * x.col(t)) * x.col(t).transpose();
    difference = std::max(difference, (predictions.col(t) - W * x.col(t + 1)).cwiseAbs().maxCoeff());
  }
  std::cout << "least mean squares: largest difference " << difference << "\n";

  const gdssm::LinearRegression tasks{.features = f, .outputs = f, .context = N};
  const auto run = gdssm::train(layer, tasks, {.rate = 3e-3, .updates = 6000});
  const double one_step = gdssm::expected_loss(tasks, gdssm::best_step(tasks));
  std::cout << "trained, it loses " << run.loss << "; the best step of gradient descent " << one_step << "\n";
  if (difference < 1e-13 && run.loss < one_step / 2) return 0;
  std::cerr << "expected no difference, and less than half of the loss\n";
  return 1;
}
