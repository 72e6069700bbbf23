// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/construction/descent.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// The closed form as an online learner. A stream brings inputs x_t (f), each followed by its target y_t (m); the
// learner carries two sums, both of them states of (1)-(2) with unit decays,
//
//     S_t = S_{t-1} + x_t x_t^T   from the attention A = e_0 e_0^T,
//     M_t = M_{t-1} + y_t x_t^T   from the attention A = e_0 e_1^T (transposed),
//
// and answers a query by K steps of gradient descent from zero, (10). What the layers do with tokens in a window, it
// does with pairs that come one by one: `predict`, then `observe`.
//
// Columns of real files differ in offset and unit, so that descent needs them standardised; a row standardised by the
// moments of its day keeps the wrong scale for ever. Hence pairs are centred as they come and scaled when asked. With
// means over the pairs before t, what S and M absorb is
//
//     (x_t, y_t)  ->  sqrt((t-1)/t) (x_t - mean x, y_t - mean y),
//
// and the sums of its products are those of the pairs centred by the mean of *all* t of them, by the identity
// sum_{i<=t} (x_i - mean_t)(x_i - mean_t)^T = sum_{i<t} (x_i - mean_{t-1})(x_i - mean_{t-1})^T + (t-1)/t d d^T with
// d = x_t - mean_{t-1} (Welford, Technometrics 4, 1962). They remain states of (1)-(2), of such tokens.

namespace gdssm {

/// Steps and penalty of a `GradientDescentLearner`.
template <class T = double>
struct DescentSettings {
  Index steps = 100;  ///< K, 0 or more
  T ridge = T(1);     ///< rho, 0 or more; on standardised inputs in units of rows: as strong as so many without slope
};

namespace detail {

/// Magnitudes up to here may enter a learner: their cubes, times the length of a stream, are still numbers.
template <class T>
inline constexpr double largest_input = std::is_same_v<T, float> ? 1e12 : 1e100;

template <class Derived>
void expect_inputs(const char* where, const char* what, const Eigen::MatrixBase<Derived>& vector, Index size) {
  using T = typename Derived::Scalar;
  static_assert(Derived::IsVectorAtCompileTime, "GradientDescentLearner: inputs and targets are vectors");
  if (vector.size() != size) refuse(where, what, " has ", vector.size(), " entries, expected ", size);
  if constexpr (std::is_floating_point_v<T>)
    for (Index i = 0; i < size; ++i)
      if (!(std::abs(vector[i]) <= T(largest_input<T>)))
        refuse(where, what, " entry ", i, " is ", vector[i], ", expected a number of magnitude at most ",
               largest_input<T>);
}

}  // namespace detail

/// Pairs as a `GradientDescentLearner` should take columns of unknown offset and unit: centred and scaled, from moments
/// that are kept beside the sums. Predictions have an intercept, and do not change when a column is shifted or
/// rescaled. A column that has not varied so far has the coefficient 0.
struct Standardised {
  /// S, M and the moments. Inputs and targets are taken relative to the first ones, so that a large offset costs no
  /// digits of what varies.
  template <class T>
  struct State {
    Eigen::Matrix<T, 1, 1> count;   ///< n, pairs observed
    Eigen::VectorX<T> first_input;  ///< x_1 (f)
    Eigen::VectorX<T> mean_input;   ///< mean of x_i - x_1 (f)
    Eigen::VectorX<T> first_target, mean_target;
    Eigen::MatrixX<T> S;  ///< sum_i (x_i - mean)(x_i - mean)^T (f x f)
    Eigen::MatrixX<T> M;  ///< sum_i (y_i - mean)(x_i - mean)^T (m x f)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"count"}, self.count...);
      visitor(Name{"first_input"}, self.first_input...);
      visitor(Name{"mean_input"}, self.mean_input...);
      visitor(Name{"first_target"}, self.first_target...);
      visitor(Name{"mean_target"}, self.mean_target...);
      visitor(Name{"S"}, self.S...);
      visitor(Name{"M"}, self.M...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  template <class T>
  static State<T> initial_state(Index inputs, Index targets) {
    State<T> state;
    state.count.setZero();
    state.first_input = state.mean_input = Eigen::VectorX<T>::Zero(inputs);
    state.first_target = state.mean_target = Eigen::VectorX<T>::Zero(targets);
    state.S.setZero(inputs, inputs);
    state.M.setZero(targets, inputs);
    return state;
  }

  /// Moves the moments on, and turns the pair into the one that S and M absorb.
  template <class T>
  static void absorb(State<T>& state, Eigen::VectorX<T>& x, Eigen::VectorX<T>& y) {
    if (state.count.value() == T(0)) {
      state.first_input = x;
      state.first_target = y;
    }
    const T before = state.count.value(), n = before + T(1);
    state.count[0] = n;
    x -= state.first_input;  // one at a time: their sum would have the offset's rounding
    x -= state.mean_input;
    y -= state.first_target;
    y -= state.mean_target;
    state.mean_input += x / n;
    state.mean_target += y / n;
    const T weight = std::sqrt(before / n);
    x *= weight;
    y *= weight;
  }

  /// The descent problem of a query q: S, M and q in units of the inputs' standard deviations, and the answer at W = 0,
  /// the mean target. The deviations are those of the n inputs and the query together, which bounds its z-scores by
  /// sqrt(n) + 1/sqrt(n); by the n alone they have no bound, and the first rows would pay for it.
  template <class T>
  static void pose(const State<T>& state, Eigen::MatrixX<T>& S, Eigen::MatrixX<T>& M, Eigen::VectorX<T>& q,
                   Eigen::VectorX<T>& inverse_scale, Eigen::VectorX<T>& answer) {
    const T n = state.count.value();
    q -= state.first_input;
    q -= state.mean_input;
    for (Index j = 0; j < q.size(); ++j) {
      const T scale = std::sqrt((state.S(j, j) + n / (n + T(1)) * q[j] * q[j]) / (n + T(1)));
      inverse_scale[j] = scale * T(detail::largest_input<T>) >= T(1) ? T(1) / scale : T(0);
    }
    q.array() *= inverse_scale.array();
    S = inverse_scale.asDiagonal() * state.S * inverse_scale.asDiagonal();
    M = state.M * inverse_scale.asDiagonal();
    answer = state.first_target + state.mean_target;
  }
};

/// Pairs as they come, for inputs that are centred and of one unit already: no intercept, and the prediction is that of
/// the stack of 2K - 1 constructed layers (`descent_steps`).
struct AsGiven {
  template <class T>
  struct State {
    Eigen::MatrixX<T> S;  ///< sum_i x_i x_i^T (f x f)
    Eigen::MatrixX<T> M;  ///< sum_i y_i x_i^T (m x f)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"S"}, self.S...);
      visitor(Name{"M"}, self.M...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  template <class T>
  static State<T> initial_state(Index inputs, Index targets) {
    return {Eigen::MatrixX<T>::Constant(inputs, inputs, T(0)), Eigen::MatrixX<T>::Constant(targets, inputs, T(0))};
  }
  template <class T>
  static void absorb(State<T>&, Eigen::VectorX<T>&, Eigen::VectorX<T>&) {}
  template <class T>
  static void pose(const State<T>& state, Eigen::MatrixX<T>& S, Eigen::MatrixX<T>& M, Eigen::VectorX<T>&,
                   Eigen::VectorX<T>&, Eigen::VectorX<T>& answer) {
    S = state.S;
    M = state.M;
    answer.setConstant(T(0));
  }
};

/// Learns a linear map from a stream, by K steps of gradient descent on everything seen so far:
///     GradientDescentLearner<> learner(inputs, targets);
///     for (...) {
///       guess = learner.predict(x);   // y is not known yet
///       learner.observe(x, y);
///     }
/// The prediction is W_K q of (10) from W_0 = 0 on
///     1/2 sum_i |y_i - W x_i|^2 + rho/2 |W|^2,         step  a = 1 / (bound on S's largest eigenvalue + rho),
/// with pairs as `Pairs` takes them. With the step at most one over the curvature every error shrinks, so that K steps
/// converge to ridge regression from the side of the mean, well determined directions first. Before the first target
/// the prediction is 0. Memory does not grow with the stream, and neither function allocates.
///
/// Finite inputs have finite predictions: `Standardised` pairs, in streams of up to 1e9 rows.
/// Shapes  x (f), y (m), prediction (m); cost f (f + m) a pair, f (K f + m) a prediction
/// Errors  std::invalid_argument: f or m below 1, K or rho negative, vectors of other sizes, entries that are not
///         finite or above 1e100 in magnitude (float: 1e12), a state of another shape. What is refused changes nothing.
/// Source  arXiv:2410.11687v1; docs/theory.md, K steps
template <class T = double, class Pairs = Standardised>
class GradientDescentLearner {
 public:
  using Vector = Eigen::VectorX<T>;
  using Settings = DescentSettings<T>;
  /// All that predictions depend on. A value: copy it, save it (`visit`), set it elsewhere.
  using State = typename Pairs::template State<T>;

  /// The largest magnitude of an entry of x and y; numbers without rounding may exceed it.
  static constexpr double largest_input = detail::largest_input<T>;

  GradientDescentLearner(Index inputs, Index targets, Settings settings = {}) : settings_(settings) {
    if (inputs < 1 || targets < 1)
      refuse("GradientDescentLearner", "there are ", inputs, " inputs and ", targets, " targets, expected at least 1");
    if (settings.steps < 0) refuse("GradientDescentLearner", "steps is ", settings.steps, ", expected at least 0");
    if (!(settings.ridge >= T(0)) || !(settings.ridge - settings.ridge == T(0)))
      refuse("GradientDescentLearner", "ridge is ", settings.ridge, ", expected a finite number of at least 0");
    state_ = Pairs::template initial_state<T>(inputs, targets);
    S_ = state_.S;
    M_ = state_.M;
    scratch_ = DescentScratch<T>(inputs);
    x_ = inverse_scale_ = scratch_.u;
    y_ = prediction_ = Vector::Constant(targets, T(0));
  }

  Index input_count() const { return x_.size(); }
  Index target_count() const { return y_.size(); }
  const Settings& settings() const { return settings_; }

  /// The prediction of the target that belongs to x, from what has been observed. It leaves the state as it is, and
  /// what it returns stands until the next call.
  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_inputs("GradientDescentLearner::predict", "the input", x, input_count());
    x_ = x;
    Pairs::pose(state_, S_, M_, x_, inverse_scale_, prediction_);
    const T bound = largest_eigenvalue_bound(S_);
    if (!(bound > negligible())) return prediction_;
    predict_by_descent(S_, M_, x_, equal_steps(T(T(1) / (bound + settings_.ridge)), settings_.steps), settings_.ridge,
                       scratch_, y_);
    prediction_ += y_;
    return prediction_;
  }

  /// Learns that the input x has the target y.
  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_inputs("GradientDescentLearner::observe", "the input", x, input_count());
    detail::expect_inputs("GradientDescentLearner::observe", "the target", y, target_count());
    x_ = x;
    y_ = y;
    Pairs::absorb(state_, x_, y_);
    state_.S.noalias() += x_ * x_.transpose();
    state_.M.noalias() += y_ * x_.transpose();
  }

  const State& state() const { return state_; }

  /// Goes on from a state of this shape, wherever it comes from.
  void set_state(const State& state) {
    gdssm::visit(
        [](const Name& name, auto& mine, const auto& other) {
          if (mine.rows() != other.rows() || mine.cols() != other.cols())
            refuse("GradientDescentLearner::set_state", name.str(), " is ", other.rows(), " x ", other.cols(),
                   ", expected ", mine.rows(), " x ", mine.cols());
          expect_finite("GradientDescentLearner::set_state", name.str().c_str(), other);
        },
        state_, state);
    state_ = state;
  }

 private:
  // What is left of S when the query is 1e100 deviations away; dividing by less would overflow.
  static T negligible() {
    if constexpr (std::is_floating_point_v<T>)
      return T(1 / (largest_input * largest_input));
    else
      return T(0);
  }

  Settings settings_;
  State state_;
  Eigen::MatrixX<T> S_, M_;  // of the query's problem
  Vector x_, y_, inverse_scale_, prediction_;
  DescentScratch<T> scratch_{1};
};

}  // namespace gdssm
