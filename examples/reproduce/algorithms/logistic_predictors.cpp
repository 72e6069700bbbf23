// SPDX-License-Identifier: Apache-2.0
#include "reproduce/algorithms/logistic_predictors.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "gdssm/algorithms/softmax_descent.hpp"

namespace gdssm::reproduce {
namespace {

using Tasks = std::vector<ClassificationTask>;

/// W after the first t pairs of a task, given its one number.
using Algorithm = std::function<Eigen::MatrixXd(const ClassificationTask& task, Index t, double number)>;

Eigen::MatrixXd one_hot(const ClassificationTask& task, Index t) {
  Eigen::MatrixXd labels = Eigen::MatrixXd::Zero(task.weights.rows(), t);
  for (Index i = 0; i < t; ++i) labels(task.labels[i], i) = 1;
  return labels;
}

Algorithm descent(Index steps) {
  return [=](const ClassificationTask& task, Index t, double size) {
    return descend_on_cross_entropy(task.inputs.leftCols(t), one_hot(task, t), equal_steps(size, steps));
  };
}

// The Hessian of log sum exp is at most I / 2, so that S / 2 bounds the cross-entropy's.
Algorithm logistic_regression(Index steps) {
  return [=](const ClassificationTask& task, Index t, double penalty) {
    const Eigen::MatrixXd X = task.inputs.leftCols(t);
    const double bound = largest_eigenvalue_bound((X * X.transpose()).eval());
    return descend_on_cross_entropy(X, one_hot(task, t), equal_steps(1 / (bound / 2 + penalty), steps), penalty);
  };
}

/// Cross-entropy and 1 for a right label, of the input after the first t pairs.
std::pair<double, double> judge(const Algorithm& algorithm, const ClassificationTask& task, Index t, double number) {
  const Eigen::VectorXd logits = algorithm(task, t, number) * task.inputs.col(t);
  Index largest = 0;
  const double top = logits.maxCoeff(&largest);
  return {top + std::log((logits.array() - top).exp().sum()) - logits[task.labels[t]],
          largest == task.labels[t] ? 1.0 : 0.0};
}

double mean_loss(const Algorithm& algorithm, const Tasks& tasks, Index t, double number) {
  double sum = 0;
  for (const ClassificationTask& task : tasks) sum += judge(algorithm, task, t, number).first;
  return sum / static_cast<double>(tasks.size());
}

}  // namespace

double least_of(const std::function<double(double)>& f, double low, double high) {
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  double a = std::log(low), b = std::log(high), c = b - ratio * (b - a), d = a + ratio * (b - a);
  double at_c = f(std::exp(c)), at_d = f(std::exp(d));
  while (b - a > 0.02) {
    if (at_c < at_d) {
      b = d, d = c, at_d = at_c;
      c = b - ratio * (b - a);
      at_c = f(std::exp(c));
    } else {
      a = c, c = d, at_c = at_d;
      d = a + ratio * (b - a);
      at_d = f(std::exp(d));
    }
  }
  return std::exp((a + b) / 2);
}

std::vector<LogisticScore> score_logistic(const Classification& tasks, std::uint64_t seed,
                                          const LogisticEffort& effort) {
  const auto draw = [&](Index count, std::uint64_t first) {
    Tasks drawn;
    for (Index i = 0; i < count; ++i) drawn.push_back(tasks.draw(seed, first + static_cast<std::uint64_t>(i)));
    return drawn;
  };
  const Tasks tuning = draw(effort.tuning, std::uint64_t{1} << 57),
              tested = draw(effort.tested, std::uint64_t{1} << 56);
  std::vector<std::pair<std::string, Algorithm>> algorithms{{"descent, 1 step", descent(1)},
                                                            {"descent, 2 steps", descent(2)},
                                                            {"descent, 5 steps", descent(5)},
                                                            {"descent, 20 steps", descent(20)},
                                                            {"logistic regression", logistic_regression(effort.steps)}};
  if (tasks.labels == LabelLaw::softmax)
    algorithms.emplace_back("W* itself", [](const ClassificationTask& task, Index, double) { return task.weights; });
  std::vector<LogisticScore> scores;
  for (const auto& [name, algorithm] : algorithms) {
    LogisticScore score{name, {1, 2, 3, 5, 7, 10, 15, 20, 30, 40}};
    for (const Index t : score.examples) {
      const Algorithm& mine = algorithm;
      double number = 0;
      if (name != "W* itself") {
        const bool penalised = name == "logistic regression";
        number = least_of([&](double value) { return mean_loss(mine, tuning, t, value); }, penalised ? 1e-2 : 1e-3,
                          penalised ? 100 : 10);
      }
      Sample loss, hits;
      for (const ClassificationTask& task : tested) {
        const auto [cross_entropy, hit] = judge(mine, task, t, number);
        loss.add(cross_entropy);
        hits.add(hit);
      }
      score.settings.push_back(number);
      score.loss.push_back({loss.mean(), loss.standard_error()});
      score.accuracy.push_back({hits.mean(), hits.standard_error()});
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

}  // namespace gdssm::reproduce
