// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/classes.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/mixing_rules.hpp"

namespace gdssm {

/// The state of `LogLossMixing` for K experts.
template <class T>
struct LogLossMixingState {
  Count<T> rows = Count<T>::Zero();    ///< labels seen
  Eigen::VectorX<Counter<T>> weights;  ///< w (K)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"weights"}, self.weights...);
  }
  friend bool operator==(const LogLossMixingState& a, const LogLossMixingState& b) { return identical(a, b); }
};

/// A mixing rule for classifiers: experts are weighed by how probable they made the labels, and every expert keeps a
/// share alpha / K,
///     (64)  p = sum_k w_k p_k,     v_k ~ w_k exp(-l_k),   l_k = -sum_j y_j ln p_kj,     w_k <- (1 - alpha) v_k +
///     alpha/K
/// from w_k = 1/K. All classes have the same weights. On any n labels, and for any sequence of experts that changes s
/// times, the mixture's total loss exceeds that of the sequence by at most
///     (65)  ln K + s ln(K / alpha) + (n - 1 - s) ln(1 / (1 - alpha)).
/// Since probabilities are mixed and log losses are mixable at rate 1, nothing is lost to the size of losses, and no
/// rate has to be learned.
/// Shapes  predictions (c x K), y (c)
/// Errors  std::invalid_argument: a share outside [0, 1), a target that is no label
/// Source  Vovk 1990; Herbster, Warmuth, Machine Learning 32, 1998; docs/theory.md, other learners in this notation
template <class T = double>
class LogLossMixing : public StateBase<LogLossMixing<T>, LogLossMixingState<T>, T> {
 public:
  using Scalar = T;
  using Matrix = Eigen::MatrixX<T>;
  using Vector = Eigen::VectorX<T>;
  using Sum = Counter<T>;  ///< the type of losses and sums of them
  static constexpr auto name = "LogLossMixing";

  explicit LogLossMixing(T share = T(0)) : share_(share) {
    if (!(share >= T(0)) || !(share < T(1))) refuse(name, "share is ", share, ", expected at least 0 and below 1");
  }

  void start(Index experts, Index classes) {
    state_.weights.setConstant(experts, Sum(1) / static_cast<Sum>(experts));
    scratch_ = state_.weights;
    mixture_.setZero(classes);
  }

  const Vector& mix(const Matrix& predictions) {
    const Index K = state_.weights.size();
    mixture_ = predictions.col(0);
    for (Index k = 1; k < K; ++k)  // exact where all experts agree
      mixture_ += static_cast<T>(state_.weights[k]) * (predictions.col(k) - predictions.col(0));
    mixture_ = mixture_.cwiseMax(T(0));  // of differences of tiny numbers rounding can leave less
    return mixture_;
  }

  void update(const Matrix& predictions, const Vector& y) {
    detail::expect_label(name, y);
    state_.rows[0] += 1;
    const Index K = state_.weights.size();
    if (K == 1) return;
    for (Index k = 0; k < K; ++k) {
      Sum loss(0);
      for (Index j = 0; j < y.size(); ++j)
        if (y[j] > T(0)) loss -= static_cast<Sum>(y[j]) * std::log(static_cast<Sum>(predictions(j, k)));
      scratch_[k] = std::log(state_.weights[k]) - loss;
    }
    const Sum best = scratch_.maxCoeff();
    if (!(best > -std::numeric_limits<Sum>::infinity())) return;  // no expert thought it possible
    scratch_ = (scratch_.array() - best).exp();
    const Sum alpha(share_), part = alpha / static_cast<Sum>(K);
    state_.weights = (Sum(1) - alpha) / scratch_.sum() * scratch_;
    state_.weights.array() += part;
  }

  /// The weights (K) of the next mixture.
  const Eigen::VectorX<Sum>& weights() const { return state_.weights; }

  /// (65): by how much the mixture may have lost more, so far, than any sequence of experts with this many changes.
  Sum regret_bound(Index changes = 0) const {
    const auto K = static_cast<Sum>(state_.weights.size()), s = static_cast<Sum>(changes);
    if (K <= Sum(1)) return Sum(0);
    const Sum stays = (std::max)(state_.rows[0] - Sum(1) - s, Sum(0));
    return std::log(K) + (changes == 0 ? Sum(0) : s * std::log(K / Sum(share_))) - stays * std::log1p(-Sum(share_));
  }

  /// Refuses weights that are no shares.
  static void expect_valid(const LogLossMixingState<T>& state) {
    if (!(state.weights.minCoeff() >= 0) || !(std::abs(state.weights.sum() - 1) <= 1e-6))
      refuse(name, "set_state: weights has entries from ", state.weights.minCoeff(), " and the sum ",
             state.weights.sum(), ", expected at least 0 and 1");
  }

  /// Multiplies weights, as if both stretches had begun with equal ones.
  void merge_valid(const LogLossMixingState<T>& later) {
    scratch_ = state_.weights.cwiseProduct(later.weights);
    const Sum sum = scratch_.sum();
    state_.weights = sum > Sum(0) ? Eigen::VectorX<Sum>(scratch_ / sum) : later.weights;
    state_.rows += later.rows;
  }

 private:
  using StateBase<LogLossMixing, LogLossMixingState<T>, T>::state_;

  T share_;
  Eigen::VectorX<Sum> scratch_;
  Vector mixture_;
};

}  // namespace gdssm
