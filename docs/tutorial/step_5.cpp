// SPDX-License-Identifier: Apache-2.0
// Step 5 of docs/tutorial.md.
#include <cmath>
#include <iostream>

#include <gdssm/core/random.hpp>
#include <gdssm/io/aggregate.hpp>
#include <gdssm/io/safetensors.hpp>
#include <gdssm/learners/regression.hpp>

int main() {
  gdssm::RidgeLearner<> learner(3, 1);
  gdssm::RandomStream<> random(1);
  Eigen::VectorXd x(3), y(1);
  const auto next = [&] {
    for (double& entry : x) entry = random.normal();
    y[0] = 2 * x[0] - x[1] + 0.1 * random.normal();
  };

  double squares = 0;
  for (int t = 0; t < 1000; ++t) {
    next();
    squares += (learner.predict(x) - y).squaredNorm();  // before y is known
    learner.observe(x, y);
  }
  std::cout << "root mean square error " << std::sqrt(squares / 1000) << "\n";

  gdssm::Safetensors file;
  gdssm::put_aggregate(file, "learner.", learner.state());
  gdssm::write_safetensors("learner.safetensors", file);

  gdssm::RidgeLearner<> resumed(3, 1);
  auto state = resumed.state();
  gdssm::take_aggregate(gdssm::read_safetensors("learner.safetensors"), "learner.safetensors", "learner.", state);
  resumed.set_state(state);

  next();
  std::cout << "learner " << learner.predict(x) << ", resumed " << resumed.predict(x) << "\n";
  return learner.predict(x) == resumed.predict(x) ? 0 : 1;
}
