// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <type_traits>

#include "gdssm/core/elementary.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// Squared error against given targets, as `vjp` wants it: 1/2 |yhat - y|^2 scale, its gradient (yhat - y) scale, at
/// each of k windows; summed over windows in `value`, lane by lane. `scale` is 1 / (batch x outputs) for vector
/// targets, 1 / batch for scalar ones, of which only the last coordinate counts.
/// Shapes  targets (m x k), column j for the j-th of the last k windows; predictions (m)
template <class S, class Kind = VectorTargets>
class SquaredError {
 public:
  /// `present` (k entries, or absent): zeros in the lanes and windows that bear no loss.
  SquaredError(View<const S> targets, LaneScalar<S> scale, View<const S> present = View<const S>::absent())
      : targets_(targets), scale_(scale), present_(present) {}

  /// Adds the loss of prediction j; its derivative replaces what is in g.
  template <Index Outputs>
  void operator()(Index j, View<const S, Outputs, 1> prediction, View<S, Outputs, 1> g) {
    const Index m = prediction.size();
    const S scale = present_.present() ? present_[j] * S(scale_) : S(scale_);
    for (Index i = 0; i < m; ++i) g[i] = S(0);
    for (Index i = std::is_same_v<Kind, ScalarTargets> ? m - 1 : 0; i < m; ++i) {
      const S error = prediction[i] - targets_(i, j);
      g[i] = scale * error;
      value_ = multiply_add(S(LaneScalar<S>(1) / LaneScalar<S>(2)) * g[i], error, value_);
    }
  }

  /// The loss so far, a sum over the windows for each lane.
  const S& value() const { return value_; }

  /// Over how many numbers a window's loss is a mean, when the model has m outputs.
  static Index averaged_over(Index m) { return std::is_same_v<Kind, ScalarTargets> ? 1 : m; }

 private:
  View<const S> targets_;
  LaneScalar<S> scale_;
  View<const S> present_;
  S value_ = S(0);
};

/// Cross-entropy of the classes' probabilities p with those that logits yhat stand for, softmax(yhat):
///     (log sum_k exp yhat_k - sum_k p_k yhat_k) scale,   its gradient (softmax(yhat) - p) scale            (13a)
/// at each of k windows, as `vjp` wants it; summed over windows in `value`, lane by lane. Without overflow: the
/// logarithm of the sum is built up by softplus, class by class. No class has a probability above 1 in floating point
/// either, so that the loss is at least 0 for p >= 0.
/// Shapes  targets (m x k), predictions (m), m >= Classes; in rows beyond the classes the gradient is zero
/// Errors  std::invalid_argument: fewer rows than classes
template <class S, Index Classes>
class CrossEntropy {
 public:
  /// `present` (k entries, or absent): zeros in the lanes and windows that bear no loss.
  CrossEntropy(View<const S> targets, LaneScalar<S> scale, View<const S> present = View<const S>::absent())
      : targets_(targets), scale_(scale), present_(present) {
    if (targets.rows() < Classes)
      refuse("CrossEntropy", "the targets have ", targets.rows(), " rows, expected at least ", Classes,
             ", one for each class");
  }

  /// Window j's loss (13a), which is added to `value`, and its gradient g = (softmax(yhat) - p) scale.
  /// Shapes  prediction and g (m); g is overwritten, in rows beyond the classes with zero
  template <Index Outputs>
  void operator()(Index j, View<const S, Outputs, 1> prediction, View<S, Outputs, 1> g) {
    using std::exp;
    const S scale = present_.present() ? present_[j] * S(scale_) : S(scale_);
    // log(e^a + e^b) = a + softplus(b - a), which rounding may put below b, where it cannot be.
    S log_sum = prediction[0];
    for (Index k = 1; k < Classes; ++k) log_sum = larger(log_sum + softplus(prediction[k] - log_sum), S(prediction[k]));
    for (Index i = Classes; i < g.size(); ++i) g[i] = S(0);
    for (Index k = 0; k < Classes; ++k) {
      const S surprise = log_sum - prediction[k];
      value_ = multiply_add(scale * targets_(k, j), surprise, value_);
      g[k] = scale * (exp(-surprise) - targets_(k, j));
    }
  }

  /// The loss so far, a sum over the windows for each lane.
  const S& value() const { return value_; }

  /// Over how many numbers a window's loss is a mean.
  static Index averaged_over(Index) { return 1; }

 private:
  View<const S> targets_;
  LaneScalar<S> scale_;
  View<const S> present_;
  S value_ = S(0);
};

namespace detail {

template <class S, class Kind>
struct LossOf {
  using Type = SquaredError<S, Kind>;
};
template <class S, Index Classes>
struct LossOf<S, ClassTargets<Classes>> {
  using Type = CrossEntropy<S, Classes>;
};

}  // namespace detail

/// The loss that belongs to a kind of targets: `SquaredError`, for classes `CrossEntropy`.
template <class S, class Kind>
using Loss = typename detail::LossOf<S, Kind>::Type;

}  // namespace gdssm
