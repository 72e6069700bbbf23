// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/regression.hpp"

namespace gdssm {

/// Ridge regression on the last `window` pairs: a new pair is added to the sums, and the pair that leaves is
/// subtracted. Subtraction leaves rounding of the size of what was subtracted. The sums are therefore built anew from
/// the rows that are kept,
///     (62)  every `window` rows, and at once when sum_i (x_ij - mean_j)^2 over the window is less than what one row
///           that has left since took from it (the same for each target),
/// so that in each of these sums rounding stays below c n^2 epsilon of the sum itself, n the window, c about 10. A
/// column that has become constant in the window is found to be so.
/// Shapes  x (f), y (m), memory window (f + m); cost as `RidgeLearner`'s, n f^2 where the sums are built anew
/// Errors  those of `RegressionLearner`; a window below 1; a state with rows that cannot be observed
/// Source  docs/theory.md, other learners in this notation
template <class T = double, class Pairs = Standardised>
class SlidingWindowLearner : public LearnerBase<SlidingWindowLearner<T, Pairs>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  using Ridge = RidgeLearner<T, Pairs>;  ///< the learner of the window's rows
  static constexpr auto name = "SlidingWindowLearner";

  struct State {
    typename Ridge::State window;                 ///< the sums over the window
    Count<T> position;                            ///< of the next row
    Eigen::MatrixX<T> inputs, targets;            ///< the rows of the window, in columns by position
    Eigen::VectorX<T> left_inputs, left_targets;  ///< the most that one row has taken since the sums were built (f, m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("window", visitor, self.window...);
      visitor(Name{"position"}, self.position...);
      visitor(Name{.head = "inputs", .degree = 1}, self.inputs...);
      visitor(Name{.head = "targets", .degree = 1}, self.targets...);
      visitor(Name{"left_inputs"}, self.left_inputs...);
      visitor(Name{"left_targets"}, self.left_targets...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  SlidingWindowLearner(Index inputs, Index targets, Index window = 100, T ridge = T(1))
      : LearnerBase<SlidingWindowLearner, T>(inputs, targets),
        window_(inputs, targets, {.ridge = ridge}),
        start_(window_) {
    if (window < 1) refuse(name, "window is ", window, ", expected at least 1");
    inputs_.setZero(inputs, window);
    targets_.setZero(targets, window);
    before_ = left_inputs_ = Vector::Zero(inputs);
    left_targets_ = Vector::Zero(targets);
  }

  Index window() const { return inputs_.cols(); }  ///< the number of pairs that are remembered

  const Vector& predict_valid(const Vector& x) { return window_.predict_valid(x); }

  void observe_valid(const Vector& x, const Vector& y) {
    const auto at = static_cast<Index>(position_[0]);
    if (window_.state().rows[0] == Counter<T>(window())) remove(at);
    window_.observe_valid(x, y);
    inputs_.col(at) = x;
    targets_.col(at) = y;
    position_[0] = static_cast<Counter<T>>((at + 1) % window());
    if (at + 1 == window() || has_cancelled()) build_anew();
  }

  State state() const { return {window_.state(), position_, inputs_, targets_, left_inputs_, left_targets_}; }
  void set_state(const State& state) {
    expect_rows_within(state);
    window_.set_state(state.window);
    position_ = state.position;
    inputs_ = state.inputs;
    targets_ = state.targets;
    left_inputs_ = state.left_inputs;
    left_targets_ = state.left_targets;
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
  /// Takes the row at this position out of the sums, and notes what it takes from them.
  void remove(Index at) {
    before_ = window_.state().S.diagonal();
    for (Index i = 0; i < targets_.rows(); ++i) {
      const T d = targets_(i, at) - mean_target(i);
      left_targets_[i] = (std::max)(left_targets_[i], T(d * d));
    }
    window_.remove(inputs_.col(at), targets_.col(at));
    left_inputs_ = left_inputs_.cwiseMax(before_ - window_.state().S.diagonal());
  }

  bool has_cancelled() const {
    const auto& S = window_.state().S;
    for (Index j = 0; j < S.rows(); ++j)
      if (S(j, j) < left_inputs_[j]) return true;
    const auto rows = static_cast<Index>(window_.state().rows[0]);
    for (Index i = 0; i < targets_.rows(); ++i)
      if (left_targets_[i] > T(0) &&
          (targets_.row(i).head(rows).array() - mean_target(i)).square().sum() < left_targets_[i])
        return true;
    return false;
  }

  T mean_target(Index i) const {
    if constexpr (requires { window_.state().target; })
      return window_.state().target.first[i] + window_.state().target.mean[i];
    else
      return T(0);
  }

  /// The sums over the rows that are kept, from the earliest to the latest.
  void build_anew() {
    const auto rows = static_cast<Index>(window_.state().rows[0]), end = static_cast<Index>(position_[0]);
    window_ = start_;
    for (Index i = 0; i < rows; ++i) {
      const Index at = (end - rows + i + window()) % window();
      window_.observe(inputs_.col(at), targets_.col(at));
    }
    left_inputs_.setZero();
    left_targets_.setZero();
  }

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

  Ridge window_, start_;
  Count<T> position_ = Count<T>::Zero();
  Eigen::MatrixX<T> inputs_, targets_;
  Vector left_inputs_, left_targets_, before_;
};

}  // namespace gdssm
