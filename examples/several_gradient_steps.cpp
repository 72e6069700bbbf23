// SPDX-License-Identifier: Apache-2.0
// Several layers, several steps of gradient descent: a stack of 2K - 1 layers takes K steps, each of a size of its own,
// in one pass over the context. Beside it the same steps are taken explicitly, one after the other, from the context's
// two sums S = sum x x^T and M = sum y x^T, with which the gradient at W is W S - M.
#include <iostream>
#include <vector>

#include <gdssm/gdssm.hpp>

int main() {
  const Eigen::Index f = 4, N = 16;
  const Eigen::MatrixXd x = Eigen::MatrixXd::Random(f, N + 1);
  const Eigen::MatrixXd y = Eigen::MatrixXd::Random(f, f) * x;
  const std::vector<double> sizes{0.06, 0.3, 0.12};

  const gdssm::HornerStack<gdssm::PaperLayer<>> stack(gdssm::PaperLayer<>(f), 3);
  const auto weights = gdssm::descent_steps(stack, sizes);
  const Eigen::VectorXd answer = stack.predict(weights, gdssm::interleave(x, y.leftCols(N))).col(N - 1);

  const auto [S, M] = gdssm::accumulate(x.leftCols(N), y.leftCols(N));
  Eigen::MatrixXd W = Eigen::MatrixXd::Zero(f, f);
  std::cout << "step of size   error at the query\n";
  for (const double a : sizes) {
    W -= a * (W * S - M);
    std::cout << a << "           " << (W * x.col(N) - y.col(N)).norm() << "\n";
  }

  std::cout << "the stack answers        " << answer.transpose() << "\n"
            << "three steps give         " << (W * x.col(N)).transpose() << "\n"
            << "the targets are          " << y.col(N).transpose() << "\n";
  if (answer.isApprox(W * x.col(N), 1e-12)) return 0;
  std::cerr << "expected the stack's answer to be that of the steps\n";
  return 1;
}
