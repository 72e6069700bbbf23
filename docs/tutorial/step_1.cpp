// SPDX-License-Identifier: Apache-2.0
// Step 1 of docs/tutorial.md.
#include <iostream>

#include <gdssm/construction/gradient_step.hpp>

int main() {
  Eigen::MatrixXd x(2, 4), y(2, 3);  // three pairs and a query, one a column
  x << 1, 0, 2, 1,                   //
      0, 1, 1, 2;
  y << 2, 1, 5,  // = W* x with W* = (2 1; 0 3)
      0, 3, 3;

  const double a = 0.1;
  const gdssm::PaperLayer<> layer(2);
  const auto weights = gdssm::gradient_step(layer, a);
  const Eigen::MatrixXd predictions = layer.predict(weights, gdssm::interleave(x, y));

  const Eigen::Matrix2d W1 = a * y * x.leftCols(3).transpose();  // 0 - a grad, the gradient at zero being -sum y x^T
  std::cout << "the layer    " << predictions.col(2).transpose() << "\n"
            << "W_1 q        " << (W1 * x.col(3)).transpose() << "\n";
  return predictions.col(2).isApprox(W1 * x.col(3)) ? 0 : 1;
}
