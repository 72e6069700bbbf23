// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/core/elementary.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/tasks/targets.hpp"

namespace gdssm {

/// The loss of predictions against given targets, as a `cotangent` of `vjp`. `value` is its sum over windows for each
/// lane. The squared error, over the coordinates that count, is
///     1/2 |yhat - y|^2 scale,   its gradient (yhat - y) scale.
/// The cross-entropy of logits yhat against probabilities p is
///     (log sum_k exp yhat_k - sum_k p_k yhat_k) scale,   its gradient (softmax(yhat) - p) scale            (13a)
/// It does not overflow, because softplus adds the exponentials up one by one under the logarithm. Rounding gives no
/// class a probability above 1, so the loss is at least 0 for p >= 0. The gradient is zero in coordinates that do not
/// count.
/// Shapes  targets (m x k), column j for the j-th of the last k windows; predictions (m)
/// Errors  std::invalid_argument: targets with too few coordinates, a prediction or a derivative of another length, a
///         window without a target, `present` of another length than the targets
template <class S>
class Loss {
 public:
  /// `present` (k entries, or absent) is zero in the lanes and windows without a loss.
  Loss(const Targets& kind, View<const S> targets, LaneScalar<S> scale, View<const S> present = View<const S>::absent())
      : kind_(kind), targets_(targets), scale_(scale), present_(present) {
    kind.counted(targets.rows(), "Loss");
    if (present.present()) expect_equal("Loss", "the number of losses marked present", present.size(), targets.cols());
  }

  /// Adds the loss of prediction j to `value` and writes its derivative to g.
  template <Index Outputs>
  void operator()(Index j, View<const S, Outputs, 1> prediction, View<S, Outputs, 1> g) {
    if (j < 0 || j >= targets_.cols()) refuse("Loss", "the window is ", j, ", expected 0 to ", targets_.cols() - 1);
    expect_equal("Loss", "the length of the prediction", prediction.size(), targets_.rows());
    expect_equal("Loss", "the length of the derivative", g.size(), prediction.size());
    const S scale = present_.present() ? present_[j] * S(scale_) : S(scale_);
    for (Index i = 0; i < g.size(); ++i) g[i] = S(0);
    if (kind_.loss == Targets::Loss::squared_error)
      add_squares(j, scale, prediction, g);
    else
      add_cross_entropy(j, scale, prediction, g);
  }

  /// The loss so far, summed over windows, for each lane.
  const S& value() const { return value_; }

  /// The number of coordinates over which a window's loss is a mean, for a model of m outputs.
  static Index averaged_over(const Targets& kind, Index m) {
    return kind.loss == Targets::Loss::squared_error ? kind.counted(m, "Loss") : 1;
  }

 private:
  template <Index Outputs>
  void add_squares(Index j, const S& scale, View<const S, Outputs, 1> prediction, View<S, Outputs, 1> g) {
    const Index m = prediction.size();
    for (Index i = kind_.count == 0 ? 0 : m - kind_.count; i < m; ++i) {
      const S error = prediction[i] - targets_(i, j);
      g[i] = scale * error;
      value_ = multiply_add(S(LaneScalar<S>(1) / LaneScalar<S>(2)) * g[i], error, value_);
    }
  }

  template <Index Outputs>
  void add_cross_entropy(Index j, const S& scale, View<const S, Outputs, 1> prediction, View<S, Outputs, 1> g) {
    using std::exp;
    const Index classes = kind_.count == 0 ? prediction.size() : kind_.count;
    // log(e^a + e^b) = a + softplus(b - a) is at least b, but may be rounded to less.
    S log_sum = prediction[0];
    for (Index k = 1; k < classes; ++k) log_sum = larger(log_sum + softplus(prediction[k] - log_sum), S(prediction[k]));
    for (Index k = 0; k < classes; ++k) {
      const S surprise = log_sum - prediction[k];
      value_ = multiply_add(scale * targets_(k, j), surprise, value_);
      g[k] = scale * (exp(-surprise) - targets_(k, j));
    }
  }

  Targets kind_;
  View<const S> targets_;
  LaneScalar<S> scale_;
  View<const S> present_;
  S value_ = S(0);
};

/// `Loss` of squared errors, of `VectorTargets` or `ScalarTargets`.
template <class S, class Kind = VectorTargets>
class SquaredError : public Loss<S> {
 public:
  explicit SquaredError(View<const S> targets, LaneScalar<S> scale, View<const S> present = View<const S>::absent())
      : Loss<S>(Kind(), targets, scale, present) {}
};

/// `Loss` of `Classes` classes.
template <class S, Index Classes>
class CrossEntropy : public Loss<S> {
 public:
  explicit CrossEntropy(View<const S> targets, LaneScalar<S> scale, View<const S> present = View<const S>::absent())
      : Loss<S>(ClassTargets<Classes>(), targets, scale, present) {}
};

}  // namespace gdssm
