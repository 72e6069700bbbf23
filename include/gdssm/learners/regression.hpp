// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <Eigen/Core>

#include "gdssm/algorithms/solvers.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/sufficient_statistics.hpp"

namespace gdssm {

/// Learns a linear map from a stream. `Pairs` keeps the stream's sums S and M, and `Solver` answers a query from
///     1/2 sum_i L^(t-i) |y_i - W x_i|^2 + rho/2 |W|^2.
/// `Descent`, `HeavyBall`, `Chebyshev` and `ConjugateGradients` take K steps; `Elimination` is ridge regression. Before
/// the first target the prediction is 0. A decay L < 1 forgets rows older than about 1/(1-L); the penalty is not
/// forgotten, so directions without new data stay bounded.
///
/// With `Standardised` pairs, finite inputs give finite predictions in streams of up to 1e9 rows.
/// Shapes  x (f), y (m), prediction (m); cost f (f + m) a pair; a prediction K f^2 + f m, by conjugate
///         gradients m K f^2, by elimination f^2 (f/6 + m/2), or r^2 f while
///         there are r < f / 4 pairs
/// Errors  std::invalid_argument: f or m below 1, settings out of their ranges, vectors of other sizes, entries that
///         are not finite or above 1e100 in magnitude (float: 1e12), a state of another shape. A refused call changes
///         nothing.
/// Source  arXiv:2410.11687v1; docs/theory.md, K steps and the state as a value
template <class Solver, class T = double, class Pairs = Standardised>
class RegressionLearner : public LearnerBase<RegressionLearner<Solver, T, Pairs>, T>,
                          public StateBase<RegressionLearner<Solver, T, Pairs>, typename Pairs::template State<T>, T> {
  using Vectors = LearnerBase<RegressionLearner, T>;
  using Memory = StateBase<RegressionLearner, typename Pairs::template State<T>, T>;

 public:
  using Vector = Eigen::VectorX<T>;
  using Settings = typename Solver::template Settings<T>;
  using State = typename Pairs::template State<T>;
  static constexpr auto name = "RegressionLearner";

  /// The largest magnitude of an entry of x and y; types without rounding have no limit.
  static constexpr double largest_input = gdssm::largest_input<T>;

  RegressionLearner(Index inputs, Index targets, Settings settings = {})
      : Vectors(inputs, targets),
        Memory(Pairs::template initial_state<T>(inputs, targets)),
        settings_(settings),
        scratch_(inputs, targets) {
    if constexpr (requires { settings.steps; }) {
      if (settings.steps < 0) refuse(name, "steps is ", settings.steps, ", expected at least 0");
      detail::expect_at_least_zero(name, "tolerance", settings.tolerance);
    }
    detail::expect_at_least_zero(name, "ridge", settings.ridge);
    detail::expect_decay(name, settings.decay);
    if constexpr (rescales) {
      S_ = state_.S;
      M_ = state_.M;
    }
    x_ = squared_units_ = inverse_units_ = Vector::Constant(inputs, T(0));
    y_ = prediction_ = Vector::Constant(targets, T(0));
  }

  using Vectors::input_count;
  using Vectors::target_count;
  const Settings& settings() const { return settings_; }

  const Vector& predict_valid(const Vector& x) {
    x_ = x;
    Pairs::pose(state_, x_, squared_units_, prediction_);
    answer_ = {};
    answer_.ending = Ending::converged;
    y_.setConstant(T(0));
    solve();
    for (Index i = 0; i < y_.size(); ++i) prediction_[i] = detail::saturated(T(prediction_[i] + y_[i]), prediction_[i]);
    return prediction_;
  }

  /// Residual, error bound and stopping test of the last prediction, in the units of the problem that `Pairs` poses
  /// (standardised inputs, targets as they are).
  const Answer<T>& answer() const { return answer_; }

  void observe_valid(const Vector& x, const Vector& y) {
    x_ = x;
    y_ = y;
    Pairs::absorb(state_, x_, y_, settings_.decay);
  }

  /// Removes an observed pair: up to rounding, as if it had never been observed.
  /// Errors  std::invalid_argument: decay below 1 (the pair's remaining weight is unknown), no pairs
  template <class Input, class Target>
  void remove(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_inputs(name, "remove: the input", x, input_count());
    detail::expect_inputs(name, "remove: the target", y, target_count());
    if (!(settings_.decay == T(1))) refuse(name, "remove: decay is ", settings_.decay, ", expected 1");
    if (!(state_.rows[0] > 0)) refuse(name, "remove: no pairs have been observed, expected this one");
    x_ = x;
    y_ = y;
    Pairs::remove(state_, x_, y_);
  }

  /// Adds up the sums; this learner's decay applies.
  void merge_valid(const State& later) { Pairs::merge(state_, later, settings_.decay); }

 private:
  using Memory::state_;

  // Whether the solver takes units itself; otherwise the problem is rescaled for it.
  static constexpr bool takes_units = requires(const Eigen::MatrixX<T>& S, Settings settings,
                                               typename Solver::template Scratch<T>& scratch, Vector& v) {
    Solver::solve(S, S, v, v, settings, scratch, v);
  };
  static constexpr bool rescales = Pairs::has_units && !takes_units;

  /// y_ <- the answer to x_, in the units of the query's problem.
  void solve() {
    const T rows = T(state_.weight[0]);
    if constexpr (takes_units) {
      if (says_something(state_.S))
        answer_ = Solver::solve(state_.S, state_.M, x_, squared_units_, settings_, scratch_, y_, rows, rank());
    } else if constexpr (rescales) {
      inverse_units_ = (squared_units_.array() > T(0)).select(squared_units_.array().rsqrt(), T(0));
      x_.array() *= inverse_units_.array();
      S_.noalias() = inverse_units_.asDiagonal() * state_.S;
      S_ *= inverse_units_.asDiagonal();
      M_.noalias() = state_.M * inverse_units_.asDiagonal();
      if (says_something(S_)) answer_ = Solver::solve(S_, M_, x_, settings_, scratch_, y_, rows);
    } else {
      if (says_something(state_.S)) answer_ = Solver::solve(state_.S, state_.M, x_, settings_, scratch_, y_, rows);
    }
  }

  // Of S: no more than pairs.
  Index rank() const { return static_cast<Index>((std::min)(state_.rows[0], static_cast<Counter<T>>(x_.size()))); }

  // Dividing by less would overflow.
  static bool says_something(const Eigen::MatrixX<T>& S) {
    if constexpr (std::is_floating_point_v<T>)
      return S.trace() > T(1 / (largest_input * largest_input));
    else
      return S.trace() > T(0);
  }

  Settings settings_;
  Eigen::MatrixX<T> S_, M_;  // of the query's problem, for solvers that take no units
  Vector x_, y_, squared_units_, inverse_units_, prediction_;
  typename Solver::template Scratch<T> scratch_;
  Answer<T> answer_;
};

/// Ridge regression on all rows, or with a decay on the recent ones.
template <class T = double, class Pairs = Standardised>
using RidgeLearner = RegressionLearner<Elimination, T, Pairs>;

/// K steps of gradient descent on all rows, which the paper's stack of layers computes. Converges to ridge regression.
template <class T = double, class Pairs = Standardised>
using GradientDescentLearner = RegressionLearner<Descent, T, Pairs>;

/// Converges to the same limit in about the square root of the number of steps; finds its eigenvalue bounds itself,
/// (61).
template <class T = double, class Pairs = Standardised>
using ChebyshevLearner = RegressionLearner<Chebyshev, T, Pairs>;

/// Converges to the same limit by steps with momentum, about as fast; finds its eigenvalue bounds itself, (61).
template <class T = double, class Pairs = Standardised>
using HeavyBallLearner = RegressionLearner<HeavyBall, T, Pairs>;

/// Ridge regression in at most f steps, by conjugate gradients.
template <class T = double, class Pairs = Standardised>
using ConjugateGradientsLearner = RegressionLearner<ConjugateGradients, T, Pairs>;

}  // namespace gdssm
