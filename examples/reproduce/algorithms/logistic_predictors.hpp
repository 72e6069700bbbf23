// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gdssm/tasks/classification.hpp"
#include "reproduce/report/statistics.hpp"

// What the layer is compared with on labels: explicit descent on the cross-entropy of logistic regression.
namespace gdssm::reproduce {

/// How an algorithm does on a label after so many examples: mean cross-entropy and share of right labels.
struct LogisticScore {
  std::string name;
  std::vector<Index> examples{};
  std::vector<double> settings{};  ///< the step or the penalty, one for each number of examples
  std::vector<Estimate> loss{}, accuracy{};
};

/// Tasks to choose steps and penalties on, tasks to score on, and the steps that stand for convergence.
struct LogisticEffort {
  Index tuning, tested, steps;
};

/// Descent of 1, 2, 5 and 20 equal steps from zero and logistic regression with a ridge penalty, their numbers chosen
/// for each number of examples; and W* itself where labels are drawn from its softmax, which none can beat.
std::vector<LogisticScore> score_logistic(const Classification& tasks, std::uint64_t seed,
                                          const LogisticEffort& effort);

/// Where a function with one minimum between two positive ends has it, by golden section on the logarithm, to
/// two percent.
double least_of(const std::function<double(double)>& f, double low, double high);

}  // namespace gdssm::reproduce
