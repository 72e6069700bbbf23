// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Learners that keep a map W and no sums: each pair moves it by one step along its own error,
//
//     W <- L W,     W <- W - a_t (W x - y) x^T,                          (section 12 of docs/theory.md)
//
// with L = 1 unless forgetting is asked for, and a_t what distinguishes them. After the step the error on that pair is
// (1 - a_t |x|^2) times what it was; none of the three ever lets this factor's magnitude exceed 1, so that no stream
// makes them diverge. They take inputs as they come: `WithScaling` centres and scales them.

namespace gdssm {

/// a_t = min(a, 1 / |x|^2): the stochastic gradient step of DeltaNet, which ends where the error would change its sign.
/// Source  Widrow, Hoff 1960; arXiv:2102.11174
template <class T>
struct DeltaStep {
  T a = T(0.1);  ///< the step

  void expect_valid(const char* name) const { detail::expect_at_least_zero(name, "a", a); }
  T operator()(const T& squared_norm) const { return a * squared_norm <= T(1) ? a : T(1) / squared_norm; }
};

/// a_t = a / (1 + a |x|^2): the step that minimises 1/2 |W' - W|^2 + a/2 |W' x - y|^2, Longhorn's.
/// Source  arXiv:2407.14207
template <class T>
struct ImplicitStep {
  T a = T(1);  ///< the step

  void expect_valid(const char* name) const { detail::expect_at_least_zero(name, "a", a); }
  T operator()(const T& squared_norm) const { return a / (T(1) + a * squared_norm); }
};

/// a_t = a / (epsilon + |x|^2), 0 <= a < 2: normalised least mean squares, on which the scale of x has no influence.
/// Source  Nagumo, Noda, IEEE Transactions on Automatic Control 12, 1967
template <class T>
struct NormalisedStep {
  T a = T(0.5);      ///< the share of the residual that a step takes away
  T epsilon = T(0);  ///< 0 or more

  void expect_valid(const char* name) const {
    if (!(a >= T(0)) || !(a < T(2))) refuse(name, "a is ", a, ", expected at least 0 and below 2");
    detail::expect_at_least_zero(name, "epsilon", epsilon);
  }
  T operator()(const T& squared_norm) const {
    const T length = epsilon + squared_norm;
    // An input this small says nothing, and dividing by less would overflow.
    if constexpr (std::is_floating_point_v<T>)
      return length * T(largest_input<T>) * T(largest_input<T>) >= T(1) ? a / length : T(0);
    else
      return length > T(0) ? a / length : T(0);
  }
};

/// W <- L W - a_t (L W x - y) x^T, with `Step` giving a_t; the prediction is W x, from W = 0.
/// Shapes  x (f), y (m), W (m x f); cost f m a pair and a prediction
/// Errors  those of `RegressionLearner`
template <template <class> class Step, class T = double>
class DeltaRule {
 public:
  using Scalar = T;
  using Vector = Eigen::VectorX<T>;

  struct State {
    Eigen::Matrix<Counter<T>, 1, 1> rows;  ///< pairs observed
    Eigen::MatrixX<T> W;                   ///< (m x f)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"W"}, self.W...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  DeltaRule(Index inputs, Index targets, Step<T> step = {}, T decay = T(1)) : step_(step), decay_(decay) {
    detail::expect_sizes(name, inputs, targets);
    detail::expect_decay(name, decay);
    step.expect_valid(name);
    state_.rows.setConstant(Counter<T>(0));
    state_.W.setConstant(targets, inputs, T(0));
    x_.setConstant(inputs, T(0));
    error_ = prediction_ = Vector::Constant(targets, T(0));
  }

  Index input_count() const { return state_.W.cols(); }
  Index target_count() const { return state_.W.rows(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, input_count());
    x_ = x;
    multiply(prediction_);
    return prediction_;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    x_ = x;
    if (!(decay_ == T(1))) state_.W *= decay_;
    multiply(error_);
    error_ -= y;
    error_ *= step_(T(x_.squaredNorm()));
    state_.W.noalias() -= error_ * x_.transpose();
    state_.rows[0] += Counter<T>(1);
  }

  const State& state() const { return state_; }
  void set_state(const State& state) {
    detail::expect_state(name, state_, state);
    state_ = state;
  }
  /// The order of the steps matters, and `later` took the last ones: its W, unless it has seen nothing.
  void merge(const State& later) {
    detail::expect_state(name, state_, later);
    if (later.rows[0] > Counter<T>(0)) state_.W = later.W;
    state_.rows += later.rows;
  }

 private:
  static constexpr auto name = "DeltaRule";

  void multiply(Vector& product) const {
    product.noalias() = state_.W * x_;
    for (Index i = 0; i < product.size(); ++i) product[i] = detail::saturated(product[i]);
  }

  Step<T> step_;
  T decay_;
  State state_;
  Vector x_, error_, prediction_;
};

/// W - a (W x - y) x^T, the step no longer than reaches the target: DeltaNet's rule.
template <class T = double>
using DeltaLearner = DeltaRule<DeltaStep, T>;

/// The same by the implicit step, Longhorn's rule.
template <class T = double>
using LonghornLearner = DeltaRule<ImplicitStep, T>;

/// Normalised least mean squares: a step takes away a share of the residual.
template <class T = double>
using NlmsLearner = DeltaRule<NormalisedStep, T>;

}  // namespace gdssm
