// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Learners that look at no input: what every other one has to beat, and what a `Bank` falls back on.

namespace gdssm {

/// The mean of the targets seen, with weights L^(t-i); 0 before the first. Kept in Counter<T>: what moves it grows less
/// and less.
/// Shapes  x (f, not read), y and prediction (m)
/// Errors  those of `RegressionLearner`, but f may be 0
template <class T = double>
class RunningMean {
 public:
  using Scalar = T;
  using Vector = Eigen::VectorX<T>;

  struct State {
    Eigen::Matrix<Counter<T>, 1, 1> rows;    ///< targets observed
    Eigen::Matrix<Counter<T>, 1, 1> weight;  ///< w = sum_i L^(t-i)
    Eigen::VectorX<Counter<T>> mean;         ///< (m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"weight"}, self.weight...);
      visitor(Name{.head = "mean", .degree = 1}, self.mean...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  RunningMean(Index inputs, Index targets, T decay = T(1)) : inputs_(inputs), decay_(decay) {
    detail::expect_sizes(name, inputs, targets, 0);
    detail::expect_decay(name, decay);
    state_.rows.setZero();
    state_.weight.setZero();
    state_.mean.setZero(targets);
    prediction_.setZero(targets);
  }

  Index input_count() const { return inputs_; }
  Index target_count() const { return state_.mean.size(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, inputs_);
    return prediction_;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, inputs_, target_count());
    state_.rows[0] += 1;
    state_.weight[0] = Counter<T>(decay_) * state_.weight[0] + 1;
    state_.mean += (y.template cast<Counter<T>>() - state_.mean) / state_.weight[0];
    prediction_ = state_.mean.template cast<T>();
  }

  const State& state() const { return state_; }
  void set_state(const State& state) {
    expect_state(state);
    state_ = state;
    prediction_ = state_.mean.template cast<T>();
  }
  void merge(const State& later) {
    expect_state(later);
    if (later.rows[0] == 0) return;
    const Counter<T> w = Counter<T>(detail::power(decay_, later.rows[0])) * state_.weight[0] + later.weight[0];
    state_.mean += later.weight[0] / w * (later.mean - state_.mean);
    prediction_ = state_.mean.template cast<T>();
    state_.weight[0] = w;
    state_.rows += later.rows;
  }

 private:
  static constexpr auto name = "RunningMean";

  void expect_state(const State& other) const {
    detail::expect_state(name, state_, other);
    if constexpr (std::is_floating_point_v<T>)  // a mean of numbers of T, whatever holds it
      if (!(other.mean.cwiseAbs().maxCoeff() <= detail::largest_state<T>(1)))
        refuse(name, "set_state: mean has an entry of magnitude ", other.mean.cwiseAbs().maxCoeff(),
               ", expected at most ", detail::largest_state<T>(1));
  }

  Index inputs_;
  T decay_;
  State state_;
  Vector prediction_;
};

/// The target seen last; 0 before the first. The best there is on a random walk.
/// Shapes  x (f, not read), y and prediction (m)
/// Errors  those of `RegressionLearner`, but f may be 0
template <class T = double>
class LastValue {
 public:
  using Scalar = T;
  using Vector = Eigen::VectorX<T>;

  struct State {
    Eigen::Matrix<Counter<T>, 1, 1> rows;  ///< targets observed
    Vector last;                           ///< (m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{.head = "last", .degree = 1}, self.last...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  LastValue(Index inputs, Index targets) : inputs_(inputs) {
    detail::expect_sizes(name, inputs, targets, 0);
    state_.rows.setZero();
    state_.last.setZero(targets);
  }

  Index input_count() const { return inputs_; }
  Index target_count() const { return state_.last.size(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, inputs_);
    return state_.last;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, inputs_, target_count());
    state_.rows[0] += 1;
    state_.last = y;
  }

  const State& state() const { return state_; }
  void set_state(const State& state) {
    detail::expect_state(name, state_, state);
    state_ = state;
  }
  void merge(const State& later) {
    detail::expect_state(name, state_, later);
    if (later.rows[0] == 0) return;
    state_.last = later.last;
    state_.rows += later.rows;
  }

 private:
  static constexpr auto name = "LastValue";

  Index inputs_;
  State state_;
};

}  // namespace gdssm
