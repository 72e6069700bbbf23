// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// One task: a linear map and a context drawn from it.
/// Shapes  inputs (f x (N+1)), the query last; weights W* (m x f); targets (m x (N+1)), the query's last and noiseless
struct LinearRegressionTask {
  Eigen::MatrixXd inputs;
  Eigen::MatrixXd weights;
  Eigen::MatrixXd targets;
};

/// The distribution of linear regression tasks of the paper's main setting: x uniform on [-range/2, range/2] in every
/// coordinate, entries of W* normal with standard deviation `weight_scale`, y = W* x.
/// Task i of seed s is the same whoever draws it: weights and pairs have random streams of their own.
/// Source  arXiv:2410.11687v1; docs/theory.md, how the reference trains and measures
struct LinearRegression {
  Index features = 10;      ///< f
  Index outputs = 10;       ///< m
  Index context = 10;       ///< N, pairs before the query
  double range = 1;         ///< width of the inputs' interval
  double weight_scale = 1;  ///< standard deviation of the entries of W*

  /// Errors  std::invalid_argument: a size below 1, a range or scale that is not a finite number above zero
  LinearRegressionTask draw(std::uint64_t seed, std::uint64_t index) const {
    if (features < 1 || outputs < 1 || context < 1)
      refuse("LinearRegression", "features, outputs and context are ", features, ", ", outputs, " and ", context,
             ", expected at least 1");
    if (!(range > 0 && weight_scale > 0) || !std::isfinite(range * weight_scale))
      refuse("LinearRegression", "range and weight scale are ", range, " and ", weight_scale,
             ", expected finite numbers above 0");
    LinearRegressionTask task{Eigen::MatrixXd(features, context + 1), Eigen::MatrixXd(outputs, features), {}};
    RandomStream weights(seed, index, 0);
    for (double& w : task.weights.reshaped()) w = weight_scale * weights.normal();
    for (Index t = 0; t <= context; ++t) {
      RandomStream pair(seed, index, static_cast<std::uint32_t>(t + 1));
      for (double& x : task.inputs.col(t)) x = range * (pair.uniform() - 0.5);
    }
    task.targets = task.weights * task.inputs;
    return task;
  }
};

}  // namespace gdssm
