// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/classes.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/stream_statistics.hpp"

// Classifiers that ignore their inputs: baselines for every other one, and members of a bank whose probabilities are
// never 0.
//
//     (63)  p_k = (n_k + 1/2) / (n + c/2),     n_k <- L n_k + y_k,     n = sum_k n_k
//
// Without forgetting, their total loss on n rows exceeds that of the best constant probabilities, sum_k n_k ln(n /
// n_k), by at most (c - 1)/2 ln n + ln c (Krichevsky, Trofimov, IEEE Transactions on Information Theory 27, 1981).

namespace gdssm {

namespace detail {

template <class Counts>
void expect_counts(const char* name, const Counts& counts) {
  if (!(counts.minCoeff() >= 0))
    refuse(name, "set_state: counts has the entry ", counts.minCoeff(), ", expected at least 0");
}

}  // namespace detail

/// The state of `ClassFrequencies`.
template <class T>
struct ClassFrequenciesState : RowWeights<T> {
  Eigen::VectorX<Counter<T>> counts;  ///< n_k (c)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    RowWeights<T>::visit(visitor, self...);
    visitor(Name{"counts"}, self.counts...);
  }
  friend bool operator==(const ClassFrequenciesState& a, const ClassFrequenciesState& b) { return identical(a, b); }
};

/// How often each class has come, (63), with weights L^(t-i).
/// Shapes  x (f, not read), y and prediction (c)
/// Errors  those of `RegressionLearner`, but f may be 0; a target that is no label
template <class T = double>
class ClassFrequencies : public LearnerBase<ClassFrequencies<T>, T>,
                         public StateBase<ClassFrequencies<T>, ClassFrequenciesState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "ClassFrequencies";

  ClassFrequencies(Index inputs, Index classes, T decay = T(1))
      : LearnerBase<ClassFrequencies, T>(inputs, classes, 0), decay_(decay) {
    detail::expect_decay(name, decay);
    state_.counts.setZero(classes);
    prediction_.setZero(classes);
  }

  const Vector& predict_valid(const Vector&) {
    const Counter<T> sum = state_.counts.sum() + Counter<T>(0.5) * static_cast<Counter<T>>(prediction_.size());
    for (Index k = 0; k < prediction_.size(); ++k)
      prediction_[k] = static_cast<T>((state_.counts[k] + Counter<T>(0.5)) / sum);
    return prediction_;
  }
  void observe_valid(const Vector&, const Vector& y) {
    detail::expect_label(name, y);
    state_.RowWeights<T>::absorb(decay_);
    state_.counts = Counter<T>(decay_) * state_.counts + y.template cast<Counter<T>>();
  }
  void merge_valid(const ClassFrequenciesState<T>& later) {
    state_.counts = Counter<T>(state_.RowWeights<T>::merge(later, decay_).L) * state_.counts + later.counts;
  }

  /// Refuses counts below 0.
  static void expect_valid(const ClassFrequenciesState<T>& state) { detail::expect_counts(name, state.counts); }

 private:
  using StateBase<ClassFrequencies, ClassFrequenciesState<T>, T>::state_;

  T decay_;
  Vector prediction_;
};

/// The state of `ClassTransitions`.
template <class T>
struct ClassTransitionsState {
  Count<T> rows = Count<T>::Zero();   ///< labels observed
  Eigen::MatrixX<Counter<T>> counts;  ///< n_kj (c x c): how often class k came after class j
  Eigen::VectorX<T> last;             ///< y_{t-1} (c)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"counts"}, self.counts...);
    visitor(Name{.head = "last", .degree = 1}, self.last...);
  }
  friend bool operator==(const ClassTransitionsState& a, const ClassTransitionsState& b) { return identical(a, b); }
};

/// (63) among the rows whose class before was the same: a Markov chain, for classes that come in runs.
/// Shapes, errors  those of `ClassFrequencies`
/// Merging  adds up counts; the step from the earlier rows to the later ones is not counted
template <class T = double>
class ClassTransitions : public LearnerBase<ClassTransitions<T>, T>,
                         public StateBase<ClassTransitions<T>, ClassTransitionsState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "ClassTransitions";

  ClassTransitions(Index inputs, Index classes) : LearnerBase<ClassTransitions, T>(inputs, classes, 0) {
    state_.counts.setZero(classes, classes);
    state_.last.setZero(classes);
    prediction_.setZero(classes);
  }

  const Vector& predict_valid(const Vector&) {
    using Sum = Counter<T>;
    const Index c = prediction_.size();
    if (!(state_.last.sum() > T(0))) {
      prediction_.setConstant(T(1) / static_cast<T>(c));
      return prediction_;
    }
    prediction_.setZero();
    for (Index j = 0; j < c; ++j) {
      if (!(state_.last[j] > T(0))) continue;
      const auto counts = state_.counts.col(j);
      const Sum sum = counts.sum() + Sum(0.5) * static_cast<Sum>(c);
      for (Index k = 0; k < c; ++k) prediction_[k] += state_.last[j] * static_cast<T>((counts[k] + Sum(0.5)) / sum);
    }
    return prediction_;
  }
  void observe_valid(const Vector&, const Vector& y) {
    detail::expect_label(name, y);
    for (Index j = 0; j < y.size(); ++j)
      if (state_.last[j] > T(0)) state_.counts.col(j) += (state_.last[j] * y).template cast<Counter<T>>();
    state_.last = y;
    state_.rows[0] += 1;
  }
  void skip_valid(const Vector&, const Vector& guess) {
    state_.last = guess;
    if (!(state_.rows[0] > 0)) state_.last.setZero();
  }
  void merge_valid(const ClassTransitionsState<T>& later) {
    state_.counts += later.counts;
    if (later.rows[0] > 0) state_.last = later.last;
    state_.rows += later.rows;
  }

  /// Refuses counts below 0, and a last label that is none.
  static void expect_valid(const ClassTransitionsState<T>& state) {
    detail::expect_counts(name, state.counts);
    const T sum = state.last.sum();
    if (!(state.last.minCoeff() >= T(0)) || !(sum == T(0) || std::abs(sum - T(1)) <= T(1e-6)))
      refuse(name, "set_state: last has entries from ", state.last.minCoeff(), " and the sum ", sum,
             ", expected a label, or zeros");
  }

 private:
  using StateBase<ClassTransitions, ClassTransitionsState<T>, T>::state_;

  Vector prediction_;
};

}  // namespace gdssm
