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

// Mixing the predictions p_k of K experts as the stream goes, by weights: yhat = sum_k w_k p_k. Then the target is
// known, every expert suffers a loss l_k, and weights move. A rule of mixing does this for each of m targets by itself,
// and is to a bank what a learner is to a program:
//
//     rule.start(K, m)                    sizes all it needs
//     rule.mix(P)                         the mixture (m) of predictions P (m x K), which stands until the next call
//     rule.update(P, y)                   learns that the targets were y (m); P is what was mixed last
//     rule.state(), set_state, merge      as a learner's
//
// A mixture of one expert is its prediction, to the bit. `mix` and `update` allocate nothing.
//
// **AdaHedge** (de Rooij, van Erven, Grunwald, Koolen, JMLR 15, 2014) takes the rate at which weights fall from the
// losses themselves, so that neither their size nor the length of the stream need be known:
//
//     (14)  w_k ~ exp(-eta R_k),    eta = ln K / (Delta + e),
//           Delta <- Delta + sum_k w_k l_k + 1/eta ln sum_k w_k exp(-eta l_k),
//
// R_k being what expert k has lost, Delta the *mixability gap*, how far the mixture has fallen behind what mixing at
// rate eta could have lost, and e a millionth of the largest loss so far, so that rounding does not break the ties of
// the first rows. To follow a best expert that changes, every expert keeps a share alpha / K of what all have (fixed
// share; Herbster, Warmuth, Machine Learning 32, 1998), here in units of loss, since eta changes:
//
//     (15)  R_k <- R_k + l_k,    v_k = exp(-eta R_k) / sum_j exp(-eta R_j),
//           R_k <- -1/eta ln( (1 - alpha) v_k + alpha / K )
//
// Then for any losses, however chosen, and any sequence of experts that changes s times,
//
//     (16)  sum_t sum_k w_k l_k - sum_t l_{k(t)}  <=  Delta + (Delta + e) (1 + s ln(K / alpha) / ln K)
//                                                          + sum_t 1/eta_t ln(1 / (1 - alpha)),
//
// which `regret_bound` evaluates (proof in docs/theory.md, section 12). With squared losses the mixture's own loss is
// at most sum_k w_k l_k, by convexity; with their linearisation at yhat, l_k = 2 (yhat - y) (p_k - y), (16) holds
// against the best *fixed combination* of experts (s = 0) in place of the best expert, since the squared loss lies
// above its tangent.

namespace gdssm {

/// A rule of mixing, see the top of this header.
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

/// yhat <- sum_k w_k p_k, as p_1 + sum_k w_k (p_k - p_1): where all agree, what they say, to the bit.
template <class T>
void weigh(const Eigen::MatrixX<T>& predictions, const Eigen::MatrixX<T>& weights, Eigen::VectorX<T>& mixture) {
  for (Index i = 0; i < mixture.size(); ++i) {
    T sum(0);
    for (Index k = 1; k < weights.rows(); ++k) sum += weights(k, i) * (predictions(i, k) - predictions(i, 0));
    mixture[i] = saturated(T(predictions(i, 0) + sum));
  }
}

/// Whether all experts answer the same: such a row says nothing of any of them. The first ones, before anything is
/// known, are among these.
template <class T>
bool agree(const Eigen::MatrixX<T>& predictions, Index target) {
  return predictions.row(target).maxCoeff() == predictions.row(target).minCoeff();
}

}  // namespace detail

/// l_k = (p_k - y)^2: the mixture is to do as well as the best expert.
struct SquaredLoss {
  /// The loss of a prediction.
  template <class T>
  static T of(const T& prediction, const T& /*mixture*/, const T& target) {
    return (prediction - target) * (prediction - target);
  }
};

/// l_k = 2 (yhat - y) (p_k - y): the mixture is to do as well as the best convex combination of experts.
struct LinearisedLoss {
  /// The loss of a prediction beside the mixture's.
  template <class T>
  static T of(const T& prediction, const T& mixture, const T& target) {
    return T(2) * (mixture - target) * (prediction - target);
  }
};

/// (14) with (15).
/// Errors  std::invalid_argument: a share below 0, or 1 and above
template <class Loss = SquaredLoss, class T = double>
class AdaHedge {
 public:
  using Scalar = T;
  using Matrix = Eigen::MatrixX<T>;
  using Vector = Eigen::VectorX<T>;

  struct State {
    Matrix losses;   ///< R (K x m), the least of each column 0
    Vector gap;      ///< Delta (m)
    Vector floor;    ///< e (m)
    Vector sharing;  ///< sum_t 1/eta_t ln(1 / (1 - alpha)) (m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"losses"}, self.losses...);
      visitor(Name{"gap"}, self.gap...);
      visitor(Name{"floor"}, self.floor...);
      visitor(Name{"sharing"}, self.sharing...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  /// alpha, at least 0 and below 1; at 0 (14) alone.
  explicit AdaHedge(T share = T(0)) : share_(share) {
    if (!(share >= T(0)) || !(share < T(1))) refuse(name, "share is ", share, ", expected at least 0 and below 1");
  }

  void start(Index experts, Index targets) {
    mixture_.setZero(targets);
    state_ = {Matrix::Zero(experts, targets), mixture_, mixture_, mixture_};
    weights_ = state_.losses;
    losses_.setZero(experts);
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
      for (Index k = 0; k < K; ++k) losses_[k] = Loss::template of<T>(predictions(i, k), mixture_[i], y[i]);
      const T eta = rate(i), least = losses_.minCoeff();
      T mean(0), sum(0), best = infinity;  // of l - least under w; of w exp(-eta (l - least)); among those of weight
      for (Index k = 0; k < K; ++k) {
        const T w = weights_(k, i), excess = losses_[k] - least;
        mean += w * excess;
        sum += w * exponential(eta, excess);
        if (w > T(0)) best = std::min(best, excess);
      }
      const T mix_loss = eta < infinity && sum > T(0) ? -std::log(sum) / eta : best;
      state_.gap[i] += std::max(mean - mix_loss, T(0));
      state_.floor[i] = std::max(state_.floor[i], T(1e-6) * losses_.cwiseAbs().maxCoeff());

      auto R = state_.losses.col(i);
      R += losses_;
      R.array() -= R.minCoeff();
      if (share_ > T(0) && eta < infinity) share(eta, i);
    }
    weigh_anew();
  }

  /// The weights (K x m) of the next mixture.
  const Matrix& weights() const { return weights_; }

  /// What the mixture may have lost more, up to now, than a sequence of experts with so many changes: (16).
  /// Infinite with changes when alpha is 0.
  T regret_bound(Index target = 0, Index changes = 0) const {
    const auto K = static_cast<T>(weights_.rows());
    if (K <= T(1)) return T(0);
    const T price = changes == 0 ? T(0) : static_cast<T>(changes) * std::log(K / share_) / std::log(K);
    return state_.gap[target] + (state_.gap[target] + state_.floor[target]) * (T(1) + price) + state_.sharing[target];
  }

  const State& state() const { return state_; }
  void set_state(const State& state) {
    detail::expect_state(name, state_, state);
    state_ = state;
    weigh_anew();
  }
  /// Losses add up.
  void merge(const State& later) {
    detail::expect_state(name, state_, later);
    state_.losses += later.losses;
    state_.losses.rowwise() -= state_.losses.colwise().minCoeff().eval();
    state_.gap += later.gap;
    state_.floor = state_.floor.cwiseMax(later.floor);
    state_.sharing += later.sharing;
    weigh_anew();
  }

 private:
  static constexpr auto name = "AdaHedge";
  static constexpr T infinity = std::numeric_limits<T>::infinity();

  T rate(Index target) const {
    const T gap = state_.gap[target] + state_.floor[target];
    return gap > T(0) ? std::log(static_cast<T>(weights_.rows())) / gap : infinity;
  }
  static T exponential(const T& eta, const T& loss) { return loss > T(0) ? std::exp(-eta * loss) : T(1); }

  void weigh_anew() {
    for (Index i = 0; i < weights_.cols(); ++i) {
      const T eta = rate(i);
      const auto losses = state_.losses.col(i).array();
      if (eta < infinity)
        weights_.col(i) = (-eta * losses).exp();
      else
        weights_.col(i) = (losses > T(0)).select(T(0), Vector::Ones(losses.size()).array());
      weights_.col(i) /= weights_.col(i).sum();
    }
  }

  void share(const T& eta, Index target) {
    auto R = state_.losses.col(target);
    const auto K = static_cast<T>(R.size());
    T sum(0);
    for (Index k = 0; k < R.size(); ++k) sum += R[k] = exponential(eta, R[k]);
    for (Index k = 0; k < R.size(); ++k) R[k] = -std::log((T(1) - share_) * R[k] / sum + share_ / K) / eta;
    R.array() -= R.minCoeff();
    state_.sharing[target] -= std::log1p(-share_) / eta;
  }

  T share_;
  State state_;
  Matrix weights_;
  Vector losses_, mixture_;
};

/// Bernstein online aggregation: expert k's gains r_k = 2 (yhat - y) (yhat - p_k) over the mixture, less their squares,
///     R_k <- R_k + r_k - eta_k r_k^2,     w_k ~ eta_k exp(eta_k R_k),
///     eta_k = min(1 / max |r_k|, sqrt(ln K / sum r_k^2)).
/// The mixture falls behind the best fixed combination by the order of sqrt(ln K sum r_k^2): little where experts
/// agree.
/// Source  Wintenberger, Machine Learning 106, 2017
template <class T = double>
class Boa {
 public:
  using Scalar = T;
  using Matrix = Eigen::MatrixX<T>;
  using Vector = Eigen::VectorX<T>;

  struct State {
    Matrix gains;    ///< R (K x m)
    Matrix squares;  ///< sum of r^2 (K x m)
    Matrix most;     ///< largest |r| (K x m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"gains"}, self.gains...);
      visitor(Name{.head = "squares", .degree = 4}, self.squares...);
      visitor(Name{"most"}, self.most...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  void start(Index experts, Index targets) {
    weights_.setZero(experts, targets);
    state_ = {weights_, weights_, weights_};
    mixture_.setZero(targets);
    weigh_anew();
  }

  const Vector& mix(const Matrix& predictions) {
    detail::weigh(predictions, weights_, mixture_);
    return mixture_;
  }

  void update(const Matrix& predictions, const Vector& y) {
    if (weights_.rows() == 1) return;
    for (Index i = 0; i < weights_.cols(); ++i)
      for (Index k = 0; k < weights_.rows(); ++k) {
        const T r = unit(T(2) * (mixture_[i] - y[i]) * (mixture_[i] - predictions(i, k)));
        state_.most(k, i) = std::max(state_.most(k, i), std::abs(r));
        state_.squares(k, i) += r * r;
        state_.gains(k, i) += r - rate(k, i) * r * r;
      }
    weigh_anew();
  }

  /// The weights (K x m) of the next mixture.
  const Matrix& weights() const { return weights_; }

  const State& state() const { return state_; }
  void set_state(const State& state) {
    detail::expect_state(name, state_, state);
    state_ = state;
    weigh_anew();
  }
  /// Gains add up.
  void merge(const State& later) {
    detail::expect_state(name, state_, later);
    state_.gains += later.gains;
    state_.squares += later.squares;
    state_.most = state_.most.cwiseMax(later.most);
    weigh_anew();
  }

 private:
  static constexpr auto name = "Boa";

  static T unit(const T& r) {
    constexpr T most = T(detail::largest_gain<T>);
    return std::clamp(r, -most, most);
  }
  T rate(Index k, Index i) const {
    if (!(state_.squares(k, i) > T(0))) return T(0);
    const T variance = std::log(static_cast<T>(weights_.rows())) / state_.squares(k, i);
    return std::min(T(1) / state_.most(k, i), std::sqrt(variance));
  }

  void weigh_anew() {
    for (Index i = 0; i < weights_.cols(); ++i) {
      T most = -std::numeric_limits<T>::infinity(), sum(0);
      for (Index k = 0; k < weights_.rows(); ++k) {
        const T eta = rate(k, i);
        weights_(k, i) = std::log(eta) + eta * state_.gains(k, i);  // -infinity: it has never differed
        most = std::max(most, weights_(k, i));
      }
      for (Index k = 0; k < weights_.rows(); ++k)
        sum += weights_(k, i) = most > -std::numeric_limits<T>::infinity() ? std::exp(weights_(k, i) - most) : T(1);
      weights_.col(i) /= sum;
    }
  }

  State state_;
  Matrix weights_;
  Vector mixture_;
};

/// Weights by how probable each expert's predictions made the targets: a Student's t (4 degrees of freedom) around p_k,
/// as wide as the expert's recent errors,
///     w_k <- w_k^c d_k^a,     d_k = v_k^(-1/2) (1 + (y - p_k)^2 / (4 v_k))^(-5/2),     w <- (1 - alpha) w + alpha / K,
///     v_k = (S_k + 2 median(S) / W) / (W + 2),     S_k <- D S_k + (y - p_k)^2,     W <- D W + 1.
/// Heavy tails forgive single misses; the power a < 1 allows for experts that err together; the share and the discount
/// c let the best expert change. At c = 1 the density of the mixture obeys, for any targets and any sequence of experts
/// that changes n times in T rows,
///     sum -ln sum_k w_k d_k - sum -ln d_{k(t)}  <=  (ln K + n ln(K / alpha) + (T - 1 - n) ln(1 / (1 - alpha))) / a.
/// Source  Bayesian model averaging with forgetting: Raftery, Karny, Ettler, Technometrics 52, 2010; the bound:
///         Herbster, Warmuth, Machine Learning 32, 1998
template <class T = double>
class LogScore {
 public:
  using Scalar = T;
  using Matrix = Eigen::MatrixX<T>;
  using Vector = Eigen::VectorX<T>;

  struct Settings {
    T decay = T(0.98);   ///< D of the errors
    T share = T(0.001);  ///< alpha
    T rate = T(0.5);     ///< a
    T discount = T(1);   ///< c, in (0, 1]
  };

  struct State {
    Matrix weights;  ///< (K x m)
    Matrix squares;  ///< S (K x m)
    Vector weight;   ///< W (m)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"weights"}, self.weights...);
      visitor(Name{"squares"}, self.squares...);
      visitor(Name{"weight"}, self.weight...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit LogScore(Settings settings = {}) : settings_(settings) {
    detail::expect_decay(name, settings.decay);
    detail::expect_decay(name, settings.discount);
    detail::expect_at_least_zero(name, "rate", settings.rate);
    if (!(settings.share >= T(0)) || !(settings.share < T(1)))
      refuse(name, "share is ", settings.share, ", expected at least 0 and below 1");
  }

  void start(Index experts, Index targets) {
    state_.weights.setConstant(experts, targets, T(1) / static_cast<T>(experts));
    state_.squares.setZero(experts, targets);
    state_.weight.setZero(targets);
    scratch_ = errors_ = Vector::Zero(experts);
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
      if (state_.squares.col(i).maxCoeff() > T(0)) weigh(predictions, y[i], i);
      for (Index k = 0; k < K; ++k) {
        const T e = y[i] - predictions(i, k);
        state_.squares(k, i) = settings_.decay * state_.squares(k, i) + e * e;
      }
      state_.weight[i] = settings_.decay * state_.weight[i] + T(1);
    }
  }

  /// The weights (K x m) of the next mixture.
  const Matrix& weights() const { return state_.weights; }

  const State& state() const { return state_; }
  void set_state(const State& state) {
    detail::expect_state(name, state_, state);
    state_ = state;
  }
  /// Evidence multiplies, recent errors join.
  void merge(const State& later) {
    detail::expect_state(name, state_, later);
    for (Index i = 0; i < state_.weight.size(); ++i) {
      const T W = later.weight[i], faded = std::max(T(0), T(1) - (T(1) - settings_.decay) * W);
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
  static constexpr auto name = "LogScore";

  void weigh(const Matrix& predictions, const T& y, Index i) {
    const Index K = state_.weights.rows();
    const T W = state_.weight[i];
    scratch_ = state_.squares.col(i);
    const T most = scratch_.maxCoeff();
    std::nth_element(scratch_.data(), scratch_.data() + K / 2, scratch_.data() + K);
    T median = scratch_[K / 2];
    if (K % 2 == 0) median = (median + *std::max_element(scratch_.data(), scratch_.data() + K / 2)) / T(2);
    const T prior = T(2) * median / W,
            floor = std::max(T(1e-12) * (most + prior) / (W + T(2)), std::numeric_limits<T>::min());
    const auto w = state_.weights.col(i).array();
    const auto v = ((state_.squares.col(i).array() + prior) / (W + T(2))).max(floor);
    errors_ = y - predictions.row(i).transpose().array();
    const auto e = errors_.array();
    scratch_ = settings_.discount * w.max(std::numeric_limits<T>::min()).log() -
               settings_.rate / T(2) * (v.log() + T(5) * (T(1) + e / v * e / T(4)).log());
    const T best = scratch_.maxCoeff();
    if (!(best > -std::numeric_limits<T>::infinity())) return;
    scratch_ = (scratch_.array() - best).exp();
    state_.weights.col(i) =
        ((T(1) - settings_.share) / scratch_.sum() * scratch_).array() + settings_.share / static_cast<T>(K);
  }

  Settings settings_;
  State state_;
  Vector scratch_, errors_, mixture_;
};

}  // namespace gdssm
