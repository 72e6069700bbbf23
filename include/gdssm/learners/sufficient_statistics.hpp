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
#include "gdssm/learners/stream_statistics.hpp"

// The memory of a regression: the `Accumulators`
//
//     S_t = L S_{t-1} + x_t x_t^T,     M_t = L M_{t-1} + y_t x_t^T
//
// in the coordinates of a type of pairs, `AsGiven`, `Scaled` or `Standardised`. A type of pairs offers the state, its
// start, `absorb` (adds a pair), `remove` (removes a pair), `merge` (joins the pairs of two states), and `pose`, which
// turns a query into a query of S and M and gives the unit of each coordinate.
//
// Columns of real files differ in offset and unit, and a row that was standardised on arrival keeps the moments of that
// time for ever. Pairs are therefore centred on arrival, and scaled when a query comes. With w_t = L w_{t-1} + 1 and
// means over all pairs, S and M absorb
//
//     (x_t, y_t)  ->  sqrt(L w_{t-1} / w_t) (x_t - mean_{t-1} x, y_t - mean_{t-1} y),
//
// and the resulting sums of products are those of the pairs centred by the mean of *all* t pairs, by the identity
//
//     sum_{i<=t} c_i (x_i - mean_t)(x_i - mean_t)^T
//         = L sum_{i<t} c_i (x_i - mean_{t-1})(x_i - mean_{t-1})^T + (L w_{t-1} / w_t) d d^T,   d = x_t - mean_{t-1}.
//
// S and M remain states of (1)-(2) for these transformed tokens.

namespace gdssm {

namespace detail {

/// s_j^2, the mean square of column j over w rows and the query: their squares add up to `sum` and `own`; `inverse` is
/// 1 / (w + 1). Returns 0, which leaves the column out, if s_j^2 is below 1e-200 (float: 1e-24), or if `sum` is
/// negligible beside `own` or not above `least`.
template <class T>
T squared_unit(const T& sum, const T& own, const T& inverse, const T& least) {
  const T total = sum + own, square = total * inverse;
  const bool varies = sum > T(1e-18) * total, is_known = sum > least,
             is_invertible = square * T(largest_input<T>) * T(largest_input<T>) >= T(1);
  return (varies & is_known & is_invertible) ? square : T(0);
}

}  // namespace detail

/// Pairs as they are, for inputs that are centred and of one unit. There is no intercept, and the prediction is that of
/// the stack of 2K - 1 constructed layers (`descent_steps`).
struct AsGiven {
  static constexpr bool has_units = false;

  template <class T>
  struct State : RowWeights<T>, Accumulators<T> {
    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      RowWeights<T>::visit(visitor, self...);
      Accumulators<T>::visit(visitor, self...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  /// The state before the first pair.
  template <class T>
  static State<T> initial_state(Index inputs, Index targets) {
    State<T> state;
    state.start(inputs, targets);
    return state;
  }

  /// Adds a pair and multiplies the earlier ones by L. Afterwards x and y hold the pair that S and M absorbed.
  template <class T>
  static void absorb(State<T>& state, Eigen::VectorX<T>& x, Eigen::VectorX<T>& y, const T& decay) {
    state.RowWeights<T>::absorb(decay);
    state.Accumulators<T>::absorb(x, y, decay);
  }

  /// Removes a pair that was absorbed at decay 1.
  template <class T>
  static void remove(State<T>& state, Eigen::VectorX<T>& x, Eigen::VectorX<T>& y) {
    state.rows[0] -= Counter<T>(1);
    state.weight[0] -= Counter<T>(1);
    state.Accumulators<T>::remove(x, y);
  }

  /// state <- the pairs of `state` followed by those of `later`.
  template <class T>
  static void merge(State<T>& state, const State<T>& later, const T& decay) {
    state.Accumulators<T>::merge(later, state.RowWeights<T>::merge(later, decay).L);
  }

  /// Poses a query q: leaves q as it is, sets all units to 1, and the answer at W = 0 to 0.
  template <class T>
  static void pose(const State<T>&, Eigen::VectorX<T>&, Eigen::VectorX<T>& squared_units, Eigen::VectorX<T>& answer) {
    squared_units.setConstant(T(1));
    answer.setConstant(T(0));
  }
};

/// Pairs that are scaled when a query comes and not centred: no intercept, for inputs and targets that are centred by
/// nature, such as changes. Rescaling a column does not change predictions.
struct Scaled : AsGiven {
  static constexpr bool has_units = true;

  /// Poses a query q in units of the inputs' root mean squares, which include the query.
  template <class T>
  static void pose(const State<T>& state, Eigen::VectorX<T>& q, Eigen::VectorX<T>& squared_units,
                   Eigen::VectorX<T>& answer) {
    const T inverse = T(1) / (T(state.weight[0]) + T(1));
    for (Index j = 0; j < q.size(); ++j)
      squared_units[j] = detail::squared_unit(state.S(j, j), T(q[j] * q[j]), inverse, T(0));
    answer.setZero();
  }
};

/// Pairs for columns of unknown offset and unit: centred and scaled by moments that are kept beside the sums.
/// Predictions have an intercept and do not change when a column is shifted or rescaled. A column that has not varied
/// so far has the coefficient 0.
struct Standardised {
  static constexpr bool has_units = true;

  /// S and M of the centred pairs, and the means.
  template <class T>
  struct State : RowWeights<T>, Accumulators<T> {
    RunningOffset<T> input, target;  ///< the means of inputs (f) and targets (m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      RowWeights<T>::visit(visitor, self...);
      visitor(Name{.head = "first_input", .degree = 1}, self.input.first...);
      visitor(Name{.head = "mean_input", .degree = 1}, self.input.mean...);
      visitor(Name{.head = "first_target", .degree = 1}, self.target.first...);
      visitor(Name{.head = "mean_target", .degree = 1}, self.target.mean...);
      Accumulators<T>::visit(visitor, self...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  /// The state before the first pair.
  template <class T>
  static State<T> initial_state(Index inputs, Index targets) {
    State<T> state;
    state.input = RunningOffset<T>(inputs);
    state.target = RunningOffset<T>(targets);
    state.start(inputs, targets);
    return state;
  }

  /// Adds a pair and multiplies the earlier ones by L. Afterwards x and y hold the pair that S and M absorbed.
  template <class T>
  static void absorb(State<T>& state, Eigen::VectorX<T>& x, Eigen::VectorX<T>& y, const T& decay) {
    if (state.rows[0] == 0) {
      state.input.first = x;
      state.target.first = y;
    }
    const Counter<T> before = state.RowWeights<T>::absorb(decay), w = state.weight[0];
    state.input.subtract_from(x);
    state.target.subtract_from(y);
    state.input.absorb(x, T(w));
    state.target.absorb(y, T(w));
    const T share = std::sqrt(T(before / w));
    x *= share;
    y *= share;
    state.Accumulators<T>::absorb(x, y, decay);
  }

  /// Removes a pair that was absorbed at decay 1, by the steps of `absorb` backwards.
  template <class T>
  static void remove(State<T>& state, Eigen::VectorX<T>& x, Eigen::VectorX<T>& y) {
    const Counter<T> n = state.weight[0], after = n - 1;
    state.rows[0] -= 1;
    state.weight[0] = after;
    if (!(after > 0)) {
      state = initial_state<T>(x.size(), y.size());
      return;
    }
    state.input.subtract_from(x);
    state.target.subtract_from(y);
    state.input.mean -= x / T(after);
    state.target.mean -= y / T(after);
    const T stretch = std::sqrt(T(n / after));
    x *= stretch;
    y *= stretch;
    state.Accumulators<T>::remove(x, y);
  }

  /// state <- the pairs of `state` followed by those of `later`.
  template <class T>
  static void merge(State<T>& state, const State<T>& later, const T& decay) {
    if (later.rows[0] == 0) return;
    if (state.rows[0] == 0) {
      state = later;
      return;
    }
    Eigen::VectorX<T> x = state.input.difference(later.input), y = state.target.difference(later.target);
    const auto [L, before, share] = state.RowWeights<T>::merge(later, decay);
    state.input.mean += T(share) * x;
    state.target.mean += T(share) * y;
    x *= T(std::sqrt(before * share));
    y *= T(std::sqrt(before * share));
    state.Accumulators<T>::merge(later, L);
    state.Accumulators<T>::absorb(x, y, T(1));
  }

  /// Poses a query q: centres it, gives the inputs' standard deviations as units, and sets the answer at W = 0 to the
  /// mean target. The deviations include the query, which bounds its z-scores by sqrt(w) + 1/sqrt(w); otherwise
  /// z-scores would be unbounded, and the first predictions would suffer. A deviation of eight units in the last place
  /// or less is taken for rounding of the inputs, and the column is left out.
  template <class T>
  static void pose(const State<T>& state, Eigen::VectorX<T>& q, Eigen::VectorX<T>& squared_units,
                   Eigen::VectorX<T>& answer) {
    constexpr T rounding = T(8) * std::numeric_limits<T>::epsilon();
    const T w = T(state.weight[0]), inverse = T(1) / (w + T(1)), share = w * inverse;
    state.input.subtract_from(q);
    for (Index j = 0; j < q.size(); ++j) {
      const T first = std::abs(state.input.first[j]), mean = std::abs(state.input.first[j] + state.input.mean[j]);
      const T lost = rounding * (std::max)(first, mean);
      squared_units[j] = detail::squared_unit(state.S(j, j), T(share * q[j] * q[j]), inverse, T(w * lost * lost));
    }
    answer = state.target.first + state.target.mean;
  }
};

}  // namespace gdssm
