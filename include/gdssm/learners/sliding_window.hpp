// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/regression.hpp"

namespace gdssm {

/// Ridge regression on the last `window` pairs: a new pair is added to the sums, and the pair that leaves is
/// subtracted. Subtraction leaves rounding of the size of what was subtracted. Therefore a second set of sums starts
/// every `window` rows, is only added to, and replaces the first set when it is full. A pair that has left the window
/// leaves no trace after another `window` rows.
/// Shapes  x (f), y (m), memory window (f + m); cost as `RidgeLearner`'s
/// Errors  those of `RegressionLearner`; a window below 1; a state with rows that cannot be observed
template <class T = double, class Pairs = Standardised>
class SlidingWindowLearner : public LearnerBase<SlidingWindowLearner<T, Pairs>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  using Ridge = RidgeLearner<T, Pairs>;  ///< the learner of the window's rows
  static constexpr auto name = "SlidingWindowLearner";

  struct State {
    typename Ridge::State window;       ///< the sums over the window
    typename Ridge::State begun;        ///< the sums over the rows of the current round
    Count<T> position;                  ///< of the next row in the round
    Eigen::MatrixX<T> inputs, targets;  ///< the rows of the window, in columns by position

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("window", visitor, self.window...);
      visit_part("begun", visitor, self.begun...);
      visitor(Name{"position"}, self.position...);
      visitor(Name{.head = "inputs", .degree = 1}, self.inputs...);
      visitor(Name{.head = "targets", .degree = 1}, self.targets...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  SlidingWindowLearner(Index inputs, Index targets, Index window = 100, T ridge = T(1))
      : LearnerBase<SlidingWindowLearner, T>(inputs, targets),
        window_(inputs, targets, {.ridge = ridge}),
        begun_(window_),
        start_(window_) {
    if (window < 1) refuse(name, "window is ", window, ", expected at least 1");
    inputs_.setZero(inputs, window);
    targets_.setZero(targets, window);
  }

  Index window() const { return inputs_.cols(); }  ///< the number of pairs that are remembered

  const Vector& predict_valid(const Vector& x) { return window_.predict_valid(x); }

  void observe_valid(const Vector& x, const Vector& y) {
    const auto at = static_cast<Index>(position_[0]);
    if (window_.state().rows[0] == Counter<T>(window())) window_.remove(inputs_.col(at), targets_.col(at));
    window_.observe_valid(x, y);
    begun_.observe_valid(x, y);
    inputs_.col(at) = x;
    targets_.col(at) = y;
    position_[0] += 1;
    if (at + 1 < window()) return;
    window_ = begun_;
    begun_ = start_;
    position_[0] = 0;
  }

  State state() const { return {window_.state(), begun_.state(), position_, inputs_, targets_}; }
  void set_state(const State& state) {
    expect_rows_within(state);
    window_.set_state(state.window);
    begun_.set_state(state.begun);
    position_ = state.position;
    inputs_ = state.inputs;
    targets_ = state.targets;
  }
  /// Observes the rows of the window of `later`.
  void merge(const State& later) {
    expect_rows_within(later);
    const auto rows = static_cast<Index>(later.window.rows[0]), end = static_cast<Index>(later.position[0]);
    for (Index i = 0; i < rows; ++i) {
      const Index at = (end - rows + i + window()) % window();
      this->observe(later.inputs.col(at), later.targets.col(at));
    }
  }

 private:
  void expect_rows_within(const State& other) const {
    detail::expect_state<T>(name, state(), other);
    expect_whole("position", other.position[0], window() - 1);
    expect_whole("window.rows", other.window.rows[0], window());
    expect_observable("inputs", other.inputs);
    expect_observable("targets", other.targets);
  }

  static void expect_whole(const char* member, const Counter<T>& number, Index most) {
    if (!(number <= Counter<T>(most)) || number != Counter<T>(static_cast<Index>(number)))
      refuse(name, "set_state: ", member, " is ", number, ", expected a whole number of at most ", most);
  }

  // Rows of the window are observed and removed later, so they must be rows that a learner accepts.
  static void expect_observable(const char* member, const Eigen::MatrixX<T>& rows) {
    if constexpr (std::is_floating_point_v<T>)
      if (!(rows.cwiseAbs().maxCoeff() <= T(largest_input<T>)))
        refuse(name, "set_state: ", member, " has an entry of magnitude ", rows.cwiseAbs().maxCoeff(),
               ", expected at most ", largest_input<T>);
  }

  Ridge window_, begun_, start_;
  Count<T> position_ = Count<T>::Zero();
  Eigen::MatrixX<T> inputs_, targets_;
};

}  // namespace gdssm
