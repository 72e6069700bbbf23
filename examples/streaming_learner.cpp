// SPDX-License-Identifier: Apache-2.0
// A learner on a stream of real data: each row's target is predicted from the row's inputs and all earlier rows, then
// the row is learned and forgotten. Nothing is tuned and nothing is trained beforehand. Judged against the running
// mean:
//     build/release/bin/streaming_learner < examples/data/sunspots_lags.csv
#include <iostream>
#include <vector>

#include <gdssm/gdssm.hpp>
#include <gdssm/io/csv.hpp>

int main() {
  gdssm::CsvReader table(std::cin, "standard input");
  const auto f = static_cast<gdssm::Index>(table.columns().size()) - 1;
  auto learner = gdssm::default_learner(f, 1);
  gdssm::RunningMean<> mean(f, 1);

  double error = 0, error_of_mean = 0;
  for (std::vector<double> row; table.next(row);) {
    const Eigen::Map<const Eigen::VectorXd> x(row.data(), f), y(row.data() + f, 1);
    error += (learner.predict(x) - y).squaredNorm();
    error_of_mean += (mean.predict(x) - y).squaredNorm();
    learner.observe(x, y);
    mean.observe(x, y);
  }

  const double skill = 1 - error / error_of_mean;
  std::cout << table.rows() << " rows, of the mean's squared error " << 100 * skill << " % is foreseen\n";
  if (skill > 0.7) return 0;
  std::cerr << "expected more than 70 %, of sunspots\n";
  return 1;
}
