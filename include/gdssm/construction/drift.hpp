// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/construction/gradient_step.hpp"
#include "gdssm/construction/step_size.hpp"

// The closed form with a decay below 1, which forgets: what it loses on an endless stream whose map changes now and
// then, and the decay that is best.

namespace gdssm {

/// An endless stream of noiseless pairs y_t = W*_t x_t. Before each pair the map is drawn anew with probability
/// `change`, all maps independent with entries of mean zero and variance w2; input coordinates as in `LinearTask`.
template <class T = double>
struct DriftingTask {
  Index features;            ///< f
  T change;                  ///< p, in (0, 1]
  InputMoments<T> inputs;    ///< of every coordinate
  T weight_variance = T(1);  ///< w2
};

namespace detail {

/// The loss as a parabola in the step, at one decay; r = 1 - p is the probability that the map outlives a pair.
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

/// The loss per output of yhat = a Z q, Z = sum_k L^k y_{t-k} x_{t-k}^T over the endless past, at the next pair; with
/// r = 1 - p
///     1/2 w2 s2 f [ 1 - 2 a s2 r / (1 - L r) + a^2 (m4 + (f - 1) s2^2 + 2 s2^2 L r / (1 - L r)) / (1 - L^2) ]     (9a)
/// Source  docs/theory.md, (9a)
/// Errors  std::invalid_argument: p not in (0, 1], L not in [0, 1), moments that are none, a step that isn't finite
template <class T>
T expected_loss(const DriftingTask<T>& task, const T& step, const T& decay) {
  return detail::step_loss("expected_loss", task, decay).at("expected_loss", step);
}

/// The step that loses least at a decay.
/// Errors  as `expected_loss`; inputs that are all zero
template <class T>
T best_step(const DriftingTask<T>& task, const T& decay) {
  return detail::step_loss("best_step", task, decay).best("best_step");
}

/// The decay that loses least when each has its best step, in terms of r = 1 - p and c = (m4 + (f - 1) s2^2) / s2^2:
///     L* = h - sqrt(h^2 - 1),   h = (c (1 + r^2) - 2 r^2) / (2 r (c - 1))
/// the smaller root of a quadratic whose roots are each other's reciprocals. Below r, and nearer to it the larger c is.
/// Source  docs/theory.md, (9b)
/// Errors  as `expected_loss`; inputs that are all zero
template <class T>
T best_decay(const DriftingTask<T>& task) {
  using std::sqrt;
  detail::step_loss("best_decay", task, T(0)).best("best_decay");
  const T s2 = task.inputs.variance, r = T(1) - task.change;
  const T c = (task.inputs.fourth + static_cast<T>(task.features - 1) * s2 * s2) / (s2 * s2);
  const T twice = T(2) * r * (c - T(1)), sum = c * (T(1) + r * r) - T(2) * r * r;
  if (!(twice > T(0))) return T(0);
  return twice / (sum + sqrt((sum - twice) * (sum + twice)));
}

/// `gradient_step` with every decay L: the state is minus the gradient of a discounted loss, which weighs the pair k
/// windows ago by L^k,
///     Z_t^T = sum_{i<=t} L^(t-i) y_i x_i^T,   yhat_t = a Z_t^T x_{t+1}                                (7), L in (0, 1]
/// Source  docs/theory.md, the state as a value
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

}  // namespace gdssm
