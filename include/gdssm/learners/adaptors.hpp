// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Learners around a learner: each changes what the inner one gets to see or may answer, and is a learner again.

namespace gdssm {

/// The last targets as further inputs: z_t = [x_t; y_{t-1}; ...; y_{t-lags}]. Before there are as many, the first
/// target stands for those that are missing, and before the first one zero.
///     WithLags learner(f, 2, RidgeLearner<>(f + 2 * m, m));
/// Shapes  x (f), y (m); the inner learner has f + lags m inputs
/// Errors  those of `RegressionLearner`; an inner learner of other sizes, fewer than one lag
template <Learner Inner>
class WithLags {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Eigen::Matrix<Counter<Scalar>, 1, 1> rows;  ///< targets observed
    Vector recent;                              ///< y_{t-1}, y_{t-2}, ... (lags m)
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"recent"}, self.recent...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  WithLags(Index inputs, Index lags, Inner inner) : inner_(std::move(inner)) {
    detail::expect_sizes(name, inputs, inner_.target_count(), 0);
    if (lags < 1) refuse(name, "lags is ", lags, ", expected at least 1");
    expect_equal(name, "the inner learner's number of inputs", inner_.input_count(),
                 inputs + lags * inner_.target_count());
    rows_.setZero();
    z_.setZero(inner_.input_count());
    inputs_ = inputs;
  }

  Index input_count() const { return inputs_; }
  Index target_count() const { return inner_.target_count(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, input_count());
    z_.head(inputs_) = x;
    return inner_.predict(z_);
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    const Index m = target_count(), recent = z_.size() - inputs_;
    z_.head(inputs_) = x;
    if (rows_[0] == 0)
      for (Index i = 0; i < recent; i += m) z_.segment(inputs_ + i, m) = y;
    inner_.observe(z_, y);
    for (Index i = z_.size() - 1; i >= inputs_ + m; --i) z_[i] = z_[i - m];
    z_.segment(inputs_, m) = y;
    rows_[0] += 1;
  }

  State state() const { return {rows_, z_.tail(z_.size() - inputs_), inner_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    rows_ = state.rows;
    z_.tail(z_.size() - inputs_) = state.recent;
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    if (later.rows[0] > 0) z_.tail(z_.size() - inputs_) = later.recent;
    rows_ += later.rows;
  }

 private:
  static constexpr auto name = "WithLags";

  Inner inner_;
  Index inputs_;
  Eigen::Matrix<Counter<Scalar>, 1, 1> rows_;
  Vector z_;
};

/// Starts from the last value, not from zero: the inner learner learns y_t - y_{t-1}, and its prediction is added to
/// y_{t-1}. (A start W_0 other than zero is a shift of the targets, section 4 of docs/theory.md.) What a penalty pulls
/// towards is then a random walk. The inner learner begins with the second pair.
/// Shapes, errors  those of the inner learner
template <Learner Inner>
class FromLastValue {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Eigen::Matrix<Counter<Scalar>, 1, 1> rows;  ///< targets observed
    Vector last;                                ///< y_{t-1} (m)
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"last"}, self.last...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit FromLastValue(Inner inner) : inner_(std::move(inner)) {
    rows_.setZero();
    last_.setZero(inner_.target_count());
    change_ = prediction_ = last_;
  }

  Index input_count() const { return inner_.input_count(); }
  Index target_count() const { return inner_.target_count(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    prediction_ = last_ + inner_.predict(x);
    for (Index i = 0; i < prediction_.size(); ++i) prediction_[i] = detail::saturated(prediction_[i]);
    return prediction_;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    if (rows_[0] > 0) {
      change_ = y - last_;
      for (Index i = 0; i < change_.size(); ++i) change_[i] = detail::saturated(change_[i]);
      inner_.observe(x, change_);
    }
    last_ = y;
    rows_[0] += 1;
  }

  State state() const { return {rows_, last_, inner_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    rows_ = state.rows;
    last_ = state.last;
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    if (later.rows[0] > 0) last_ = later.last;
    rows_ += later.rows;
  }

 private:
  static constexpr auto name = "FromLastValue";

  Inner inner_;
  Eigen::Matrix<Counter<Scalar>, 1, 1> rows_;
  Vector last_, change_, prediction_;
};

/// Predictions within the range of the targets seen, widened on both sides by `room` times its length: a bound on what
/// a prediction can cost, before anything is known of the stream. 0 before the first target.
/// Shapes, errors  those of the inner learner; room negative
template <Learner Inner>
class WithinRange {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Eigen::Matrix<Counter<Scalar>, 1, 1> rows;  ///< targets observed
    Vector least, most;                         ///< of the targets (m)
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"least"}, self.least...);
      visitor(Name{"most"}, self.most...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit WithinRange(Inner inner, Scalar room = Scalar(0.5)) : inner_(std::move(inner)), room_(room) {
    detail::expect_at_least_zero(name, "room", room);
    rows_.setZero();
    least_.setZero(inner_.target_count());
    most_ = prediction_ = least_;
  }

  Index input_count() const { return inner_.input_count(); }
  Index target_count() const { return inner_.target_count(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    prediction_ = inner_.predict(x);
    for (Index i = 0; i < prediction_.size(); ++i) {
      const Scalar margin = room_ * (most_[i] - least_[i]);
      prediction_[i] = std::clamp(prediction_[i], detail::saturated(Scalar(least_[i] - margin)),
                                  detail::saturated(Scalar(most_[i] + margin)));
    }
    return prediction_;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    inner_.observe(x, y);
    for (Index i = 0; i < least_.size(); ++i) {
      least_[i] = rows_[0] > 0 ? std::min<Scalar>(least_[i], y[i]) : Scalar(y[i]);
      most_[i] = rows_[0] > 0 ? std::max<Scalar>(most_[i], y[i]) : Scalar(y[i]);
    }
    rows_[0] += 1;
  }

  State state() const { return {rows_, least_, most_, inner_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    rows_ = state.rows;
    least_ = state.least;
    most_ = state.most.cwiseMax(state.least);
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    if (later.rows[0] > 0) {
      least_ = rows_[0] > 0 ? Vector(least_.cwiseMin(later.least)) : later.least;
      most_ = rows_[0] > 0 ? Vector(most_.cwiseMax(later.most)) : later.most;
    }
    rows_ += later.rows;
  }

 private:
  static constexpr auto name = "WithinRange";

  Inner inner_;
  Scalar room_;
  Eigen::Matrix<Counter<Scalar>, 1, 1> rows_;
  Vector least_, most_, prediction_;
};

/// Scaled inputs for a learner whose step depends on their units, as they are when the pair comes:
///     z = (x - mean) / deviation,
/// with moments (weights L^(t-i)) of the inputs before and the input itself, so that |z_j| is bounded by
/// sqrt(w) + 1/sqrt(w); an input that has not varied is 0. Targets are centred by the mean of those before, to which
/// the prediction is added. What the inner learner remembers keeps the scale of its day; where S and M are
/// remembered, `Standardised` is better.
/// Shapes, errors  those of the inner learner; a decay outside (0, 1]
template <Learner Inner>
class WithScaling {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Eigen::Matrix<Counter<Scalar>, 1, 1> rows;    ///< pairs observed
    Eigen::Matrix<Counter<Scalar>, 1, 1> weight;  ///< w = sum_i L^(t-i)
    Vector first_input, mean_input;               ///< x_1, and the weighted mean of x_i - x_1 (f)
    Vector squares;                               ///< weighted sum of (x_i - mean)^2 (f)
    Vector first_target, mean_target;             ///< the same of targets (m)
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"weight"}, self.weight...);
      visitor(Name{"first_input"}, self.first_input...);
      visitor(Name{"mean_input"}, self.mean_input...);
      visitor(Name{"squares"}, self.squares...);
      visitor(Name{"first_target"}, self.first_target...);
      visitor(Name{"mean_target"}, self.mean_target...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit WithScaling(Inner inner, Scalar decay = Scalar(1)) : inner_(std::move(inner)), decay_(decay) {
    detail::expect_decay(name, decay);
    rows_.setZero();
    weight_.setZero();
    first_input_ = mean_input_ = squares_ = d_ = z_ = Vector::Zero(inner_.input_count());
    first_target_ = mean_target_ = e_ = prediction_ = Vector::Zero(inner_.target_count());
  }

  Index input_count() const { return inner_.input_count(); }
  Index target_count() const { return inner_.target_count(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, input_count());
    scale(x);
    prediction_ = first_target_ + mean_target_ + inner_.predict(z_);
    for (Index i = 0; i < prediction_.size(); ++i) prediction_[i] = detail::saturated(prediction_[i]);
    return prediction_;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    if (rows_[0] == 0) {
      first_input_ = x;
      first_target_ = y;
    }
    scale(x);
    e_ = y;
    e_ -= first_target_;
    e_ -= mean_target_;
    for (Index i = 0; i < e_.size(); ++i) e_[i] = detail::saturated(e_[i]);
    inner_.observe(z_, e_);

    const Counter<Scalar> before = Counter<Scalar>(decay_) * weight_[0], w = before + 1;
    squares_ = decay_ * squares_ + Scalar(before / w) * d_.cwiseAbs2();
    mean_input_ += d_ / Scalar(w);
    mean_target_ += e_ / Scalar(w);
    weight_[0] = w;
    rows_[0] += 1;
  }

  State state() const {
    return {rows_, weight_, first_input_, mean_input_, squares_, first_target_, mean_target_, inner_.state()};
  }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    set_moments(state);
  }
  /// Moments join; what the inner learner has learned on other scales is merged as it is.
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    if (later.rows[0] == 0) return;
    if (rows_[0] == 0) return set_moments(later);
    const Counter<Scalar> L = Counter<Scalar>(detail::power(decay_, later.rows[0])), before = L * weight_[0],
                          w = before + later.weight[0], share = later.weight[0] / w;
    d_ = later.first_input - first_input_ + later.mean_input - mean_input_;
    e_ = later.first_target - first_target_ + later.mean_target - mean_target_;
    squares_ = Scalar(L) * squares_ + later.squares + Scalar(before * share) * d_.cwiseAbs2();
    mean_input_ += Scalar(share) * d_;
    mean_target_ += Scalar(share) * e_;
    weight_[0] = w;
    rows_ += later.rows;
  }

 private:
  static constexpr auto name = "WithScaling";

  template <class Input>
  void scale(const Eigen::MatrixBase<Input>& x) {
    const Scalar w = Scalar(weight_[0]), share = w / (w + Scalar(1));
    d_ = x;
    d_ -= first_input_;
    d_ -= mean_input_;
    for (Index j = 0; j < d_.size(); ++j) {
      const Scalar deviation = std::sqrt((squares_[j] + share * d_[j] * d_[j]) / (w + Scalar(1)));
      z_[j] = deviation * Scalar(largest_input<Scalar>) >= Scalar(1) ? d_[j] / deviation : Scalar(0);
    }
  }

  void set_moments(const State& state) {
    rows_ = state.rows;
    weight_ = state.weight;
    first_input_ = state.first_input;
    mean_input_ = state.mean_input;
    squares_ = state.squares;
    first_target_ = state.first_target;
    mean_target_ = state.mean_target;
  }

  Inner inner_;
  Scalar decay_;
  Eigen::Matrix<Counter<Scalar>, 1, 1> rows_, weight_;
  Vector first_input_, mean_input_, squares_, first_target_, mean_target_;
  Vector d_, z_, e_, prediction_;
};

}  // namespace gdssm
