// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/step_size.hpp"
#include "gdssm/tasks/drifting_regression.hpp"

// The closed form with a decay below 1, which forgets: its expected loss when the map changes from time to time, on an
// endless stream and in a finite context, and the best decay for each.

namespace gdssm {

/// An endless stream of noiseless pairs y_t = W*_t x_t. Before each pair the map is redrawn with probability `change`.
/// All maps are independent, with entries of mean zero and variance w2; input coordinates are as in `LinearTask`.
template <class T = double>
struct DriftingTask {
  Index features;            ///< f
  T change;                  ///< p, in (0, 1]
  InputMoments<T> inputs;    ///< of every coordinate
  T weight_variance = T(1);  ///< w2
};

namespace detail {

/// The loss as a parabola in the step at one decay; r = 1 - p is the probability that the map stays for the next pair.
template <class T>
StepLoss<T> step_loss(const char* where, const DriftingTask<T>& task, const T& decay) {
  expect_positive(where, "features", task.features);
  expect_moments(where, task.inputs);
  expect_variance(where, "weight variance", task.weight_variance);
  if (!(task.change > T(0) && task.change <= T(1)))
    refuse(where, "the probability of a change is ", task.change, ", expected above 0 and at most 1");
  if (!(decay >= T(0) && decay < T(1))) refuse(where, "decay is ", decay, ", expected 0 <= decay < 1");
  const T s2 = task.inputs.variance, r = T(1) - task.change, kept = r / (T(1) - decay * r);
  const T one = task.inputs.fourth + static_cast<T>(task.features - 1) * s2 * s2;
  const T scale = task.weight_variance * static_cast<T>(task.features) * s2;
  return {.constant = scale,
          .linear = scale * s2 * kept,
          .quadratic = scale * (one + T(2) * s2 * s2 * decay * kept) / (T(1) - decay * decay)};
}

}  // namespace detail

/// The loss per output of yhat = a Z q at the next pair, with Z = sum_k L^k y_{t-k} x_{t-k}^T over the past, and
/// r = 1 - p:
///     1/2 w2 s2 f [ 1 - 2 a s2 r / (1 - L r) + a^2 (m4 + (f - 1) s2^2 + 2 s2^2 L r / (1 - L r)) / (1 - L^2) ]     (9a)
/// Source  docs/theory.md, (9a)
/// Errors  std::invalid_argument: p not in (0, 1], L not in [0, 1), impossible moments, a step that is not finite
template <class T>
T expected_loss(const DriftingTask<T>& task, const T& step, const T& decay) {
  return detail::step_loss("expected_loss", task, decay).at("expected_loss", step);
}

/// The step of least loss at a decay.
/// Errors  as `expected_loss`; inputs that are all zero
template <class T>
T best_step(const DriftingTask<T>& task, const T& decay) {
  return detail::step_loss("best_step", task, decay).best("best_step");
}

/// The decay of least loss when each decay has its best step, in terms of r = 1 - p and c = (m4 + (f - 1) s2^2) / s2^2:
///     L* = h - sqrt(h^2 - 1),   h = (c (1 + r^2) - 2 r^2) / (2 r (c - 1))
/// the smaller root of a quadratic whose roots are reciprocal. It lies below r, and nearer to r for larger c. Computed
/// without cancellation from h - 1 = p (c p + 2 r) / (2 r (c - 1)): accurate to four units in the last place for the
/// rounded c and every p. At most the largest number below 1.
/// Source  docs/theory.md, (9b)
/// Errors  as `expected_loss`; inputs that are all zero
template <class T>
T best_decay(const DriftingTask<T>& task) {
  using std::sqrt;
  detail::step_loss("best_decay", task, T(0)).best("best_decay");
  const T s2 = task.inputs.variance, r = T(1) - task.change;
  const T c = (task.inputs.fourth + static_cast<T>(task.features - 1) * s2 * s2) / (s2 * s2);
  const T twice = T(2) * r * (c - T(1)), excess = task.change * (c * task.change + T(2) * r);  // (h - 1) twice
  if (!(twice > T(0))) return T(0);
  const T L = twice / (twice + excess + sqrt(excess * (excess + T(2) * twice)));
  return (std::min)(L, T(1) - std::numeric_limits<T>::epsilon() / T(2));
}

/// A context of noiseless pairs y_t = W*_t x_t and a query. The map is redrawn with probability `change` before each
/// pair but the first, and before the query: a `DriftingTask` of finite length, the tasks of `DriftingRegression`.
template <class T = double>
struct DriftingContext {
  Index features;            ///< f
  Index context;             ///< N
  T change;                  ///< p, in [0, 1]
  InputMoments<T> inputs;    ///< of every coordinate
  T weight_variance = T(1);  ///< w2
};

namespace detail {

/// The parts of (9c): b_k = r^(k+1), and (Q w)_k for weights w, Q_jk = r^|j-k| + (c - 1) [j = k].
template <class T>
class AgedPairs {
 public:
  AgedPairs(const char* where, const DriftingContext<T>& task) : n_(static_cast<std::size_t>(task.context)) {
    expect_positive(where, "features", task.features);
    expect_positive(where, "context", task.context);
    expect_moments(where, task.inputs);
    expect_variance(where, "weight variance", task.weight_variance);
    if (!(task.change >= T(0) && task.change <= T(1)))
      refuse(where, "the probability of a change is ", task.change, ", expected 0 to 1");
    if (!(task.inputs.variance > T(0))) refuse(where, "the inputs are all zero, expected ones that vary");
    const T s2 = task.inputs.variance, r = T(1) - task.change;
    own = task.inputs.fourth / (s2 * s2) + static_cast<T>(task.features - 1);
    kept.assign(n_ + 1, T(1));
    for (std::size_t k = 0; k < n_; ++k) kept[k + 1] = kept[k] * r;
  }

  std::size_t size() const { return n_; }
  T b(std::size_t k) const { return kept[k + 1]; }
  T Q(std::size_t j, std::size_t k) const { return j == k ? own : kept[j < k ? k - j : j - k]; }

  /// b^T w and w^T Q w.
  template <class Weight>
  std::pair<T, T> forms(const Weight& w) const {
    T linear = T(0), quadratic = T(0);
    for (std::size_t j = 0; j < n_; ++j) {
      linear += b(j) * w(j);
      for (std::size_t k = 0; k < n_; ++k) quadratic += w(j) * Q(j, k) * w(k);
    }
    return {linear, quadratic};
  }
  std::pair<T, T> discounted(const T& decay) const {
    std::vector<T> powers(n_, T(1));
    for (std::size_t k = 1; k < n_; ++k) powers[k] = powers[k - 1] * decay;
    return forms([&](std::size_t k) { return powers[k]; });
  }

 private:
  std::size_t n_;
  T own;                // c
  std::vector<T> kept;  // powers of r
};

template <class T>
StepLoss<T> step_loss(const char* where, const DriftingContext<T>& task, const T& decay) {
  const AgedPairs<T> pairs(where, task);
  if (!(decay >= T(0) && decay <= T(1))) refuse(where, "decay is ", decay, ", expected 0 <= decay <= 1");
  const T s2 = task.inputs.variance, scale = task.weight_variance * static_cast<T>(task.features) * s2;
  const auto [linear, quadratic] = pairs.discounted(decay);
  return {.constant = scale, .linear = scale * s2 * linear, .quadratic = scale * s2 * s2 * quadratic};
}

}  // namespace detail

/// The loss per output of yhat = sum_k w_k y_{N-k} x_{N-k}^T q, where k = 0..N-1 is the age of a pair. With r = 1 - p,
/// c = (m4 + (f - 1) s2^2) / s2^2, b_k = r^(k+1) and Q_jk = r^|j-k| + (c - 1) [j = k] it is
///     1/2 w2 s2 f (1 - 2 s2 b^T w + s2^2 w^T Q w)                                                  (9c)
/// Source  docs/theory.md, (9c)
/// Errors  std::invalid_argument: p not in [0, 1], impossible moments, inputs that are all zero, a number of weights
///         other than the number of pairs
template <class T>
T expected_loss(const DriftingContext<T>& task, const std::vector<T>& weights) {
  const detail::AgedPairs<T> pairs("expected_loss", task);
  expect_equal("expected_loss", "the number of weights", weights.size(), pairs.size());
  const auto [linear, quadratic] = pairs.forms([&](std::size_t k) { return weights[k]; });
  const T s2 = task.inputs.variance, scale = task.weight_variance * static_cast<T>(task.features) * s2;
  return scale * (T(1) - T(2) * s2 * linear + s2 * s2 * quadratic) / T(2);
}

/// The same for `discounted_step`, with w_k = a L^k.
/// Errors  the same, and L not in [0, 1], a step that is not finite
template <class T>
T expected_loss(const DriftingContext<T>& task, const T& step, const T& decay) {
  return detail::step_loss("expected_loss", task, decay).at("expected_loss", step);
}

/// The step of least loss at a decay.
/// Errors  as `expected_loss`
template <class T>
T best_step(const DriftingContext<T>& task, const T& decay) {
  return detail::step_loss("best_step", task, decay).best("best_step");
}

/// The decay of least loss when each decay has its best step, by golden-section search on [0, 1]: to about 1e-8, or as
/// far as rounding resolves the difference in loss. 1 when the map never changes, else below 1 (theorem below (9c)).
/// Errors  as `expected_loss`
template <class T>
T best_decay(const DriftingContext<T>& task) {
  const detail::AgedPairs<T> pairs("best_decay", task);
  if (task.change == T(0)) return T(1);
  if (task.change == T(1)) return T(0);
  const auto gain = [&](T decay) {
    const auto [linear, quadratic] = pairs.discounted(decay);
    return linear * linear / quadratic;
  };
  const T ratio(0.61803398874989485), width = (std::max)(T(1e-9), 4 * std::numeric_limits<T>::epsilon());
  T low(0), high(1);
  while (high - low > width) {
    const T left = high - ratio * (high - low), right = low + ratio * (high - low);
    if (gain(left) < gain(right))
      low = left;
    else
      high = right;
  }
  return (low + high) / 2;
}

/// The weights of least loss among all weights: Q^-1 b / s2, with b and Q as in (9c). No decay does better.
/// Errors  as `expected_loss`
template <class T>
std::vector<T> best_weights(const DriftingContext<T>& task) {
  const detail::AgedPairs<T> pairs("best_weights", task);
  const auto n = static_cast<Index>(pairs.size());
  Eigen::MatrixX<T> Q(n, n);
  Eigen::VectorX<T> b(n);
  for (Index j = 0; j < n; ++j) {
    b[j] = pairs.b(static_cast<std::size_t>(j));
    for (Index k = 0; k < n; ++k) Q(j, k) = pairs.Q(static_cast<std::size_t>(j), static_cast<std::size_t>(k));
  }
  const Eigen::VectorX<T> w = Q.llt().solve(b) / task.inputs.variance;
  return {w.begin(), w.end()};
}

/// `gradient_step` with the decay L in every entry: the state is minus the gradient of a discounted loss, which weighs
/// the pair k windows ago by L^k,
///     Z_t^T = sum_{i<=t} L^(t-i) y_i x_i^T,   yhat_t = a Z_t^T x_{t+1}                                (7), L in (0, 1]
/// Source  docs/theory.md, closed form
/// Errors  std::invalid_argument: a decay that is not in (0, 1]
template <class T, Index F, Index Width, Index Stride, class Discretization, class Gate>
auto discounted_step(const AugmentedSsm<LocalAttention<F, Width, Stride>, DiagonalRecurrence<F, F, Discretization>,
                                        Readout<F>, Gate>& layer,
                     const T& step, const T& decay) {
  if (!(decay > T(0) && decay <= T(1))) refuse("discounted_step", "decay is ", decay, ", expected 0 < decay <= 1");
  auto p = gradient_step(layer, step);
  p.recurrence.Lambda.setConstant(Discretization::Lambda(decay));
  return p;
}

/// The theory's description (9c) of drifting tasks, for `best_decay`, `best_step` and `expected_loss`.
/// Errors  std::invalid_argument: tasks that refuse their own options; noise, distractors or unequal scales
template <class Tasks>
requires std::is_same_v<Tasks, DriftingRegression> DriftingContext<double> theory_of(const Tasks& tasks) {
  tasks.check();
  const LinearTask<double> task = theory_of(tasks.regression);
  if (task.noise_variance > 0 || task.distractors > 0)
    refuse("theory_of", "drifting tasks have noise or distractors, expected neither");
  return {task.features, task.context, tasks.change, task.inputs, task.weight_variance};
}

}  // namespace gdssm
