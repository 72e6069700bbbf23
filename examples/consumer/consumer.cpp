// SPDX-License-Identifier: Apache-2.0
// A program of another project: a learner of gdssm's sees three pairs of y = 2 x + 1 and predicts the fourth. How the
// project gets gdssm is in CMakeLists.txt and, without CMake, in Makefile.
#include <cmath>
#include <iostream>

#include <gdssm/gdssm.hpp>

int main() {
  using Number = Eigen::Vector<double, 1>;
  gdssm::RidgeLearner<> learner(1, 1, {.ridge = 1e-9});
  for (const double x : {0.0, 1.0, 2.0}) learner.observe(Number(x), Number(2 * x + 1));
  const double y = learner.predict(Number(3.0))[0];
  std::cout << "gdssm " << gdssm::version << ": y(3) = " << y << ", expected 7\n";
  return std::abs(y - 7) < 1e-6 ? 0 : 1;
}
