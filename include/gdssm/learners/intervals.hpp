// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

namespace gdssm {

/// The state of `Intervals`.
template <class T>
struct IntervalsState {
  Count<T> rows = Count<T>::Zero();   ///< errors seen, including the first
  Eigen::VectorX<Counter<T>> weight;  ///< W (m)
  Eigen::VectorX<Counter<T>> errors;  ///< A (m)
  Eigen::VectorX<T> log_multiple;     ///< ln q (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"weight"}, self.weight...);
    visitor(Name{"errors"}, self.errors...);
    visitor(Name{"log_multiple"}, self.log_multiple...);
  }
  friend bool operator==(const IntervalsState& a, const IntervalsState& b) { return identical(a, b); }
};

/// Prediction intervals from the recent errors e of the predictions, whatever made them:
///     (17)  yhat +- h,   h = q (A / W) sqrt(1 + 3 / W + 18 / W^4),   A <- D A + |e|,   W <- D W + 1,
///           ln q <- ln q + g (miss - beta),     miss = 1 if |e| > h, else 0.
/// A / W follows the size of the errors, and q their distribution. Until an error is known h is infinite, which claims
/// nothing; the root widens h while few are known, for normal errors as much as the law of |e| W / A asks for.
/// Nothing is assumed of the stream: summing (17) shows that among n rows on which q moved, the share of misses is
/// exactly beta + (ln q_n - ln q_0) / (g n), so that |ln(q_n / q_0)| / (g n), which the state tells, bounds the
/// distance from beta on any stream: it is below 0.02 after 3,000 rows unless q has moved by a factor of 20. q stays
/// between 1 / `largest_input` and `largest_input`, so errors still widen h after any number of exact predictions.
/// Shapes  predictions, targets, half widths (m)
/// Errors  std::invalid_argument: m below 1, settings out of their ranges, vectors of other sizes, entries that are not
///         finite or above 1e100 in magnitude (float: 1e12), a state of another shape. A refused call changes nothing.
/// Source  Gibbs, Candes, NeurIPS 2021, here with the logarithm of the quantile
template <class T = double>
class Intervals : public StateBase<Intervals<T>, IntervalsState<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  using State = IntervalsState<T>;
  static constexpr auto name = "Intervals";

  struct Settings {
    T miss = T(0.05);     ///< beta, the intended share of targets outside, between 0 and 1
    T rate = T(0.05);     ///< g, above 0
    T decay = T(0.98);    ///< D, in (0, 1]
    T multiple = T(2.7);  ///< q_0: 2.46 for normal errors, more for heavier tails
    Index start = 10;     ///< q does not move on the first `start` rows
  };

  explicit Intervals(Index targets, Settings settings = {}) : settings_(settings) {
    if (targets < 1) refuse(name, "there are ", targets, " targets, expected at least 1");
    if (!(settings.miss > T(0)) || !(settings.miss < T(1)))
      refuse(name, "miss is ", settings.miss, ", expected between 0 and 1");
    if (!(settings.rate > T(0))) refuse(name, "rate is ", settings.rate, ", expected above 0");
    if (!(std::abs(std::log(settings.multiple)) <= largest_log_multiple()))
      refuse(name, "multiple is ", settings.multiple, ", expected from ", 1 / largest_input<T>, " to ",
             largest_input<T>);
    detail::expect_decay(name, settings.decay);
    half_widths_.setZero(targets);
    state_.weight.setZero(targets);
    state_.errors.setZero(targets);
    state_.log_multiple = Vector::Constant(targets, std::log(settings.multiple));
  }

  /// h of the next prediction; infinite until an error is known.
  const Vector& half_widths() {
    for (Index i = 0; i < half_widths_.size(); ++i) {
      const Counter<T> W = state_.weight[i];
      half_widths_[i] = W > 0 ? T(std::exp(state_.log_multiple[i]) * (state_.errors[i] / W) *
                                  std::sqrt(1 + 3 / W + 18 / (W * W * W * W)))
                              : std::numeric_limits<T>::infinity();
    }
    return half_widths_;
  }

  /// Takes a prediction and its target. The first error does not count: that prediction was made without data.
  void observe(const Vector& prediction, const Vector& target) {
    detail::expect_inputs(name, "observe: the prediction", prediction, half_widths_.size());
    detail::expect_inputs(name, "observe: the target", target, half_widths_.size());
    half_widths();
    for (Index i = 0; i < target.size() && state_.rows[0] > 0; ++i) {
      const T e = std::abs(target[i] - prediction[i]);
      if (state_.rows[0] >= Counter<T>(settings_.start) && state_.weight[i] > 0 && half_widths_[i] > T(0))
        state_.log_multiple[i] =
            std::clamp(state_.log_multiple[i] + settings_.rate * ((e > half_widths_[i] ? T(1) : T(0)) - settings_.miss),
                       -largest_log_multiple(), largest_log_multiple());
      state_.weight[i] = settings_.decay * state_.weight[i] + 1;
      state_.errors[i] = settings_.decay * state_.errors[i] + e;
    }
    state_.rows[0] += 1;
  }

  /// Takes over the recent errors of `later`, unless it has none.
  void merge_valid(const State& later) {
    const Counter<T> rows = state_.rows[0] + later.rows[0];
    if (later.rows[0] > 1) state_ = later;
    state_.rows[0] = rows;
  }

  /// Refuses a q outside the limits of (17).
  static void expect_valid(const State& state) {
    for (Index i = 0; i < state.log_multiple.size(); ++i)
      if (!(std::abs(state.log_multiple[i]) <= largest_log_multiple()))
        refuse(name, "set_state: log_multiple entry ", i, " is ", state.log_multiple[i],
               ", expected of magnitude at most ", largest_log_multiple());
  }

 private:
  using StateBase<Intervals, State, T>::state_;

  static T largest_log_multiple() { return T(std::log(largest_input<T>)); }

  Settings settings_;
  Vector half_widths_;
};

}  // namespace gdssm
