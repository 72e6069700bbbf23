// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/algorithms/accumulators.hpp"
#include "gdssm/algorithms/descent.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/classes.hpp"
#include "gdssm/learners/learner.hpp"

// Classifiers that descend on the cross-entropy (13b) of the rows so far, from W_0 = 0, and predict softmax(W x):
//
//     SoftmaxStep      one step. The gradient at 0 is -sum_i (y_i - 1/c) x_i^T, so that two sums are enough: this is
//                      what the layer under (7) computes on centred labels.
//     SoftmaxDescent   K steps, on the last n rows, which are kept: away from 0 no sums are sufficient.
//
// Steps have the size a = 2 / u, with u a bound on the largest eigenvalue of S = sum_i x_i x_i^T: as the Hessian is at
// most S / 2, each step descends. Inputs should be of one unit and have an intercept among them, as from
// `WithScaledInputs`.

namespace gdssm {

namespace detail {

/// z <- softmax(z), without overflow; NaN counts as the least logit.
template <class T>
void to_probabilities(Eigen::VectorX<T>& z) {
  for (T& logit : z) logit = saturated(logit, T(-largest_input<T>));
  z.array() = (z.array() - z.maxCoeff()).exp();
  z /= z.sum();
}

}  // namespace detail

/// The state of `SoftmaxStep`.
template <class T>
struct SoftmaxStepState : Accumulators<T> {
  Count<T> rows = Count<T>::Zero();  ///< labels observed
  Eigen::VectorX<T> sum;             ///< sum_i L^(t-i) x_i (f)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    Accumulators<T>::visit(visitor, self...);
    visitor(Name{"sum"}, self.sum...);
  }
  friend bool operator==(const SoftmaxStepState& a, const SoftmaxStepState& b) { return identical(a, b); }
};

/// One step of gradient descent on the cross-entropy,
///     (66)  p = softmax(a (M - 1/c 1 s^T) q),     M = sum_i L^(t-i) y_i x_i^T,   s = sum_i L^(t-i) x_i,   a = b / u.
/// Shapes  x (f), y and prediction (c); cost f (f + c) a row
/// Errors  those of `RegressionLearner`; a target that is no label
template <class T = double>
class SoftmaxStep : public LearnerBase<SoftmaxStep<T>, T>, public StateBase<SoftmaxStep<T>, SoftmaxStepState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "SoftmaxStep";

  struct Settings {
    T size = T(2);   ///< b, at least 0; steps up to 4 descend
    T decay = T(1);  ///< L, in (0, 1]
  };

  SoftmaxStep(Index inputs, Index classes, Settings settings = {})
      : LearnerBase<SoftmaxStep, T>(inputs, classes), settings_(settings) {
    detail::expect_at_least_zero(name, "size", settings.size);
    detail::expect_decay(name, settings.decay);
    state_.start(inputs, classes);
    state_.sum.setZero(inputs);
    prediction_.setZero(classes);
  }

  const Vector& predict_valid(const Vector& q) {
    prediction_.setZero();
    const T u = largest_eigenvalue_bound(state_.S);
    if (u * T(largest_input<T>) >= T(1)) {
      prediction_.noalias() = state_.M * q;
      prediction_.array() -= state_.sum.dot(q) / static_cast<T>(prediction_.size());
      prediction_ *= settings_.size / u;
    }
    detail::to_probabilities(prediction_);
    return prediction_;
  }
  void observe_valid(const Vector& x, const Vector& y) {
    detail::expect_label(name, y);
    state_.absorb(x, y, settings_.decay);
    state_.sum = settings_.decay * state_.sum + x;
    state_.rows[0] += 1;
  }
  void merge_valid(const SoftmaxStepState<T>& later) {
    const T L = detail::power(settings_.decay, later.rows[0]);
    state_.Accumulators<T>::merge(later, L);
    state_.sum = L * state_.sum + later.sum;
    state_.rows += later.rows;
  }

 private:
  using StateBase<SoftmaxStep, SoftmaxStepState<T>, T>::state_;

  Settings settings_;
  Vector prediction_;
};

/// The state of `SoftmaxDescent`.
template <class T>
struct SoftmaxDescentState {
  Count<T> rows = Count<T>::Zero();  ///< labels observed
  Eigen::MatrixX<T> inputs, labels;  ///< the last n rows (f x n, c x n), row t in column t mod n

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{.head = "inputs", .degree = 1}, self.inputs...);
    visitor(Name{.head = "labels", .degree = 1}, self.labels...);
  }
  friend bool operator==(const SoftmaxDescentState& a, const SoftmaxDescentState& b) { return identical(a, b); }
};

/// K steps of gradient descent on the cross-entropy of the last n rows with the penalty rho/2 |W|^2, from W = 0:
///     (67)  W <- W - a (sum_i (softmax(W x_i) - y_i) x_i^T + rho W),     a = 1 / (u / 2 + rho),
/// `descend_on_cross_entropy` with equal steps.
/// Shapes  x (f), y and prediction (c), memory n (f + c); cost 2 K n f c where a label has come since the last
///         prediction, else f c
/// Errors  those of `RegressionLearner`; a window below 1; a target that is no label
template <class T = double>
class SoftmaxDescent : public LearnerBase<SoftmaxDescent<T>, T>,
                       public StateBase<SoftmaxDescent<T>, SoftmaxDescentState<T>, T> {
  using Memory = StateBase<SoftmaxDescent, SoftmaxDescentState<T>, T>;

 public:
  using Vector = Eigen::VectorX<T>;
  using State = SoftmaxDescentState<T>;
  static constexpr auto name = "SoftmaxDescent";

  struct Settings {
    Index steps = 10;    ///< K, at least 0
    Index window = 100;  ///< n, at least 1
    T ridge = T(1);      ///< rho, at least 0
  };

  SoftmaxDescent(Index inputs, Index classes, Settings settings = {})
      : LearnerBase<SoftmaxDescent, T>(inputs, classes), settings_(settings) {
    if (settings.steps < 0) refuse(name, "steps is ", settings.steps, ", expected at least 0");
    if (settings.window < 1) refuse(name, "window is ", settings.window, ", expected at least 1");
    detail::expect_at_least_zero(name, "ridge", settings.ridge);
    state_.inputs.setZero(inputs, settings.window);
    state_.labels.setZero(classes, settings.window);
    W_ = gradient_ = Eigen::MatrixX<T>::Zero(classes, inputs);
    S_ = Eigen::MatrixX<T>::Zero(inputs, inputs);
    prediction_ = residual_ = Vector::Zero(classes);
  }

  const Vector& predict_valid(const Vector& x) {
    if (!is_fitted_) fit();
    prediction_.noalias() = W_ * x;
    detail::to_probabilities(prediction_);
    return prediction_;
  }
  void observe_valid(const Vector& x, const Vector& y) {
    detail::expect_label(name, y);
    const auto at = static_cast<Index>(std::fmod(state_.rows[0], static_cast<double>(settings_.window)));
    state_.inputs.col(at) = x;
    state_.labels.col(at) = y;
    state_.rows[0] += 1;
    is_fitted_ = false;
  }

  void set_state(const State& state) {
    Memory::set_state(state);
    is_fitted_ = false;
  }
  /// Observes the rows that `later` has kept.
  void merge_valid(const State& later) {
    const Index kept = rows_of(later),
                end = static_cast<Index>(std::fmod(later.rows[0], static_cast<double>(settings_.window)));
    for (Index i = 0; i < kept; ++i) {
      const Index at = (end - kept + i + settings_.window) % settings_.window;
      observe_valid(later.inputs.col(at), later.labels.col(at));
    }
  }

  /// Refuses counts that are not whole, and labels that are none.
  static void expect_valid(const State& state) {
    if (state.rows[0] != std::floor(state.rows[0]))
      refuse(name, "set_state: rows is ", state.rows[0], ", expected a whole number");
    if (state.labels.size() > 0 && !(state.labels.minCoeff() >= T(0)))
      refuse(name, "set_state: labels has the entry ", state.labels.minCoeff(), ", expected at least 0");
  }

 private:
  using Memory::state_;

  static Index rows_of(const State& state) {
    return static_cast<Index>((std::min)(state.rows[0], static_cast<Counter<T>>(state.inputs.cols())));
  }

  void fit() {
    const Index rows = rows_of(state_);
    S_.setZero();
    for (Index i = 0; i < rows; ++i) S_.noalias() += state_.inputs.col(i) * state_.inputs.col(i).transpose();
    const T most = largest_eigenvalue_bound(S_) / T(2) + settings_.ridge;
    W_.setZero();
    is_fitted_ = true;
    if (!(most * T(largest_input<T>) >= T(1))) return;
    for (Index k = 0; k < settings_.steps; ++k) {
      gradient_ = settings_.ridge * W_;
      for (Index i = 0; i < rows; ++i) {
        residual_.noalias() = W_ * state_.inputs.col(i);
        detail::to_probabilities(residual_);
        residual_ -= state_.labels.col(i);
        gradient_.noalias() += residual_ * state_.inputs.col(i).transpose();
      }
      W_ -= gradient_ / most;
    }
  }

  Settings settings_;
  bool is_fitted_ = true;  // whether W_ belongs to the rows that are kept
  Eigen::MatrixX<T> W_, gradient_, S_;
  Vector residual_, prediction_;
};

}  // namespace gdssm
