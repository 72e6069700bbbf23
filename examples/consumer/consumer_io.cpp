// SPDX-License-Identifier: Apache-2.0
// The same with gdssm::io, which needs nlohmann-json: the pairs are rows of a table.
#include <cmath>
#include <iostream>
#include <sstream>
#include <vector>

#include <gdssm/io/csv.hpp>
#include <gdssm/io/safetensors.hpp>
#include <gdssm/learners/regression.hpp>
#include <gdssm/version.hpp>

int main() {
  std::istringstream text("x,y\n0,1\n1,3\n2,5\n");
  gdssm::CsvReader table(text, "text");
  gdssm::RidgeLearner<> learner(1, 1, {.ridge = 1e-9});
  using Number = Eigen::Vector<double, 1>;
  for (std::vector<double> row; table.next(row);) learner.observe(Number(row[0]), Number(row[1]));
  const double y = learner.predict(Number(3.0))[0];
  std::cout << "gdssm " << gdssm::version << " with io: y(3) = " << y << ", expected 7\n";
  return std::abs(y - 7) < 1e-6 ? 0 : 1;
}
