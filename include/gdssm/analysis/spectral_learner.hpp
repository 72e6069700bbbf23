// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/analysis/observation.hpp"

// Learners that act on the spectrum of S. With S = U diag(s) U^T they are
//
//     W = M g(S) = M U diag(g(s)) U^T                                                                 (10c)
//
// with a filter g: that of gradient descent with any step sizes, of ridge regression, or of least squares. The filter's
// open numbers, which are step sizes or the penalty, are fitted to another learner's predictions by least squares.
// Source  docs/theory.md, which algorithm it is

namespace gdssm {

namespace detail {

/// A product and a solution, so that Eigen's code for them is compiled once.
inline Eigen::MatrixXd multiplied(const Eigen::MatrixXd& A, const Eigen::MatrixXd& B) { return A * B; }
inline Eigen::MatrixXd solved(const Eigen::MatrixXd& A, const Eigen::MatrixXd& B) { return A.ldlt().solve(B); }

}  // namespace detail

/// A context in the eigenbasis of S, with pair i of N weighted by L^(N-i). Learners of the form (10c) read nothing
/// else.
/// Shapes  spectrum (f), basis (f x f), moment (m x f), query (f)
struct SpectralContext {
  Eigen::VectorXd spectrum;  ///< s >= 0, exactly 0 where it is zero up to rounding
  Eigen::MatrixXd basis;     ///< U
  Eigen::MatrixXd moment;    ///< M U
  Eigen::VectorXd query;     ///< U^T q
};

/// The `SpectralContext` of a context and the decay L, with S = sum_i L^(N-i) x_i x_i^T = U diag(s) U^T and
/// M = sum_i L^(N-i) y_i x_i^T.
/// Shapes  inputs (f x N), targets (m x N), query (f)  ->  s (f), U (f x f), M U (m x f), U^T q (f)
/// Errors  std::invalid_argument: a decay that is not in [0, 1]
inline SpectralContext spectral_context(const Observation& seen, double decay) {
  if (!(decay >= 0 && decay <= 1)) refuse("spectral_context", "decay is ", decay, ", expected 0 <= decay <= 1");
  const Index pairs = seen.inputs.cols();
  Eigen::VectorXd root(pairs);
  for (Index i = 0; i < pairs; ++i) root[i] = std::pow(decay, static_cast<double>(pairs - 1 - i) / 2);
  const auto [S, M] = accumulate(seen.inputs * root.asDiagonal(), seen.targets * root.asDiagonal());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(S);
  const double zero = 1e-12 * (std::max)(eigen.eigenvalues().maxCoeff(), 0.0);
  return {(eigen.eigenvalues().array() > zero).select(eigen.eigenvalues(), 0.0), eigen.eigenvectors(),
          M * eigen.eigenvectors(), eigen.eigenvectors().transpose() * seen.query};
}

// A filter has `count()` open numbers, which are positive. Fits read and set their logarithms by `logs()` and
// `set_logs(v)`. `at(s, by_log)` returns g(s) and writes its derivatives by the logarithms.

/// K steps of sizes a_k:    g(s) = (1 - prod_k (1 - a_k s)) / s,    d g / d log a_k = a_k prod_{j != k} (1 - a_j s)
struct DescentFilter {
  Eigen::VectorXd sizes;  ///< a_1, ..., a_K

  Index count() const { return sizes.size(); }
  Eigen::VectorXd logs() const { return sizes.array().log(); }
  void set_logs(const Eigen::VectorXd& logs) { sizes = logs.array().exp(); }

  double at(double s, Eigen::Ref<Eigen::VectorXd> by_log) const {
    double g = 0, before = 1, after = 1;
    for (Index k = 0; k < count(); ++k) {
      by_log[k] = sizes[k] * before;
      g += by_log[k];
      before *= 1 - sizes[k] * s;
    }
    for (Index k = count() - 1; k >= 0; --k) {
      by_log[k] *= after;
      after *= 1 - sizes[k] * s;
    }
    return g;
  }
};

/// K steps of one size:     d g / d log a = a K (1 - a s)^(K-1)
struct EqualDescentFilter {
  double size;  ///< a
  Index steps;  ///< K

  Index count() const { return 1; }
  Eigen::VectorXd logs() const { return Eigen::VectorXd::Constant(1, std::log(size)); }
  void set_logs(const Eigen::VectorXd& logs) { size = std::exp(logs[0]); }

  double at(double s, Eigen::Ref<Eigen::VectorXd> by_log) const {
    double g = 0, left = 1, last = 1;
    for (Index k = 0; k < steps; ++k) {
      last = left;
      g += size * left;
      left *= 1 - size * s;
    }
    by_log[0] = size * static_cast<double>(steps) * last;
    return g;
  }
};

/// K steps of GD++ (10b) of one size and one gamma. Each of the three factors of a step acts on the spectrum: with p =
/// q = 1 and r = s to begin with, g <- g + a p q, p <- p (1 - a r)(1 - gamma r), q <- q (1 - gamma r), r <- r (1 -
/// gamma r)^2, K times.
struct GdPlusPlusFilter {
  double size;   ///< a
  double gamma;  ///< of the transforms
  Index steps;   ///< K

  Index count() const { return 2; }
  Eigen::VectorXd logs() const { return Eigen::Vector2d(std::log(size), std::log(gamma)); }
  void set_logs(const Eigen::VectorXd& logs) {
    size = std::exp(logs[0]);
    gamma = std::exp(logs[1]);
  }

  double at(double s, Eigen::Ref<Eigen::VectorXd> by_log) const {
    struct Number {  // with its derivatives by log a and log gamma
      double value, by_a, by_gamma;
      Number operator*(const Number& o) const {
        return {value * o.value, by_a * o.value + value * o.by_a, by_gamma * o.value + value * o.by_gamma};
      }
      Number operator+(const Number& o) const { return {value + o.value, by_a + o.by_a, by_gamma + o.by_gamma}; }
    };
    const Number a{size, size, 0}, less_a{-size, -size, 0}, less_gamma{-gamma, 0, -gamma}, one{1, 0, 0};
    Number g{0, 0, 0}, p = one, q = one, r{s, 0, 0};
    for (Index k = 0; k < steps; ++k) {
      const Number transform = one + less_gamma * r;
      g = g + a * p * q;
      p = p * (one + less_a * r) * transform;
      q = q * transform;
      r = r * transform * transform;
    }
    by_log[0] = g.by_a;
    by_log[1] = g.by_gamma;
    return g.value;
  }
};

/// Ridge regression with the penalty rho / 2 |W|^2:    g(s) = 1 / (s + rho),    d g / d log rho = -rho / (s + rho)^2
struct RidgeFilter {
  double rho;  ///< the penalty

  Index count() const { return 1; }
  Eigen::VectorXd logs() const { return Eigen::VectorXd::Constant(1, std::log(rho)); }
  void set_logs(const Eigen::VectorXd& logs) { rho = std::exp(logs[0]); }

  double at(double s, Eigen::Ref<Eigen::VectorXd> by_log) const {
    const double g = 1 / (s + rho);
    by_log[0] = -rho * g * g;
    return g;
  }
};

/// Least squares; of all solutions, that of least norm:    g(s) = 1 / s,    g(0) = 0
struct LeastSquaresFilter {
  Index count() const { return 0; }
  Eigen::VectorXd logs() const { return {}; }
  void set_logs(const Eigen::VectorXd&) {}

  double at(double s, const Eigen::Ref<Eigen::VectorXd>&) const { return s > 0 ? 1 / s : 0.0; }
};

/// g at every eigenvalue of a context.
template <class Filter>
Eigen::VectorXd filtered(const Filter& filter, const Eigen::VectorXd& spectrum) {
  Eigen::VectorXd g(spectrum.size()), unused(filter.count());
  for (Index i = 0; i < g.size(); ++i) g[i] = filter.at(spectrum[i], unused);
  return g;
}

/// M g(S).          Shapes  (m x f)
template <class Filter>
Eigen::MatrixXd implicit_weights(const Filter& filter, const SpectralContext& context) {
  const Eigen::MatrixXd scaled = context.moment * filtered(filter, context.spectrum).asDiagonal();
  return detail::multiplied(scaled, context.basis.transpose());
}

/// The result of a fit, which minimises the sum of |yhat - M g(S) q - residual q|^2 over contexts.
template <class Filter>
struct FilterFit {
  Filter filter;    ///< the filter with the fitted numbers
  double residual;  ///< the multiple of the query that is added to predictions; 0 if it was not fitted
  double squares;   ///< the sum of squares over contexts
};

namespace detail {

/// Adds a task's share of Gauss's and Newton's second derivative and half of the gradient of the sum of squares.
inline void add_normal(const Eigen::MatrixXd& J, const Eigen::VectorXd& error, Eigen::MatrixXd& normal,
                       Eigen::VectorXd& slope) {
  for (Index k = 0; k < J.cols(); ++k) {
    slope[k] += J.col(k).dot(error);
    for (Index l = 0; l < J.cols(); ++l) normal(k, l) += J.col(k).dot(J.col(l));
  }
}

/// The sum of squares at a point; where they are not null, also half its gradient and Gauss's and Newton's second
/// derivative, added to zeros.
using SumOfSquares = std::function<double(const Eigen::VectorXd&, Eigen::MatrixXd* normal, Eigen::VectorXd* slope)>;

/// Levenberg's and Marquardt's method. The first `logs` of the numbers are logarithms, which take small steps.
inline Eigen::VectorXd least_squares_by_steps(const Eigen::VectorXd& start, Index logs, const SumOfSquares& measure) {
  const Index count = start.size();
  Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(count, count);
  Eigen::VectorXd slope = Eigen::VectorXd::Zero(count), best = start;
  double squares = measure(best, &normal, &slope);
  constexpr int most_steps = 200;
  constexpr double most_damping = 1e12, least_log = -40, most_log = 20;
  double damping = 1e-3;
  for (int step = 0; step < most_steps && count > 0 && damping < most_damping; ++step) {
    Eigen::MatrixXd damped = normal;
    for (Index k = 0; k < count; ++k) damped(k, k) += damping * normal(k, k) + 1e-300;
    const Eigen::VectorXd change = solved(damped, slope);
    if (!change.allFinite()) break;
    Eigen::VectorXd next = best;
    for (Index k = 0; k < logs; ++k)
      next[k] = std::clamp(best[k] + std::clamp(change[k], -2.0, 2.0), least_log, most_log);
    for (Index k = logs; k < count; ++k) next[k] += change[k];
    const double next_squares = measure(next, nullptr, nullptr);
    if (!(next_squares < squares)) {
      damping *= 10;
      continue;
    }
    const bool settled = squares - next_squares < 1e-10 * squares;
    best = next;
    squares = next_squares;
    if (settled) break;
    normal.setZero();
    slope.setZero();
    measure(best, &normal, &slope);
    damping = (std::max)(damping / 10, 1e-15);
  }
  return best;
}

/// Where the fit of a filter of any kind ended.
struct LogsFit {
  Eigen::VectorXd logs;
  double residual, squares;
};

/// The fit of a filter's open numbers by their logarithms, and of the residual. set(logs) makes the filter; at(s,
/// by_log) is g(s), with its derivatives.
inline LogsFit fit_logs(const Eigen::VectorXd& start, bool has_residual, const std::vector<SpectralContext>& contexts,
                        const std::vector<Observation>& seen, const std::function<void(const Eigen::VectorXd&)>& set,
                        const std::function<double(double, Eigen::VectorXd&)>& at) {
  expect_equal("fit", "the number of contexts", contexts.size(), seen.size());
  const Index open = start.size(), count = open + (has_residual ? 1 : 0);
  const SumOfSquares measure = [&](const Eigen::VectorXd& numbers, Eigen::MatrixXd* normal, Eigen::VectorXd* slope) {
    double squares = 0;
    Eigen::VectorXd by_log(open);
    if (open > 0) set(numbers.head(open));
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const SpectralContext& context = contexts[i];
      const Index f = context.spectrum.size(), m = seen[i].prediction.size();
      Eigen::MatrixXd g(f, 1 + open);  // g(s) q, and its derivatives
      for (Index j = 0; j < f; ++j) {
        g(j, 0) = at(context.spectrum[j], by_log) * context.query[j];
        for (Index k = 0; k < open; ++k) g(j, 1 + k) = by_log[k] * context.query[j];
      }
      const Eigen::MatrixXd answers = multiplied(context.moment, g);
      Eigen::MatrixXd J(m, count);
      J.leftCols(open) = answers.rightCols(open);
      Eigen::VectorXd error = seen[i].prediction - answers.col(0);
      if (has_residual) {
        J.col(open) = seen[i].query.tail(m);
        error -= numbers[open] * J.col(open);
      }
      squares += error.squaredNorm();
      if (normal) add_normal(J, error, *normal, *slope);
    }
    return squares;
  };
  Eigen::VectorXd numbers = Eigen::VectorXd::Zero(count);
  numbers.head(open) = start;
  numbers = least_squares_by_steps(numbers, open, measure);
  return {numbers.head(open), has_residual ? numbers[open] : 0, measure(numbers, nullptr, nullptr)};
}

}  // namespace detail

/// Fits a filter to a model's predictions yhat in the sum of squares, by Levenberg's and Marquardt's method from
/// `start`. With `has_residual` it also fits a multiple of the query's last m entries, which is added to the
/// predictions.
/// Shapes  `contexts` and `seen` have one entry for each task
template <class Filter>
FilterFit<Filter> fit(const Filter& start, bool has_residual, const std::vector<SpectralContext>& contexts,
                      const std::vector<Observation>& seen) {
  Filter filter = start;
  const auto [logs, residual, squares] = detail::fit_logs(
      start.logs(), has_residual, contexts, seen, [&](const Eigen::VectorXd& moved) { filter.set_logs(moved); },
      [&](double s, Eigen::VectorXd& by_log) { return filter.at(s, by_log); });
  filter = start;
  if (logs != start.logs()) filter.set_logs(logs);
  return {filter, residual, squares};
}

}  // namespace gdssm
