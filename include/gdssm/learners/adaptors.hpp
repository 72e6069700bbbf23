// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <tuple>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Learners around a learner: each changes what the inner one gets to see or may answer, and is a learner again.

namespace gdssm {

// Designs: what a learner may see of a stream up to its row t, x_t and what came before. A design offers the number of
// past targets it needs and the number of its entries, and writes them; designs side by side are a design.

/// The inputs as they are, x_t.
struct Levels {
  Index lag_count() const { return 0; }
  Index output_count(Index inputs, Index /*targets*/) const { return inputs; }
  template <class T>
  void operator()(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& /*before*/, const Eigen::VectorX<T>& /*recent*/,
                  Index /*targets*/, T* z) const {
    for (Index j = 0; j < x.size(); ++j) z[j] = x[j];
  }
};

/// How the inputs have changed, x_t - x_{t-1}; 0 on the first row.
struct Changes {
  Index lag_count() const { return 0; }
  Index output_count(Index inputs, Index /*targets*/) const { return inputs; }
  template <class T>
  void operator()(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& before, const Eigen::VectorX<T>& /*recent*/,
                  Index /*targets*/, T* z) const {
    for (Index j = 0; j < x.size(); ++j) z[j] = detail::saturated(T(x[j] - before[j]));
  }
};

/// The last target and how it has changed: y_{t-1}, y_{t-1} - y_{t-2}, ..., `lags` vectors, which span the last `lags`
/// targets. For targets before the stream the first one stands, and before that is known, zero.
struct RecentTargets {
  Index lags = 1;  ///< how many

  Index lag_count() const { return lags; }
  Index output_count(Index /*inputs*/, Index targets) const { return lags * targets; }
  template <class T>
  void operator()(const Eigen::VectorX<T>& /*x*/, const Eigen::VectorX<T>& /*before*/, const Eigen::VectorX<T>& recent,
                  Index targets, T* z) const {
    for (Index i = 0; i < lags * targets; ++i)
      z[i] = i < targets ? recent[i] : detail::saturated(T(recent[i - targets] - recent[i]));
  }
};

/// Designs side by side: Beside(Levels{}, RecentTargets{2}) is [x_t; y_{t-1}; y_{t-1} - y_{t-2}].
template <class... Designs>
class Beside {
 public:
  explicit Beside(Designs... designs) : designs_(std::move(designs)...) {}

  Index lag_count() const {
    return std::apply([](const Designs&... d) { return std::max({d.lag_count()...}); }, designs_);
  }
  Index output_count(Index inputs, Index targets) const {
    return std::apply([&](const Designs&... d) { return (d.output_count(inputs, targets) + ...); }, designs_);
  }
  template <class T>
  void operator()(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& before, const Eigen::VectorX<T>& recent,
                  Index targets, T* z) const {
    const auto one = [&](const auto& design) {
      design(x, before, recent, targets, z);
      z += design.output_count(x.size(), targets);
    };
    std::apply([&](const Designs&... d) { (one(d), ...); }, designs_);
  }

 private:
  std::tuple<Designs...> designs_;
};

/// A learner whose inputs are a design z_t:
///     WithPast learner(f, Beside(Levels{}, RecentTargets{2}), RidgeLearner<>(f + 2 * m, m));
/// Merged, those rows of the later stream that look back beyond its start stay as it took them, without a past.
/// Shapes  x (f), y (m); the inner learner has as many inputs as z has entries
/// Errors  those of `RegressionLearner`, but f may be 0; an inner learner of another number of inputs, lags below 0
template <class Design, Learner Inner>
class WithPast {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Eigen::Matrix<Counter<Scalar>, 1, 1> rows;  ///< pairs observed
    Vector input_before;                        ///< x_{t-1} (f)
    Vector recent;                              ///< y_{t-1}, y_{t-2}, ... (lags m)
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{.head = "input_before", .degree = 1}, self.input_before...);
      visitor(Name{.head = "recent", .degree = 1}, self.recent...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  WithPast(Index inputs, Design design, Inner inner) : design_(design), inner_(std::move(inner)) {
    detail::expect_sizes(name, inputs, inner_.target_count(), 0);
    if (design.lag_count() < 0) refuse(name, "lags is ", design.lag_count(), ", expected at least 0");
    expect_equal(name, "the inner learner's number of inputs", inner_.input_count(),
                 design.output_count(inputs, inner_.target_count()));
    rows_.setZero();
    x_ = before_ = Vector::Zero(inputs);
    recent_.setZero(design.lag_count() * inner_.target_count());
    z_.setZero(inner_.input_count());
  }

  Index input_count() const { return x_.size(); }
  Index target_count() const { return inner_.target_count(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, input_count());
    look_back(x);
    return inner_.predict(z_);
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    const Index m = target_count();
    if (rows_[0] == 0)
      for (Index i = 0; i < recent_.size(); i += m) recent_.segment(i, m) = y;
    look_back(x);
    inner_.observe(z_, y);
    for (Index i = recent_.size() - 1; i >= m; --i) recent_[i] = recent_[i - m];
    if (recent_.size() > 0) recent_.head(m) = y;
    before_ = x_;
    rows_[0] += 1;
  }

  State state() const { return {rows_, before_, recent_, inner_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    rows_ = state.rows;
    before_ = state.input_before;
    recent_ = state.recent;
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    if (later.rows[0] > 0) {
      before_ = later.input_before;
      recent_ = later.recent;
    }
    rows_ += later.rows;
  }

 private:
  static constexpr auto name = "WithPast";

  template <class Input>
  void look_back(const Eigen::MatrixBase<Input>& x) {
    x_ = x;
    design_(x_, rows_[0] > 0 ? before_ : x_, recent_, target_count(), z_.data());
  }

  Design design_;
  Inner inner_;
  Eigen::Matrix<Counter<Scalar>, 1, 1> rows_;
  Vector x_, before_, recent_, z_;
};

/// Starts from the last value, not from zero: the inner learner learns y_t - y_{t-1}, and its prediction is added to
/// y_{t-1}. (A start W_0 other than zero is a shift of the targets, section 4 of docs/theory.md.) What a penalty pulls
/// towards is then a random walk. The inner learner begins with the second pair, and that of a later stream with its
/// own second: merged, the change from the last target of the one to the first of the other is in neither.
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
      visitor(Name{.head = "last", .degree = 1}, self.last...);
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
      visitor(Name{.head = "least", .degree = 1}, self.least...);
      visitor(Name{.head = "most", .degree = 1}, self.most...);
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

}  // namespace gdssm
