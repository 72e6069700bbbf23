// SPDX-License-Identifier: Apache-2.0
// One layer, one step of gradient descent: the layer is built in closed form, equation (7) of docs/theory.md, reads a
// context of examples and answers a query; beside it the step is taken explicitly.
//
//     f, N      features, pairs in the context        x, y     inputs (the query last), their targets
//     a         the step, the best one by (8)         layer    the augmented state-space model
#include <iostream>

#include <gdssm/gdssm.hpp>

int main() {
  const Eigen::Index f = 4, N = 16;
  const Eigen::MatrixXd x = Eigen::MatrixXd::Random(f, N + 1);
  const Eigen::MatrixXd y = Eigen::MatrixXd::Random(f, f) * x;

  const double a = gdssm::best_step(gdssm::LinearRegression{.features = f, .outputs = f, .context = N, .range = 2});
  const gdssm::PaperLayer<> layer(f);
  const auto weights = gdssm::gradient_step(layer, a);
  const Eigen::VectorXd answer = layer.predict(weights, gdssm::interleave(x, y.leftCols(N))).col(N - 1);

  const Eigen::MatrixXd gradient = -y.leftCols(N) * x.leftCols(N).transpose();  // of 1/2 sum |y - W x|^2 at W = 0
  const Eigen::VectorXd stepped = -a * gradient * x.col(N);                     // W_1 q

  std::cout << "the layer answers        " << answer.transpose() << "\n"
            << "one gradient step gives  " << stepped.transpose() << "\n"
            << "largest difference       " << (answer - stepped).cwiseAbs().maxCoeff() << "\n";
  return answer.isApprox(stepped, 1e-12) ? 0 : 1;
}
