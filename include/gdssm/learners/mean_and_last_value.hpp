// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <Eigen/Core>

#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/stream_statistics.hpp"

// Learners that ignore their inputs: baselines for every other learner, and useful members of a `Bank`.

namespace gdssm {

/// The state of `RunningMean`. The mean is a Counter<T>, since its updates become ever smaller.
template <class T>
struct RunningMeanState : RowWeights<T> {
  Eigen::VectorX<Counter<T>> mean;  ///< of the targets (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    RowWeights<T>::visit(visitor, self...);
    visitor(Name{.head = "mean", .degree = 1}, self.mean...);
  }
  friend bool operator==(const RunningMeanState& a, const RunningMeanState& b) { return identical(a, b); }
};

/// The mean of the targets seen, with weights L^(t-i); 0 before the first target.
/// Shapes  x (f, not read), y and prediction (m)
/// Errors  those of `RegressionLearner`, but f may be 0
template <class T = double>
class RunningMean : public LearnerBase<RunningMean<T>, T>, public StateBase<RunningMean<T>, RunningMeanState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  using State = RunningMeanState<T>;
  static constexpr auto name = "RunningMean";

  RunningMean(Index inputs, Index targets, T decay = T(1))
      : LearnerBase<RunningMean, T>(inputs, targets, 0), decay_(decay) {
    detail::expect_decay(name, decay);
    state_.mean.setZero(targets);
    prediction_.setZero(targets);
  }

  const Vector& predict_valid(const Vector&) {
    prediction_ = state_.mean.template cast<T>();
    return prediction_;
  }
  void observe_valid(const Vector&, const Vector& y) {
    state_.RowWeights<T>::absorb(decay_);
    state_.mean += (y.template cast<Counter<T>>() - state_.mean) / state_.weight[0];
  }
  void merge_valid(const State& later) {
    const Counter<T> share = state_.RowWeights<T>::merge(later, decay_).share;
    state_.mean += share * (later.mean - state_.mean);
  }

 private:
  using StateBase<RunningMean, State, T>::state_;

  T decay_;
  Vector prediction_;
};

/// The last target seen; 0 before the first. The best prediction of a random walk.
/// Shapes  x (f, not read), y and prediction (m)
/// Errors  those of `RegressionLearner`, but f may be 0
template <class T = double>
class LastValue : public LearnerBase<LastValue<T>, T>, public StateBase<LastValue<T>, LastTarget<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "LastValue";

  LastValue(Index inputs, Index targets) : LearnerBase<LastValue, T>(inputs, targets, 0) {
    state_.last.setZero(targets);
  }

  const Vector& predict_valid(const Vector&) const { return state_.last; }
  void observe_valid(const Vector&, const Vector& y) { state_.absorb(y); }
  void merge_valid(const LastTarget<T>& later) { state_.merge(later); }

 private:
  using StateBase<LastValue, LastTarget<T>, T>::state_;
};

}  // namespace gdssm
