// SPDX-License-Identifier: Apache-2.0
#include "reproduce/algorithms/sine_features.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/learners/features.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm::reproduce {

FeatureMap fourier_features(Index count, double width, std::uint64_t seed) {
  const RandomFourier<> map(1, count, width, seed);
  return [map](double x) {
    Eigen::VectorXd phi(map.output_count());
    map(Eigen::VectorXd::Constant(1, x), phi);
    return phi;
  };
}

Eigen::VectorXd own_features(double x) { return Eigen::Vector2d(std::sin(x), std::cos(x)); }

namespace {

/// Calls of(i, tokens, target) for the tasks i = 0, 1, ... of a range, targets at the last `losses` windows.
template <class Of>
void for_each_task(const SineRegression& tasks, const TaskRange& range, Index losses, const Of& of) {
  for (Index i = 0; i < range.count; ++i)
    of(i, tasks.sequence(range.seed, range.first + static_cast<std::uint64_t>(i), losses));
}

/// The features of a sequence's inputs, the query's last.
Eigen::MatrixXd features_of(const Eigen::MatrixXd& tokens, const FeatureMap& phi) {
  const Index inputs = (tokens.cols() + 1) / 2;
  Eigen::MatrixXd Phi(phi(0).size(), inputs);
  for (Index t = 0; t < inputs; ++t) Phi.col(t) = phi(tokens(0, 2 * t));
  return Phi;
}

/// Normal tokens of a scalar target on features.
Eigen::MatrixXd tokens_on(const Eigen::MatrixXd& Phi, const Eigen::MatrixXd& tokens, const Eigen::VectorXd& start) {
  Eigen::MatrixXd on = Eigen::MatrixXd::Zero(Phi.rows(), tokens.cols());
  for (Index t = 0; t < Phi.cols(); ++t) {
    on.col(2 * t) = Phi.col(t);
    if (2 * t + 1 < tokens.cols()) on(Phi.rows() - 1, 2 * t + 1) = tokens(0, 2 * t + 1) - start.dot(Phi.col(t));
  }
  return on;
}

/// Where a function of one positive number is least: the best of a coarse grid, and golden sections around it.
template <class Function>
double least_at(const Function& f) {
  constexpr double low = -12, high = 5, width = 0.3, section = 0.6180339887498949;
  double best = low, least = f(std::exp(low));
  for (double x = low + width; x <= high; x += width)
    if (const double value = f(std::exp(x)); value < least) least = value, best = x;
  double a = best - width, b = best + width;
  for (int i = 0; i < 15; ++i) {
    const double left = b - section * (b - a), right = a + section * (b - a);
    if (f(std::exp(left)) < f(std::exp(right)))
      b = right;
    else
      a = left;
  }
  return std::exp((a + b) / 2);
}

double mean(const std::vector<double>& values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return std::isfinite(sum) ? sum : HUGE_VAL;
}

}  // namespace

Eigen::VectorXd best_start(const SineRegression& tasks, const FeatureMap& phi, const TaskRange& range) {
  const Index f = phi(0).size();
  Eigen::MatrixXd S = Eigen::MatrixXd::Zero(f, f);
  Eigen::VectorXd M = Eigen::VectorXd::Zero(f);
  for_each_task(tasks, range, 1, [&](Index, const TokenSequence& task) {
    const Eigen::MatrixXd Phi = features_of(task.tokens, phi).leftCols(tasks.context);
    S.noalias() += Phi * Phi.transpose();
    for (Index t = 0; t < tasks.context; ++t) M += task.tokens(0, 2 * t + 1) * Phi.col(t);
  });
  S.diagonal().array() += 1e-6 * S.trace();  // features may be nearly dependent
  return S.ldlt().solve(M);
}

FeatureContexts::FeatureContexts(const SineRegression& tasks, const FeatureMap& phi, const Eigen::VectorXd& start,
                                 const TaskRange& range)
    : eigenvalues_(tasks.context, range.count), products_(tasks.context, range.count), errors_(range.count) {
  const Index N = tasks.context;
  for_each_task(tasks, range, 1, [&](Index i, const TokenSequence& task) {
    const Eigen::MatrixXd Phi = features_of(task.tokens, phi);
    Eigen::VectorXd residuals(N);
    for (Index t = 0; t < N; ++t) residuals[t] = task.tokens(0, 2 * t + 1) - start.dot(Phi.col(t));
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> of(Phi.leftCols(N).transpose() * Phi.leftCols(N));
    const auto& U = of.eigenvectors();
    eigenvalues_.col(i) = of.eigenvalues().cwiseMax(0);
    products_.col(i) =
        (U.transpose() * residuals).cwiseProduct(U.transpose() * (Phi.leftCols(N).transpose() * Phi.col(N)));
    errors_[i] = task.targets(0, 0) - start.dot(Phi.col(N));
  });
}

template <class Filter>
std::vector<double> FeatureContexts::losses(const Filter& g) const {
  std::vector<double> losses;
  for (Index i = 0; i < errors_.size(); ++i) {
    double answer = 0;
    for (Index k = 0; k < eigenvalues_.rows(); ++k) answer += g(eigenvalues_(k, i)) * products_(k, i);
    losses.push_back((errors_[i] - answer) * (errors_[i] - answer) / 2);
  }
  return losses;
}

std::vector<double> FeatureContexts::after_steps(Index K, double size) const {
  return losses([&](double l) {
    double g = 0;
    for (Index k = 0; k < K; ++k) g = size + (1 - size * l) * g;
    return g;
  });
}
std::vector<double> FeatureContexts::ridge(double rho) const {
  return losses([&](double l) { return 1 / (l + rho); });
}
double FeatureContexts::best_size(Index K) const {
  return least_at([&](double size) { return mean(after_steps(K, size)); });
}
double FeatureContexts::best_penalty() const {
  return least_at([&](double rho) { return mean(ridge(rho)); });
}

LayerLosses layer_losses(const SineRegression& tasks, const FeatureMap& phi, const Eigen::VectorXd& start, double step,
                         const TaskRange& range) {
  const Index N = tasks.context;
  const PaperLayer<> layer(start.size());
  const auto weights = gradient_step(layer, step);
  LayerLosses found{{}, std::vector<double>(static_cast<std::size_t>(N))};
  for_each_task(tasks, range, N, [&](Index, const TokenSequence& task) {
    const Eigen::MatrixXd Phi = features_of(task.tokens, phi);
    const Eigen::MatrixXd predictions = layer.predict(weights, tokens_on(Phi, task.tokens, start));
    double loss = 0;
    for (Index t = 0; t < N; ++t) {
      const double error = predictions(predictions.rows() - 1, t) + start.dot(Phi.col(t + 1)) - task.targets(0, t);
      loss = error * error / 2;
      found.by_context[static_cast<std::size_t>(t)] += loss / static_cast<double>(range.count);
    }
    found.query.push_back(loss);
  });
  return found;
}

std::vector<double> layer_answers(const TokenSequence& task, const FeatureMap& phi, const Eigen::VectorXd& start,
                                  double step, const std::vector<double>& queries) {
  const PaperLayer<> layer(start.size());
  const auto weights = gradient_step(layer, step);
  Eigen::MatrixXd tokens = task.tokens;
  std::vector<double> answers;
  for (const double query : queries) {
    tokens(0, tokens.cols() - 1) = query;
    const Eigen::MatrixXd Phi = features_of(tokens, phi);
    answers.push_back(layer.predict(weights, tokens_on(Phi, tokens, start))(start.size() - 1, Phi.cols() - 2) +
                      start.dot(Phi.col(Phi.cols() - 1)));
  }
  return answers;
}

}  // namespace gdssm::reproduce
