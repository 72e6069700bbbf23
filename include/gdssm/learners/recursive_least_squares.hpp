// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "gdssm/algorithms/accumulators.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Recursive least squares updates the inverse P = H^{-1} of H_t = L H_{t-1} + x x^T by the Sherman-Morrison formula,
// with f^2 multiplications a pair. For L < 1 the textbook form forgets its penalty too: in a direction without new data
// H tends to 0, and P grows as L^-t until it overflows; before that, rounding may make P indefinite. Here
//
//     (10e)  H_t = sum_i L^(t-i) x_i x_i^T + D_t,     D_t diagonal, rho L^f <= D_t,j <= rho:
//            D_t = L D_{t-1}, and then its least entry, in one stream (t - 1) mod f, is set to rho again,
//
// which is a second rank-one step, along e_j. Hence P <= I / (rho L^f) up to rounding for any stream, also after
// merges. The state holds S = H - D too, so that P is inverted anew from S at regular intervals, and at once where the
// formula would cancel: the formula's rounding accumulates over one interval at most. The rounding of S, a sum of t
// terms, does accumulate, and an inverse amplifies it by the condition number of H in units of its diagonal. For
// columns that vary little beside their mean use `RidgeLearner`, which centres them.
// Source  Gay, IEEE ICASSP 1996 (leakage one coordinate at a time); docs/theory.md, K steps

namespace gdssm {

/// The state of `RecursiveLeastSquares`.
template <class T>
struct RecursiveLeastSquaresState : Accumulators<T> {
  Count<T> rows = Count<T>::Zero();  ///< t, pairs observed
  Eigen::VectorX<T> penalty;         ///< D_t (f)
  Eigen::MatrixX<T> P;               ///< (S + D)^{-1} (f x f)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    Accumulators<T>::visit(visitor, self...);
    visitor(Name{"penalty"}, self.penalty...);
    visitor(Name{"P"}, self.P...);
  }
  friend bool operator==(const RecursiveLeastSquaresState& a, const RecursiveLeastSquaresState& b) {
    return identical(a, b);
  }
};

/// Least squares with forgetting by an updated inverse, on inputs as they are: M_t P_t q is ridge regression with a
/// penalty between rho L^f and rho.
/// Shapes  x (f), y (m); cost f^2 a pair and a prediction
/// Errors  those of `RegressionLearner`; a ridge of 0; 1 / (rho L^f), which P may reach, above any number of a state
template <class T = double>
class RecursiveLeastSquares : public LearnerBase<RecursiveLeastSquares<T>, T>,
                              public StateBase<RecursiveLeastSquares<T>, RecursiveLeastSquaresState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  using State = RecursiveLeastSquaresState<T>;
  static constexpr auto name = "RecursiveLeastSquares";

  struct Settings {
    T ridge = T(1);  ///< rho, above 0
    T decay = T(1);  ///< L, in (0, 1]
  };

  RecursiveLeastSquares(Index inputs, Index targets, Settings settings = {})
      : LearnerBase<RecursiveLeastSquares, T>(inputs, targets), settings_(settings) {
    detail::expect_at_least_zero(name, "ridge", settings.ridge);
    detail::expect_decay(name, settings.decay);
    if (!(settings.ridge * T(largest_input<T>) >= T(1)))
      refuse(name, "ridge is ", settings.ridge, ", expected at least ", 1 / largest_input<T>);
    const double least = settings.ridge * std::pow(static_cast<double>(settings.decay), static_cast<double>(inputs));
    if (!(least * detail::largest_state<T>(0) >= 1))
      refuse(name, "ridge * decay^", inputs, " is ", least, ", expected at least ", 1 / detail::largest_state<T>(0));
    state_.start(inputs, targets);
    state_.penalty.setConstant(inputs, settings.ridge);
    state_.P = state_.S;
    state_.P.diagonal().setConstant(T(1) / settings.ridge);
    Px_ = scale_ = state_.penalty;
    prediction_ = Vector::Zero(targets);
  }

  const Settings& settings() const { return settings_; }

  const Vector& predict_valid(const Vector& x) {
    Px_.noalias() = state_.P * x;
    prediction_.noalias() = state_.M * Px_;
    for (Index i = 0; i < prediction_.size(); ++i) prediction_[i] = detail::saturated(prediction_[i]);
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    const T L = settings_.decay;
    Index j = 0;
    state_.penalty.minCoeff(&j);
    if (L != T(1)) {
      state_.penalty *= L;
      state_.P /= L;
    }
    state_.absorb(x, y, L);
    state_.rows[0] += 1;

    Px_.noalias() = state_.P * x;
    bool sound = add(x.dot(Px_), T(1));
    const T restored = settings_.ridge - state_.penalty[j];
    state_.penalty[j] = settings_.ridge;
    if (restored > T(0)) {
      Px_ = state_.P.col(j);
      sound = sound && add(Px_[j], restored);
    }
    if (!sound || std::fmod(state_.rows[0], round_length()) == 0) invert();
  }

  /// Adds up the sums; the penalties are those of `later`.
  void merge_valid(const State& later) {
    const T L = detail::power(settings_.decay, later.rows[0]);
    state_.Accumulators<T>::merge(later, L);
    if (later.rows[0] > 0) state_.penalty = later.penalty;
    state_.rows += later.rows;
    invert();
  }

 private:
  using StateBase<RecursiveLeastSquares, State, T>::state_;

  /// The number of rows between inversions: large enough that inverting adds little to the cost f^2 of a row.
  Counter<T> round_length() const { return static_cast<Counter<T>>(std::max<Index>(64, 2 * Px_.size())); }

  /// P <- (P^{-1} + c z z^T)^{-1} = P - Pz (Pz)^T c / (1 + c z^T P z), given Pz. Returns false where rounding has
  /// spoilt P or would do so now: along z the step leaves P smaller by the factor 1 + c z^T P z.
  bool add(const T& curvature, const T& c) {
    if (!(curvature >= T(0)) || !(c * curvature * std::sqrt(std::numeric_limits<T>::epsilon()) <= T(1))) return false;
    Px_ *= std::sqrt(c / (T(1) + c * curvature));
    state_.P.noalias() -= Px_ * Px_.transpose();
    return true;
  }

  /// P <- (S + D)^{-1}: scales S + D to a unit diagonal and inverts it in place by Gauss-Jordan sweeps. Pivots below
  /// the level of rounding are raised to it, which bounds P there too.
  void invert() {
    const Index f = Px_.size();
    Eigen::MatrixX<T>& P = state_.P;
    P = state_.S;
    P.diagonal() += state_.penalty;
    for (Index j = 0; j < f; ++j) scale_[j] = T(1) / std::sqrt(P(j, j));
    for (Index j = 0; j < f; ++j) P.col(j) = P.col(j).cwiseProduct(scale_) * scale_[j];
    const T least = T(8 * f) * std::numeric_limits<T>::epsilon();
    for (Index k = 0; k < f; ++k) {
      const T root = std::sqrt((std::max)(P(k, k), least));
      Px_ = P.col(k) / root;
      P.noalias() -= Px_ * Px_.transpose();
      P.col(k) = Px_ / root;
      P.row(k) = P.col(k).transpose();
      P(k, k) = -T(1) / (root * root);
    }
    for (Index j = 0; j < f; ++j) P.col(j) = -(P.col(j).cwiseProduct(scale_) * scale_[j]);
  }

  Settings settings_;
  Vector Px_, scale_, prediction_;
};

}  // namespace gdssm
