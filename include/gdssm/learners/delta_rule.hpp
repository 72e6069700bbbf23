// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Learners that store a matrix W and no sums. Each pair moves W by one step along the error on that pair,
//
//     W <- L W,     W <- W - a_t (W x - y) x^T,                          (section 12 of docs/theory.md)
//
// where L = 1 unless a decay is given, and a_t depends on the learner. The step multiplies the error on that pair by
// (1 - a_t |x|^2). For all three learners the magnitude of this factor is at most 1, so no stream makes them diverge.
// They do not scale their inputs; `WithScaling` centres and scales them.

namespace gdssm {

/// a_t = min(a, 1 / |x|^2): the stochastic gradient step of DeltaNet, shortened where it would overshoot the target.
/// Source  Widrow, Hoff 1960; arXiv:2102.11174
template <class T>
struct DeltaStep {
  T a = T(0.1);  ///< the step size

  /// Refuses a step size that is negative or not finite.
  void expect_valid(const char* name) const { detail::expect_at_least_zero(name, "a", a); }
  T operator()(const T& squared_norm) const { return a * squared_norm <= T(1) ? a : T(1) / squared_norm; }
};

/// a_t = a / (1 + a |x|^2): Longhorn's step, which minimises 1/2 |W' - W|^2 + a/2 |W' x - y|^2.
/// Source  arXiv:2407.14207
template <class T>
struct ImplicitStep {
  T a = T(1);  ///< the step size

  /// Refuses a step size that is negative or not finite.
  void expect_valid(const char* name) const { detail::expect_at_least_zero(name, "a", a); }
  T operator()(const T& squared_norm) const { return a / (T(1) + a * squared_norm); }
};

/// a_t = a / (epsilon + |x|^2), 0 <= a < 2: normalised least mean squares, which does not depend on the scale of x.
/// Source  Nagumo, Noda, IEEE Transactions on Automatic Control 12, 1967
template <class T>
struct NormalisedStep {
  T a = T(0.5);      ///< the share of the residual that a step removes
  T epsilon = T(0);  ///< at least 0

  /// Refuses an a outside [0, 2) and a negative epsilon.
  void expect_valid(const char* name) const {
    if (!(a >= T(0)) || !(a < T(2))) refuse(name, "a is ", a, ", expected at least 0 and below 2");
    detail::expect_at_least_zero(name, "epsilon", epsilon);
  }
  T operator()(const T& squared_norm) const {
    const T length = epsilon + squared_norm;
    // Inputs this small carry no information, and dividing by less would overflow.
    if constexpr (std::is_floating_point_v<T>)
      return length * T(largest_input<T>) * T(largest_input<T>) >= T(1) ? a / length : T(0);
    else
      return length > T(0) ? a / length : T(0);
  }
};

/// The state of `DeltaRule`.
template <class T>
struct DeltaRuleState {
  Count<T> rows = Count<T>::Zero();  ///< pairs observed
  Eigen::MatrixX<T> W;               ///< (m x f)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"W"}, self.W...);
  }
  friend bool operator==(const DeltaRuleState& a, const DeltaRuleState& b) { return identical(a, b); }
};

/// W <- L W - a_t (L W x - y) x^T, with a_t given by `Step`; the prediction is W x, and W starts at 0.
/// Shapes  x (f), y (m), W (m x f); cost f m a pair and a prediction
/// Errors  those of `RegressionLearner`
template <template <class> class Step, class T = double>
class DeltaRule : public LearnerBase<DeltaRule<Step, T>, T>,
                  public StateBase<DeltaRule<Step, T>, DeltaRuleState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "DeltaRule";

  DeltaRule(Index inputs, Index targets, Step<T> step = {}, T decay = T(1))
      : LearnerBase<DeltaRule, T>(inputs, targets), step_(step), decay_(decay) {
    detail::expect_decay(name, decay);
    step.expect_valid(name);
    state_.W.setConstant(targets, inputs, T(0));
    error_ = prediction_ = Vector::Constant(targets, T(0));
  }

  const Vector& predict_valid(const Vector& x) {
    multiply(x, prediction_);
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    if (!(decay_ == T(1))) state_.W *= decay_;
    multiply(x, error_);
    error_ -= y;
    error_ *= step_(T(x.squaredNorm()));
    state_.W.noalias() -= error_ * x.transpose();
    state_.rows[0] += Counter<T>(1);
  }

  /// Steps do not commute, and `later` took the last ones: takes over its W, unless it has seen no pairs.
  void merge_valid(const DeltaRuleState<T>& later) {
    if (later.rows[0] > Counter<T>(0)) state_.W = later.W;
    state_.rows += later.rows;
  }

 private:
  using StateBase<DeltaRule, DeltaRuleState<T>, T>::state_;

  void multiply(const Vector& x, Vector& product) const {
    product.noalias() = state_.W * x;
    for (Index i = 0; i < product.size(); ++i) product[i] = detail::saturated(product[i]);
  }

  Step<T> step_;
  T decay_;
  Vector error_, prediction_;
};

/// DeltaNet's rule: W - a (W x - y) x^T, with the step shortened where it would overshoot the target.
template <class T = double>
using DeltaLearner = DeltaRule<DeltaStep, T>;

/// Longhorn's rule: the same with the implicit step.
template <class T = double>
using LonghornLearner = DeltaRule<ImplicitStep, T>;

/// Normalised least mean squares: each step removes a fixed share of the residual.
template <class T = double>
using NlmsLearner = DeltaRule<NormalisedStep, T>;

}  // namespace gdssm
