// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Mixing the predictions p_k of K experts as the stream goes. Weights w_k answer yhat = sum_k w_k p_k; then every
// expert suffers a loss l_k, and its weight falls. AdaHedge (de Rooij, van Erven, Grunwald, Koolen, JMLR 15, 2014)
// takes the rate of that from the losses themselves, so that neither their size nor the length of the stream need be
// known:
//
//     (14)  w_k ~ exp(-eta R_k),      eta = ln K / Delta,      Delta <- Delta + sum_k w_k l_k + 1/eta ln sum_k w_k
//     exp(-eta l_k),
//
// R_k being what expert k has lost, and Delta the *mixability gap*: how far the mixture has fallen behind what mixing
// at rate eta could have lost. To follow a best expert that changes, every expert keeps a share alpha / K of what all
// have (fixed share; Herbster, Warmuth, Machine Learning 32, 1998), here in units of loss, since eta changes:
//
//     (15)  R_k <- R_k + l_k,      R_k <- -1/eta ln( (1 - alpha) v_k + alpha / K ),      v_k = exp(-eta R_k) / sum_j
//     exp(-eta R_j)
//
// Then for any losses, however chosen, and any sequence of experts that changes s times,
//
//     (16)  sum_t sum_k w_k l_k - sum_t l_{k(t)}  <=  Delta (2 + s ln(K / alpha) / ln K) + sum_t 1/eta_t ln(1 / (1 -
//     alpha)),
//
// which `regret_bound` evaluates (proof in docs/theory.md, Learners). With squared losses the mixture's own loss is at
// most sum_k w_k l_k, by convexity; with their linearisation at yhat, l_k = 2 (yhat - y) p_k, (16) holds against the
// best *fixed combination* of experts (s = 0) in place of the best expert, since the squared loss lies above its
// tangent.

namespace gdssm {

/// l_k = (p_k - y)^2: the mixture is to do as well as the best expert.
struct SquaredLoss {
  template <class T>
  static T of(const T& prediction, const T& /*mixture*/, const T& target) {
    return (prediction - target) * (prediction - target);
  }
};

/// l_k = 2 (yhat - y) p_k: the mixture is to do as well as the best convex combination of experts.
struct LinearisedLoss {
  template <class T>
  static T of(const T& prediction, const T& mixture, const T& target) {
    return T(2) * (mixture - target) * (prediction - target);
  }
};

/// (14) with (15), for each target by itself. One expert has the weight 1.
/// Shapes  predictions (m x K), mixture and target (m), weights (K x m)
template <class Loss = SquaredLoss, class T = double>
class AdaHedge {
 public:
  using Scalar = T;

  /// What weights depend on.
  struct State {
    Eigen::MatrixX<T> losses;   ///< R (K x m), the least of each column 0
    Eigen::VectorX<T> gap;      ///< Delta (m)
    Eigen::VectorX<T> sharing;  ///< sum_t 1/eta_t ln(1 / (1 - alpha)) (m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"losses"}, self.losses...);
      visitor(Name{"gap"}, self.gap...);
      visitor(Name{"sharing"}, self.sharing...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  /// alpha, at least 0 and below 1; at 0 (14) alone.
  explicit AdaHedge(T share = T(0)) : share_(share) {
    if (!(share >= T(0)) || !(share < T(1)))
      refuse("AdaHedge", "share is ", share, ", expected at least 0 and below 1");
  }

  State initial_state(Index experts, Index targets) const {
    return {Eigen::MatrixX<T>::Zero(experts, targets), Eigen::VectorX<T>::Zero(targets),
            Eigen::VectorX<T>::Zero(targets)};
  }

  /// weights <- those of the next prediction.
  void weights(const State& state, Eigen::MatrixX<T>& weights) const {
    for (Index i = 0; i < weights.cols(); ++i) {
      const T eta = rate(state, i);
      T sum(0);
      for (Index k = 0; k < weights.rows(); ++k) sum += weights(k, i) = exponential(eta, state.losses(k, i));
      weights.col(i) /= sum;
    }
  }

  /// A target is known: `weights` are those that made the mixture, and `losses` is scratch (K).
  template <class Y>
  void update(const Eigen::MatrixX<T>& predictions, const Eigen::VectorX<T>& mixture,
              const Eigen::MatrixBase<Y>& target, const Eigen::MatrixX<T>& weights, Eigen::VectorX<T>& losses,
              State& state) const {
    const Index K = weights.rows();
    if (K == 1) return;
    for (Index i = 0; i < weights.cols(); ++i) {
      for (Index k = 0; k < K; ++k) losses[k] = Loss::template of<T>(predictions(i, k), mixture[i], target[i]);
      const T eta = rate(state, i), least = losses.minCoeff();
      T mean(0), sum(0);  // of l - least under w; of w exp(-eta (l - least))
      for (Index k = 0; k < K; ++k) {
        mean += weights(k, i) * (losses[k] - least);
        sum += weights(k, i) * exponential(eta, T(losses[k] - least));
      }
      T mix(0);  // at infinite eta, the least loss among experts of weight
      if (eta == infinity) {
        mix = infinity;
        for (Index k = 0; k < K; ++k)
          if (weights(k, i) > T(0)) mix = std::min(mix, T(losses[k] - least));
      } else {
        mix = sum > T(0) ? -std::log(sum) / eta : mean;
      }
      state.gap[i] += std::max(mean - mix, T(0));

      auto R = state.losses.col(i);
      R += losses;
      R.array() -= R.minCoeff();
      if (share_ > T(0) && eta < infinity) share(eta, R, state.sharing[i]);
    }
  }

  /// What the mixture may have lost more, up to now, than a sequence of experts with so many changes: (16).
  /// Infinite with changes when alpha is 0.
  T regret_bound(const State& state, Index target, Index changes = 0) const {
    const auto K = static_cast<T>(state.losses.rows());
    if (K <= T(1)) return T(0);
    const T price = changes == 0 ? T(0) : static_cast<T>(changes) * std::log(K / share_) / std::log(K);
    return state.gap[target] * (T(2) + price) + state.sharing[target];
  }

  /// What either state's experts have lost adds up.
  static void merge(State& state, const State& later) {
    state.losses += later.losses;
    state.losses.rowwise() -= state.losses.colwise().minCoeff().eval();
    state.gap += later.gap;
    state.sharing += later.sharing;
  }

 private:
  static constexpr T infinity = std::numeric_limits<T>::infinity();

  T rate(const State& state, Index target) const {
    const T gap = state.gap[target], eta = std::log(static_cast<T>(state.losses.rows())) / gap;
    return gap > T(0) ? eta : infinity;
  }
  static T exponential(const T& eta, const T& loss) { return loss > T(0) ? std::exp(-eta * loss) : T(1); }

  template <class Column>
  void share(const T& eta, Column&& R, T& price) const {
    const auto K = static_cast<T>(R.size());
    T sum(0);
    for (Index k = 0; k < R.size(); ++k) sum += R[k] = exponential(eta, R[k]);
    for (Index k = 0; k < R.size(); ++k) R[k] = -std::log((T(1) - share_) * R[k] / sum + share_ / K) / eta;
    R.array() -= R.minCoeff();
    price -= std::log1p(-share_) / eta;
  }

  T share_;
};

}  // namespace gdssm
