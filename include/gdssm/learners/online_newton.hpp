// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/classes.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/softmax_learner.hpp"

namespace gdssm {

/// The state of `OnlineNewton`.
template <class T>
struct OnlineNewtonState {
  Count<T> rows = Count<T>::Zero();  ///< t, labels observed
  Eigen::MatrixX<T> W;               ///< (c x f)
  Eigen::MatrixX<T> P;               ///< A_t^{-1} (f x f)
  Count<T> gap = Count<T>::Zero();   ///< 1/2 sum_i |p_i - y_i|^2 x_i^T A_i^{-1} x_i

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"W"}, self.W...);
    visitor(Name{"P"}, self.P...);
    visitor(Name{"gap"}, self.gap...);
  }
  friend bool operator==(const OnlineNewtonState& a, const OnlineNewtonState& b) { return identical(a, b); }
};

/// Logistic regression by one Newton step a row, with one matrix of curvatures for all classes:
///     (68)  p = softmax(W x),     A <- A + k x x^T,     W <- W - (p - y) x^T A^{-1},     A_0 = rho I,   W_0 = 0.
/// k is the mean curvature of the row's cross-entropy, (1 - |p|^2) / (c - 1); with two classes A is its Hessian over
/// the rows. Or k is constant. A^{-1} is updated by the Sherman-Morrison formula. On any rows and for every U,
///     (69)  sum_i l_i(W_i) - l_i(U)  <=  rho/2 |U|^2 + gap + sum_i ( k_i/2 |(U - W_i) x_i|^2 - D_i(U) ),
///           gap = 1/2 sum_i |p_i - y_i|^2 x_i^T A_i^{-1} x_i,
/// where D_i(U) >= 0 is what l_i(U) exceeds its tangent at W_i by. A constant k at most exp(-2 B) / c makes the last
/// sum at most 0 for logits of magnitude at most B, and the gap grows as f ln(n) / k then: O(log n).
/// Shapes   x (f), y and prediction (c); cost f (f + c) a row
/// Errors   those of `RegressionLearner`; a ridge of 0; a target that is no label
/// Merging  steps do not commute: takes over W and A of the later rows, and adds up the gaps
/// Source   Hazan, Agarwal, Kale, Machine Learning 69, 2007, without projections; docs/theory.md, other learners
template <class T = double>
class OnlineNewton : public LearnerBase<OnlineNewton<T>, T>,
                     public StateBase<OnlineNewton<T>, OnlineNewtonState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "OnlineNewton";

  struct Settings {
    T ridge = T(1);      ///< rho, above 0
    T curvature = T(0);  ///< k; 0: each row's mean curvature
  };

  OnlineNewton(Index inputs, Index classes, Settings settings = {})
      : LearnerBase<OnlineNewton, T>(inputs, classes), settings_(settings) {
    detail::expect_at_least_zero(name, "ridge", settings.ridge);
    detail::expect_at_least_zero(name, "curvature", settings.curvature);
    if (!(settings.ridge * T(largest_input<T>) >= T(1)))
      refuse(name, "ridge is ", settings.ridge, ", expected at least ", 1 / largest_input<T>);
    state_.W.setZero(classes, inputs);
    state_.P = Eigen::MatrixX<T>::Identity(inputs, inputs) / settings.ridge;
    Px_.setZero(inputs);
    prediction_ = residual_ = Vector::Zero(classes);
  }

  const Vector& predict_valid(const Vector& x) {
    probabilities(x, prediction_);
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    detail::expect_label(name, y);
    state_.rows[0] += 1;
    probabilities(x, residual_);
    const Index c = y.size();
    const T mean = c > 1 ? (T(1) - residual_.squaredNorm()) / static_cast<T>(c - 1) : T(0);
    const T k = settings_.curvature > T(0) ? settings_.curvature : (std::max)(mean, T(0));
    residual_ -= y;
    Px_.noalias() = state_.P * x;
    const T curvature = (std::max)(x.dot(Px_), T(0)), shrunk = T(1) + k * curvature;
    if (!(shrunk - shrunk == T(0))) return;  // a row too large to take a step on
    state_.gap[0] += T(0.5) * residual_.squaredNorm() * (curvature / shrunk);
    residual_ /= shrunk;
    state_.W.noalias() -= residual_ * Px_.transpose();  // A_t^{-1} x = A_{t-1}^{-1} x / shrunk
    Px_ *= std::sqrt(k / shrunk);
    state_.P.noalias() -= Px_ * Px_.transpose();
  }

  /// (69) without its last sum: by how much the loss may exceed that of a U with this square norm.
  Counter<T> regret_bound(T squared_norm) const { return settings_.ridge / T(2) * squared_norm + state_.gap[0]; }

  void merge_valid(const OnlineNewtonState<T>& later) {
    if (later.rows[0] > 0) {
      state_.W = later.W;
      state_.P = later.P;
    }
    state_.gap += later.gap;
    state_.rows += later.rows;
  }

 private:
  using StateBase<OnlineNewton, OnlineNewtonState<T>, T>::state_;

  void probabilities(const Vector& x, Vector& p) const {
    p.noalias() = state_.W * x;
    detail::to_probabilities(p);
  }

  Settings settings_;
  Vector Px_, residual_, prediction_;
};

}  // namespace gdssm
