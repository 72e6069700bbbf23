// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <Eigen/Core>

#include "gdssm/analysis/spectral_learner.hpp"

// Learners that go through the pairs of a context once, and their fit to another learner's predictions.
// Source  docs/theory.md, which algorithm it is, and (30), (38), (43)

namespace gdssm {

/// What becomes of W on a pair, from W_0 = 0.
enum class OnlineStep {
  stochastic,  ///< W~ = L W_{t-1},   W_t = W~ + a (y - W~ x) x^T: the delta rule (29), with a decay (30)
  implicit,    ///< the same with a / (1 + a |x|^2) in place of a, (38): Longhorn's, normalised least mean squares
  heavy_ball,  ///< B_t = eta B_{t-1} + a (y - W_{t-1} x) x^T,   W_t = L W_{t-1} + B_t, (43)
};

/// A rule with its numbers. Its answer is c W q.
struct OnlineRule {
  OnlineStep step;      ///< what it does with a pair
  double size;          ///< a
  double momentum = 0;  ///< eta, of `heavy_ball`
  double decay = 1;     ///< L
  double scale = 1;     ///< c
};

/// c W after a context's pairs, one a column.        Shapes  inputs (f x N), targets (m x N)  ->  (m x f)
inline Eigen::MatrixXd implicit_weights(const OnlineRule& rule, const Eigen::MatrixXd& inputs,
                                        const Eigen::MatrixXd& targets) {
  const Index f = inputs.rows(), m = targets.rows();
  const bool heavy = rule.step == OnlineStep::heavy_ball;
  Eigen::MatrixXd W = Eigen::MatrixXd::Zero(m, f), B = Eigen::MatrixXd::Zero(heavy ? m : 0, heavy ? f : 0);
  std::vector<double> error(static_cast<std::size_t>(m));
  for (Index t = 0; t < inputs.cols(); ++t) {
    const double* const x = inputs.col(t).data();
    double length = 0;
    for (Index j = 0; j < f; ++j) length += x[j] * x[j];
    const double seen = heavy ? 1 : rule.decay;  // of W by the error
    const double rate = rule.step == OnlineStep::implicit ? rule.size / (1 + rule.size * length) : rule.size;
    for (Index i = 0; i < m; ++i) {
      double answer = 0;
      for (Index j = 0; j < f; ++j) answer += W(i, j) * x[j];
      error[static_cast<std::size_t>(i)] = rate * (targets(i, t) - seen * answer);
    }
    for (Index j = 0; j < f; ++j)
      for (Index i = 0; i < m; ++i) {
        double change = error[static_cast<std::size_t>(i)] * x[j];
        if (heavy) change = B(i, j) = rule.momentum * B(i, j) + change;
        W(i, j) = rule.decay * W(i, j) + change;
      }
  }
  for (Index e = 0; e < W.size(); ++e) W.data()[e] *= rule.scale;
  return W;
}

/// Which numbers of an online rule are fitted beside its size, and its momentum if it has one; else they are 1.
struct OpenNumbers {
  bool decay = false;  ///< of the state
  bool scale = false;  ///< c, of the answer
};

/// The rule of a kind nearest to a model's predictions, in the sum of squares, that Levenberg's and Marquardt's method
/// finds from `start`. A decay stays within (0, 1].
inline OnlineRule fit(const OnlineRule& start, const OpenNumbers& open, const std::vector<Observation>& seen) {
  const auto rule_at = [&](const Eigen::VectorXd& logs) {
    OnlineRule rule = start;
    Index next = 0;
    rule.size = std::exp(logs[next++]);
    if (start.step == OnlineStep::heavy_ball) rule.momentum = std::exp(logs[next++]);
    if (open.decay) rule.decay = (std::min)(1.0, std::exp(logs[next++]));
    if (open.scale) rule.scale = std::exp(logs[next++]);
    return rule;
  };
  std::vector<double> first{std::log(start.size)};
  if (start.step == OnlineStep::heavy_ball) first.push_back(std::log(start.momentum));
  if (open.decay) first.push_back(std::log(start.decay));
  if (open.scale) first.push_back(std::log(start.scale));
  const auto answers = [&](const Eigen::VectorXd& logs, const Observation& of) -> Eigen::VectorXd {
    const Eigen::MatrixXd W = implicit_weights(rule_at(logs), of.inputs, of.targets);
    Eigen::VectorXd answer = Eigen::VectorXd::Zero(W.rows());
    for (Index j = 0; j < W.cols(); ++j)
      for (Index i = 0; i < W.rows(); ++i) answer[i] += W(i, j) * of.query[j];
    return answer;
  };
  const auto measure = [&](const Eigen::VectorXd& logs, Eigen::MatrixXd* normal, Eigen::VectorXd* slope) {
    constexpr double h = 1e-5;
    const Index count = logs.size();
    double squares = 0;
    Eigen::MatrixXd J(seen.front().prediction.size(), count);
    for (const Observation& of : seen) {
      const Eigen::VectorXd error = of.prediction - answers(logs, of);
      squares += error.squaredNorm();
      if (!normal) continue;
      for (Index k = 0; k < count; ++k) {
        Eigen::VectorXd up = logs, down = logs;
        up[k] += h;
        down[k] -= h;
        J.col(k) = (answers(up, of) - answers(down, of)) / (2 * h);
      }
      detail::add_normal(J, error, *normal, *slope);
    }
    return squares;
  };
  const auto count = static_cast<Index>(first.size());
  return rule_at(
      detail::least_squares_by_steps(Eigen::Map<const Eigen::VectorXd>(first.data(), count), count, measure));
}

}  // namespace gdssm
