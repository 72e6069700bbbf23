// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <Eigen/Core>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/tasks/sine_regression.hpp"

namespace gdssm::reproduce {

/// Fixed features of a number.
using FeatureMap = std::function<Eigen::VectorXd(double)>;

/// phi of random Fourier features, those of a seed: their kernel is near exp(-(x - x')^2 / (2 width^2)).
FeatureMap fourier_features(Index count, double width, std::uint64_t seed);

/// The two features of which every task is a linear function.
Eigen::VectorXd own_features(double x);

/// The W_0 that answers best with no context at all: least squares over the pairs of a range of tasks.
Eigen::VectorXd best_start(const SineRegression& tasks, const FeatureMap& phi, const TaskRange& range);

/// Linear learners on fixed features, from a start W_0, over a range of tasks. With r the targets less what W_0
/// answers, Phi the context's features and Phi^T Phi = U diag(l) U^T, each answers the query by W_0 phi(q) + sum_i
/// g(l_i) (U^T Phi^T phi(q))_i (U^T r)_i, g its filter (10c).
class FeatureContexts {
 public:
  FeatureContexts(const SineRegression& tasks, const FeatureMap& phi, const Eigen::VectorXd& start,
                  const TaskRange& range);

  /// The query's loss, task by task, after K equal steps, or of ridge regression with penalty rho.
  std::vector<double> after_steps(Index K, double size) const;
  std::vector<double> ridge(double rho) const;

  /// The size of K equal steps, or the penalty, at which the mean loss is least.
  double best_size(Index K) const;
  double best_penalty() const;

 private:
  template <class Filter>
  std::vector<double> losses(const Filter& g) const;

  Eigen::ArrayXXd eigenvalues_, products_;  // a task a column
  Eigen::ArrayXd errors_;                   // the query's target less what W_0 answers
};

/// What the layer under (7) predicts on features, from W_0 by residual targets, as many tasks as the range has.
struct LayerLosses {
  std::vector<double> query;       ///< task by task
  std::vector<double> by_context;  ///< means after t = 1..N pairs
};
LayerLosses layer_losses(const SineRegression& tasks, const FeatureMap& phi, const Eigen::VectorXd& start, double step,
                         const TaskRange& range);

/// The same for one context and many queries.
std::vector<double> layer_answers(const TokenSequence& task, const FeatureMap& phi, const Eigen::VectorXd& start,
                                  double step, const std::vector<double>& queries);

}  // namespace gdssm::reproduce
