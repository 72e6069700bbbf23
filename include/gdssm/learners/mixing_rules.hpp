// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Online mixing of the predictions p_k of K experts: yhat = sum_k w_k p_k. When the target is known, every expert
// suffers a loss l_k, and the weights are updated. A mixing rule does this for each of m targets separately. A bank
// uses it as a program uses a learner:
//
//     rule.start(K, m)                    sizes everything
//     rule.mix(P)                         the mixture (m) of predictions P (m x K), valid until the next call
//     rule.update(P, y)                   learns that the targets were y (m); P is what was mixed last
//     rule.state(), set_state, merge      as a learner's
//
// The mixture of a single expert is exactly its prediction. `mix` and `update` allocate nothing.
//
// **AdaHedge** (de Rooij, van Erven, Grunwald, Koolen, JMLR 15, 2014) sets its learning rate eta from the losses
// themselves, so that neither their scale nor the length of the stream need be known:
//
//     (14)  w_k ~ exp(-eta R_k),    eta = ln K / (Delta + e),
//           Delta <- Delta + sum_k w_k l_k + 1/eta ln sum_k w_k exp(-eta l_k),
//
// where R_k is the total loss of expert k; Delta is the *mixability gap*, by which the mixture has fallen behind what
// mixing at rate eta could have lost; and e, a millionth of the largest loss so far, keeps rounding from breaking the
// ties of the first rows. To follow a best expert that changes, every expert keeps a share alpha / K of the total
// weight (fixed share; Herbster, Warmuth, Machine Learning 32, 1998), here written in units of loss, since eta changes:
//
//     (15)  R_k <- R_k + l_k,    v_k = exp(-eta R_k) / sum_j exp(-eta R_j),
//           R_k <- -1/eta ln( (1 - alpha) v_k + alpha / K )
//
// At the first losses eta is infinite: the mix loss is then the least of them, and (15) uses the next row's eta.
//
// For any losses and any sequence of experts that changes s times,
//
//     (16)  sum_t sum_k w_k l_k - sum_t l_{k(t)}  <=  Delta + (Delta + e) (1 + s ln(K / alpha) / ln K)
//                                                          + sum_t 1/eta_t ln(1 / (1 - alpha)),
//
// which `regret_bound` evaluates (proof in docs/theory.md, section 12). With squared losses the mixture's own loss is
// at most sum_k w_k l_k, by convexity.

namespace gdssm {

/// A mixing rule, see the top of this header.
template <class R>
concept MixingRule = std::copyable<R> &&
    requires(R r, const R& fixed, Index n, const Eigen::MatrixX<typename R::Scalar>& predictions,
             const Eigen::VectorX<typename R::Scalar>& y, const typename R::State& state) {
  r.start(n, n);
  { r.mix(predictions) } -> std::same_as<const Eigen::VectorX<typename R::Scalar>&>;
  r.update(predictions, y);
  { fixed.state() } -> std::convertible_to<typename R::State>;
  r.set_state(state);
  r.merge(state);
};

namespace detail {

/// yhat <- p_1 + sum_k w_k (p_k - p_1), which equals sum_k w_k p_k and is exact where all experts agree.
template <class T>
void weigh(const Eigen::MatrixX<T>& predictions, const Eigen::MatrixX<T>& weights, Eigen::VectorX<T>& mixture) {
  for (Index i = 0; i < mixture.size(); ++i) {
    T sum(0);
    for (Index k = 1; k < weights.rows(); ++k) sum += weights(k, i) * (predictions(i, k) - predictions(i, 0));
    mixture[i] = saturated(T(predictions(i, 0) + sum));
  }
}

/// Whether all experts give the same prediction. Such a row, often the first of a stream, says nothing about any of
/// them.
template <class T>
bool agree(const Eigen::MatrixX<T>& predictions, Index target) {
  return predictions.row(target).maxCoeff() == predictions.row(target).minCoeff();
}

}  // namespace detail

/// The state of `AdaHedge` for K experts and m targets.
template <class T>
struct AdaHedgeState {
  using Sum = Counter<T>;  ///< the type of losses and sums of them

  Eigen::MatrixX<Sum> losses;   ///< R (K x m), the least of each column subtracted
  Eigen::VectorX<Sum> gap;      ///< Delta (m)
  Eigen::VectorX<Sum> floor;    ///< e (m)
  Eigen::VectorX<Sum> sharing;  ///< sum_t 1/eta_t ln(1 / (1 - alpha)) (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"losses"}, self.losses...);
    visitor(Name{"gap"}, self.gap...);
    visitor(Name{"floor"}, self.floor...);
    visitor(Name{"sharing"}, self.sharing...);
  }
  friend bool operator==(const AdaHedgeState& a, const AdaHedgeState& b) { return identical(a, b); }
};

/// AdaHedge, (14) with (15), for squared losses l_k = (p_k - y)^2. Sums of losses are of type Counter<T>, so that
/// single losses still count beside large sums.
/// Errors  std::invalid_argument: a share outside [0, 1)
template <class T = double>
class AdaHedge : public StateBase<AdaHedge<T>, AdaHedgeState<T>, T> {
  using Base = StateBase<AdaHedge, AdaHedgeState<T>, T>;

 public:
  using Scalar = T;
  using Matrix = Eigen::MatrixX<T>;
  using Vector = Eigen::VectorX<T>;
  using Sum = Counter<T>;  ///< the type of losses and sums of them
  using State = AdaHedgeState<T>;
  static constexpr auto name = "AdaHedge";

  /// Takes the share alpha, in [0, 1). With 0 this is (14) alone.
  explicit AdaHedge(T share = T(0)) : share_(share) {
    if (!(share >= T(0)) || !(share < T(1))) refuse(name, "share is ", share, ", expected at least 0 and below 1");
  }

  void start(Index experts, Index targets) {
    weights_.setZero(experts, targets);
    mixture_.setZero(targets);
    losses_ = exponentials_ = Eigen::VectorX<Sum>::Zero(experts);
    state_.losses.setZero(experts, targets);
    state_.gap = state_.floor = state_.sharing = Eigen::VectorX<Sum>::Zero(targets);
    weigh_anew();
  }

  const Vector& mix(const Matrix& predictions) {
    detail::weigh(predictions, weights_, mixture_);
    return mixture_;
  }

  void update(const Matrix& predictions, const Vector& y) {
    const Index K = weights_.rows();
    if (K == 1) return;
    for (Index i = 0; i < weights_.cols(); ++i) {
      if (detail::agree(predictions, i)) continue;
      losses_ = (predictions.row(i).transpose().template cast<Sum>().array() - Sum(y[i])).square();
      const Sum eta = rate(i), largest = losses_.cwiseAbs().maxCoeff();
      losses_.array() -= losses_.minCoeff();
      Sum mean(0);
      for (Index k = 0; k < K; ++k) mean += Sum(weights_(k, i)) * losses_[k];

      // From R and R + l, each relative to its least entry, not from the weights: one that is 0 in T may lead next.
      auto R = state_.losses.col(i);
      const Sum before = std::log(exponentials(eta, i));
      R += losses_;
      const Sum least = R.minCoeff();
      R.array() -= least;
      const Sum mix_loss = least + (before - std::log(exponentials(eta, i))) / eta;
      state_.gap[i] += (std::max)(mean - mix_loss, Sum(0));
      state_.floor[i] = (std::max)(state_.floor[i], Sum(1e-6) * largest);
      if (share_ > T(0)) share(eta < infinity ? eta : rate(i), i);
    }
    weigh_anew();
  }

  /// The weights (K x m) of the next mixture.
  const Matrix& weights() const { return weights_; }

  /// (16): by how much the mixture may have lost more, so far, than any sequence of experts with this many changes.
  /// Infinite for changes > 0 if alpha is 0.
  Sum regret_bound(Index target = 0, Index changes = 0) const {
    const auto K = static_cast<Sum>(weights_.rows());
    if (K <= Sum(1)) return Sum(0);
    const Sum price = changes == 0 ? Sum(0) : static_cast<Sum>(changes) * std::log(K / Sum(share_)) / std::log(K);
    return state_.gap[target] + (state_.gap[target] + state_.floor[target]) * (Sum(1) + price) + state_.sharing[target];
  }

  void set_state(const State& state) {
    Base::set_state(state);
    weigh_anew();
  }
  /// Adds up losses, gaps and the share's cost.
  void merge_valid(const State& later) {
    state_.losses += later.losses;
    state_.losses.rowwise() -= state_.losses.colwise().minCoeff().eval();
    state_.gap += later.gap;
    state_.floor = state_.floor.cwiseMax(later.floor);
    state_.sharing += later.sharing;
    weigh_anew();
  }

 private:
  using Base::state_;

  static constexpr Sum infinity = std::numeric_limits<Sum>::infinity();

  Sum rate(Index target) const {
    const Sum gap = state_.gap[target] + state_.floor[target];
    return gap > Sum(0) ? std::log(static_cast<Sum>(weights_.rows())) / gap : infinity;
  }

  /// exponentials_ <- exp(-eta R), whose largest entry is 1; returns their sum.
  Sum exponentials(const Sum& eta, Index target) {
    const auto R = state_.losses.col(target).array();
    if (eta < infinity)
      exponentials_ = (-eta * R).exp();
    else
      exponentials_ = (R > Sum(0)).select(Sum(0), Eigen::VectorX<Sum>::Ones(R.size()).array());
    return exponentials_.sum();
  }

  void weigh_anew() {
    for (Index i = 0; i < weights_.cols(); ++i) {
      const Sum sum = exponentials(rate(i), i);
      weights_.col(i) = (exponentials_ / sum).template cast<T>();
    }
  }

  void share(const Sum& eta, Index target) {
    if (!(eta < infinity)) return;
    auto R = state_.losses.col(target);
    const Sum sum = exponentials(eta, target), alpha(share_), part = alpha / static_cast<Sum>(R.size());
    for (Index k = 0; k < R.size(); ++k) {
      const Sum shared = (Sum(1) - alpha) * exponentials_[k] / sum + part;
      R[k] = -std::log((std::max)(shared, (std::numeric_limits<Sum>::min)())) / eta;
    }
    R.array() -= R.minCoeff();
    state_.sharing[target] -= std::log1p(-alpha) / eta;
  }

  T share_;
  Matrix weights_;
  Eigen::VectorX<Sum> losses_, exponentials_;
  Vector mixture_;
};

/// The state of `LogScore` for K experts and m targets.
template <class T>
struct LogScoreState {
  Eigen::MatrixX<T> weights;           ///< (K x m)
  Eigen::MatrixX<Counter<T>> squares;  ///< S (K x m)
  Eigen::VectorX<Counter<T>> weight;   ///< W (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"weights"}, self.weights...);
    visitor(Name{"squares"}, self.squares...);
    visitor(Name{"weight"}, self.weight...);
  }
  friend bool operator==(const LogScoreState& a, const LogScoreState& b) { return identical(a, b); }
};

/// Weights by how probable each expert's predictions made the targets. The density of a target is a Student t (4
/// degrees of freedom) around p_k, with a width from the expert's recent errors,
///     w_k <- w_k^c d_k^a,     d_k = v_k^(-1/2) (1 + (y - p_k)^2 / (4 v_k))^(-5/2),     w <- (1 - alpha) w + alpha / K,
///     v_k = (S_k + 2 median(S) / W) / (W + 2),     S_k <- D S_k + (y - p_k)^2,     W <- D W + 1.
/// Rows on which all experts agree change nothing: the mixture is then the same for any weights, and the first such
/// rows, when nothing is known yet, would only widen all v_k. Heavy tails forgive single misses. The power a, at most
/// 1, allows for experts whose errors are correlated. The share and the discount c let the best expert change. For
/// c = 1 the mixture's density satisfies, for any targets and any sequence of experts that changes n times in T rows,
///     sum -ln sum_k w_k d_k - sum -ln d_{k(t)}  <=  (ln K + n ln(K / alpha) + (T - 1 - n) ln(1 / (1 - alpha))) / a.
/// The T rows are those on which experts differ and some S_k is above 0, which holds after the first such row. v_k is
/// kept at or above 1e-12 of the largest, and w_k above 0.
/// Source  Bayesian model averaging with forgetting: Raftery, Karny, Ettler, Technometrics 52, 2010; the bound:
///         Herbster, Warmuth, Machine Learning 32, 1998
template <class T = double>
class LogScore : public StateBase<LogScore<T>, LogScoreState<T>, T> {
 public:
  using Scalar = T;
  using Matrix = Eigen::MatrixX<T>;
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "LogScore";

  struct Settings {
    T decay = T(0.98);   ///< D, of the squared errors
    T share = T(0.001);  ///< alpha
    T rate = T(0.5);     ///< a, in [0, 1]
    T discount = T(1);   ///< c, in (0, 1]
  };

  explicit LogScore(Settings settings = {}) : settings_(settings) {
    detail::expect_decay(name, settings.decay);
    detail::expect_decay(name, settings.discount);
    if (!(settings.rate >= T(0)) || !(settings.rate <= T(1)))
      refuse(name, "rate is ", settings.rate, ", expected from 0 to 1");
    if (!(settings.share >= T(0)) || !(settings.share < T(1)))
      refuse(name, "share is ", settings.share, ", expected at least 0 and below 1");
  }

  void start(Index experts, Index targets) {
    state_.weights.setConstant(experts, targets, T(1) / static_cast<T>(experts));
    state_.squares.setZero(experts, targets);
    state_.weight.setZero(targets);
    scratch_ = errors_ = Eigen::VectorX<Counter<T>>::Zero(experts);
    mixture_.setZero(targets);
  }

  const Vector& mix(const Matrix& predictions) {
    detail::weigh(predictions, state_.weights, mixture_);
    return mixture_;
  }

  void update(const Matrix& predictions, const Vector& y) {
    const Index K = state_.weights.rows();
    if (K == 1) return;
    for (Index i = 0; i < y.size(); ++i) {
      if (detail::agree(predictions, i)) continue;
      if (state_.squares.col(i).maxCoeff() > 0) weigh(predictions, y[i], i);
      for (Index k = 0; k < K; ++k) {
        const Counter<T> e = y[i] - predictions(i, k);
        state_.squares(k, i) = settings_.decay * state_.squares(k, i) + e * e;
      }
      state_.weight[i] = settings_.decay * state_.weight[i] + T(1);
    }
  }

  /// The weights (K x m) of the next mixture.
  const Matrix& weights() const { return state_.weights; }

  /// Multiplies weights and adds up recent errors.
  void merge_valid(const LogScoreState<T>& later) {
    for (Index i = 0; i < state_.weight.size(); ++i) {
      const Counter<T> W = later.weight[i], faded = (std::max)(Counter<T>(0), 1 - (T(1) - settings_.decay) * W);
      state_.weights.col(i).array() *= later.weights.col(i).array();
      const T sum = state_.weights.col(i).sum();
      if (sum > T(0))
        state_.weights.col(i) /= sum;
      else
        state_.weights.col(i) = later.weights.col(i);
      state_.squares.col(i) = faded * state_.squares.col(i) + later.squares.col(i);
      state_.weight[i] = faded * state_.weight[i] + W;
    }
  }

 private:
  using StateBase<LogScore, LogScoreState<T>, T>::state_;

  static constexpr Counter<T> least_weight = (std::numeric_limits<T>::min)();  // a weight of 0 could never recover

  void weigh(const Matrix& predictions, const T& y, Index i) {
    using Sum = Counter<T>;
    const Index K = state_.weights.rows();
    const Sum W = state_.weight[i];
    scratch_ = state_.squares.col(i);
    const Sum most = scratch_.maxCoeff();
    std::nth_element(scratch_.data(), scratch_.data() + K / 2, scratch_.data() + K);
    Sum median = scratch_[K / 2];
    if (K % 2 == 0) median = (median + *std::max_element(scratch_.data(), scratch_.data() + K / 2)) / Sum(2);
    const Sum prior = Sum(2) * median / W,
              floor = (std::max)(Sum(1e-12) * (most + prior) / (W + Sum(2)), (std::numeric_limits<Sum>::min)());
    const auto w = state_.weights.col(i).template cast<Sum>().array();
    const auto variance = (state_.squares.col(i).array() + prior) / (W + Sum(2));
    const auto v = (variance.max)(floor);
    errors_ = Sum(y) - predictions.row(i).transpose().template cast<Sum>().array();
    const auto e = errors_.array();
    const auto tail = Sum(1) + e / v * e / Sum(4);
    scratch_ = Sum(settings_.discount) * (w.max)(least_weight).log() -
               Sum(settings_.rate) / Sum(2) * (v.log() + Sum(5) * (tail.min)((std::numeric_limits<Sum>::max)()).log());
    const Sum best = scratch_.maxCoeff();
    if (!(best > -std::numeric_limits<Sum>::infinity())) return;
    scratch_ = (scratch_.array() - best).exp();
    const Sum alpha(settings_.share), part = alpha / static_cast<Sum>(K);
    scratch_ = ((Sum(1) - alpha) / scratch_.sum() * scratch_).array() + part;
    state_.weights.col(i) = scratch_.cwiseMax(least_weight).template cast<T>();
  }

  Settings settings_;
  Eigen::VectorX<Counter<T>> scratch_, errors_;
  Vector mixture_;
};

}  // namespace gdssm
