// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "gdssm/analysis/measure_tasks.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/core/thread_pool.hpp"

namespace gdssm {

/// The moments (8a), from which the best step and the best preconditioner follow, as averages over drawn tasks. For
/// distributions without a known formula. The tokens of a task must be x_1, y_1, ..., x_{N+1}.
///     const double a = best_step(measured_moments(tasks, {.seed = 1, .count = 100000}));
/// (8a) assumes that the entries of W* have one variance and are independent of each other and of the inputs.
/// Gives the same bits on any number of threads.
/// Shapes  Sigma, E S, E S^2 (f x f)
/// Errors  std::invalid_argument: an empty range, an even number of tokens
template <TaskDistribution Tasks>
ContextMoments<double> measured_moments(const Tasks& tasks, const TaskRange& range, ThreadPool& pool) {
  if (range.count < 1) refuse("TaskRange", "there are ", range.count, " tasks, expected at least one");
  const Index f = tasks.sequence(range.seed, range.first, 1).tokens.rows(), parts = (std::min)(range.count, Index(64));
  const ContextMoments<double> nothing{Eigen::MatrixXd::Zero(f, f), Eigen::MatrixXd::Zero(f, f),
                                       Eigen::MatrixXd::Zero(f, f)};
  std::vector<ContextMoments<double>> found(static_cast<std::size_t>(parts), nothing);
  pool.run(parts, [&](Index part) {
    auto& [Sigma, S_sum, S2_sum] = found[static_cast<std::size_t>(part)];
    for (Index i = part * range.count / parts; i < (part + 1) * range.count / parts; ++i) {
      const Eigen::MatrixXd tokens = tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(i), 1).tokens;
      if (tokens.cols() % 2 == 0)
        refuse("measured_moments", "a task has ", tokens.cols(), " tokens, expected an odd number");
      Eigen::MatrixXd S = Eigen::MatrixXd::Zero(f, f);
      for (Index t = 0; t + 1 < tokens.cols(); t += 2) S.noalias() += tokens.col(t) * tokens.col(t).transpose();
      Sigma.noalias() += tokens.rightCols(1) * tokens.rightCols(1).transpose();
      S_sum += S;
      S2_sum.noalias() += S * S;
    }
  });
  ContextMoments<double> whole = nothing;
  const auto n = static_cast<double>(range.count);
  for (const auto& part : found) {
    whole.input_covariance += part.input_covariance / n;
    whole.mean_S += part.mean_S / n;
    whole.mean_S2 += part.mean_S2 / n;
  }
  return whole;
}
template <TaskDistribution Tasks>
ContextMoments<double> measured_moments(const Tasks& tasks, const TaskRange& range) {
  ThreadPool alone;
  return measured_moments(tasks, range, alone);
}

}  // namespace gdssm
