// SPDX-License-Identifier: Apache-2.0
#include "reproduce/algorithms/drift_optimum.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "reproduce/run/parallel.hpp"

namespace gdssm::reproduce {

namespace {

/// What is believed of the map if it was last drawn before some pair: W ~ N(mean, covariance), rows alike.
class Belief {
 public:
  explicit Belief(Index features, Index outputs)
      : mean_(Eigen::MatrixXd::Zero(outputs, features)), covariance_(Eigen::MatrixXd::Identity(features, features)) {}

  double log_weight = 0;

  Eigen::VectorXd predict(const Eigen::VectorXd& x) const { return mean_ * x; }

  /// Learns a pair and weighs itself by how well it was foreseen.
  void observe(const Eigen::VectorXd& x, const Eigen::VectorXd& y) {
    constexpr double noise = 1e-6;  // as good as none, and keeps the covariance regular
    const Eigen::VectorXd reach = covariance_ * x, error = y - mean_ * x;
    const double variance = x.dot(reach) + noise;
    log_weight -= (static_cast<double>(y.size()) * std::log(variance) + error.squaredNorm() / variance) / 2;
    mean_.noalias() += error * reach.transpose() / variance;
    covariance_.noalias() -= reach * reach.transpose() / variance;
  }

 private:
  Eigen::MatrixXd mean_, covariance_;
};

double log_sum(const std::vector<Belief>& beliefs) {
  double most = beliefs.front().log_weight, sum = 0;
  for (const Belief& belief : beliefs) most = std::max(most, belief.log_weight);
  for (const Belief& belief : beliefs) sum += std::exp(belief.log_weight - most);
  return most + std::log(sum);
}

Eigen::VectorXd optimal_answer(const DriftingRegression& tasks, const Eigen::MatrixXd& tokens) {
  const Index f = tasks.regression.features, m = tasks.regression.outputs, N = tasks.regression.context;
  const double log_stay = std::log1p(-tasks.change), log_change = std::log(tasks.change);
  std::vector<Belief> beliefs{Belief(f, m)};
  const auto move = [&] {
    if (tasks.change == 0) return;
    Belief fresh(f, m);
    fresh.log_weight = log_change + log_sum(beliefs);
    for (Belief& belief : beliefs) belief.log_weight += log_stay;
    beliefs.push_back(std::move(fresh));
  };
  for (Index t = 0; t < N; ++t) {
    if (t > 0) move();
    for (Belief& belief : beliefs) belief.observe(tokens.col(2 * t), tokens.col(2 * t + 1).tail(m));
  }
  move();
  const double whole = log_sum(beliefs);
  Eigen::VectorXd answer = Eigen::VectorXd::Zero(m);
  for (const Belief& belief : beliefs)
    answer += std::exp(belief.log_weight - whole) * belief.predict(tokens.col(2 * N));
  return answer;
}

}  // namespace

Sample optimal_loss(const DriftingRegression& tasks, const TaskRange& range, int threads) {
  constexpr Index parts = 16;
  std::vector<Sample> found(static_cast<std::size_t>(parts));
  programs::Progress quiet("", 0);
  run_parts(parts, threads, quiet, [&](Index part) {
    for (Index i = part * range.count / parts; i < (part + 1) * range.count / parts; ++i) {
      const auto [tokens, targets] = tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(i));
      const Index m = tasks.regression.outputs;
      const Eigen::VectorXd error = optimal_answer(tasks, tokens) - targets.col(0).tail(m);
      found[static_cast<std::size_t>(part)].add(error.squaredNorm() / static_cast<double>(2 * m));
    }
  });
  Sample whole;
  for (const Sample& part : found) whole.merge(part);
  return whole;
}

}  // namespace gdssm::reproduce
