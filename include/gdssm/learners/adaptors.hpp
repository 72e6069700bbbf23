// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <tuple>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"

// Adaptors: learners that wrap another learner and change its inputs, its starting point or the range of its answers.

namespace gdssm {

// A design builds the input z_t of a learner from x_t and the recent past of the stream. It offers the number of past
// targets that it needs, the number of entries of z_t, and a call operator that writes them. `Beside` joins designs.

/// The inputs themselves, x_t.
struct Levels {
  Index lag_count() const { return 0; }
  Index output_count(Index inputs, Index /*targets*/) const { return inputs; }
  template <class T>
  void operator()(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& /*before*/, const Eigen::VectorX<T>& /*recent*/,
                  Index /*targets*/, T* z) const {
    for (Index j = 0; j < x.size(); ++j) z[j] = x[j];
  }
};

/// The changes of the inputs, x_t - x_{t-1}; 0 on the first row.
struct Changes {
  Index lag_count() const { return 0; }
  Index output_count(Index inputs, Index /*targets*/) const { return inputs; }
  template <class T>
  void operator()(const Eigen::VectorX<T>& x, const Eigen::VectorX<T>& before, const Eigen::VectorX<T>& /*recent*/,
                  Index /*targets*/, T* z) const {
    for (Index j = 0; j < x.size(); ++j) z[j] = detail::saturated(T(x[j] - before[j]));
  }
};

/// The last target and the changes before it: y_{t-1}, y_{t-1} - y_{t-2}, ..., `lags` vectors that determine the last
/// `lags` targets. The first target stands in for targets before the stream; they are 0 until it is known.
struct RecentTargets {
  Index lags = 1;  ///< number of vectors

  Index lag_count() const { return lags; }
  Index output_count(Index /*inputs*/, Index targets) const { return lags * targets; }
  template <class T>
  void operator()(const Eigen::VectorX<T>& /*x*/, const Eigen::VectorX<T>& /*before*/, const Eigen::VectorX<T>& recent,
                  Index targets, T* z) const {
    for (Index i = 0; i < lags * targets; ++i)
      z[i] = i < targets ? recent[i] : detail::saturated(T(recent[i - targets] - recent[i]));
  }
};

/// Several designs in one: Beside(Levels{}, RecentTargets{2}) is [x_t; y_{t-1}; y_{t-1} - y_{t-2}].
template <class... Designs>
class Beside {
 public:
  explicit Beside(Designs... designs) : designs_(std::move(designs)...) {}

  Index lag_count() const {
    return std::apply([](const Designs&... d) { return (std::max)({d.lag_count()...}); }, designs_);
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

/// The memory of `WithPast`: the last inputs and targets.
template <class T>
struct RecentPairs {
  static constexpr auto inner_name = "learner";

  Count<T> rows = Count<T>::Zero();  ///< pairs observed
  Eigen::VectorX<T> input_before;    ///< x_{t-1} (f)
  Eigen::VectorX<T> recent;          ///< y_{t-1}, y_{t-2}, ... (lags m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{.head = "input_before", .degree = 1}, self.input_before...);
    visitor(Name{.head = "recent", .degree = 1}, self.recent...);
  }

  void merge(const RecentPairs& later) {
    if (later.rows[0] > Counter<T>(0)) {
      input_before = later.input_before;
      recent = later.recent;
    }
    rows += later.rows;
  }
};

/// A learner whose inputs are a design z_t:
///     WithPast<RidgeLearner<>> learner(f, m, Beside(Levels{}, RecentTargets{2}), settings);
///     WithPast<RidgeLearner<>, Changes> other(f, m, Changes{});
///     WithPast third(f, m, Changes{}, [](Index inputs, Index targets) { return ...; });   // any learner
/// The arguments after the design make the inner learner, see `MakesLearner`, with as many inputs as z has entries.
/// `merge` keeps the first rows of the later stream as they were learned, without knowledge of the earlier stream.
/// Shapes  x (f), y (m)
/// Errors  those of the inner learner, but f may be 0; lags below 0
template <Learner Inner, class Design = Beside<Levels, RecentTargets>>
class WithPast : public Adaptor<WithPast<Inner, Design>, RecentPairs<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<WithPast, RecentPairs<typename Inner::Scalar>, Inner>;

 public:
  using Vector = typename Base::Vector;
  static constexpr auto name = "WithPast";

  template <class... How>
  requires MakesLearner<Inner, How...> WithPast(Index inputs, Index targets, Design design, const How&... how)
      : Base(inputs, {}, detail::make_learner<Inner>(name, design_inputs(inputs, targets, design), targets, how...)),
        design_(design) {
    memory_.input_before.setZero(inputs);
    memory_.recent.setZero(design.lag_count() * targets);
    z_.setZero(inner_.input_count());
  }

  const Vector& predict_valid(const Vector& x) {
    look_back(x);
    return inner_.predict(z_);
  }

  void observe_valid(const Vector& x, const Vector& y) {
    const Index m = y.size();
    if (memory_.rows[0] == 0)
      for (Index i = 0; i < memory_.recent.size(); i += m) memory_.recent.segment(i, m) = y;
    look_back(x);
    inner_.observe(z_, y);
    remember(x, y);
    memory_.rows[0] += 1;
  }

  void skip_valid(const Vector& x, const Vector& guess) {
    if (memory_.rows[0] == 0) return;  // no past yet
    look_back(x);
    inner_.skip(z_, guess);
    remember(x, guess);
  }

 private:
  using Base::inner_;
  using Base::memory_;

  static Index design_inputs(Index inputs, Index targets, const Design& design) {
    detail::expect_sizes(name, inputs, targets, 0);
    if (design.lag_count() < 0) refuse(name, "lags is ", design.lag_count(), ", expected at least 0");
    return design.output_count(inputs, targets);
  }

  void remember(const Vector& x, const Vector& y) {
    Vector& recent = memory_.recent;
    const Index m = y.size();
    for (Index i = recent.size() - 1; i >= m; --i) recent[i] = recent[i - m];
    if (recent.size() > 0) recent.head(m) = y;
    memory_.input_before = x;
  }

  void look_back(const Vector& x) {
    design_(x, memory_.rows[0] > 0 ? memory_.input_before : x, memory_.recent, this->target_count(), z_.data());
  }

  Design design_;
  Vector z_;
};

template <class Design, class Make>
WithPast(Index, Index, Design, Make) -> WithPast<std::invoke_result_t<const Make&, Index, Index>, Design>;

/// Starts from the last value instead of zero: the inner learner learns y_t - y_{t-1}, and its prediction is added to
/// y_{t-1}. (A start W_0 other than zero is a shift of the targets, section 4 of docs/theory.md.) A penalty then pulls
/// towards a random walk. The inner learner starts with the second pair of each stream, so a merged state has not
/// learned the change from the last target of the first stream to the first target of the second.
/// Shapes, errors  those of the inner learner
template <Learner Inner>
class FromLastValue : public Adaptor<FromLastValue<Inner>, LastTarget<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<FromLastValue, LastTarget<typename Inner::Scalar>, Inner>;

 public:
  using Vector = typename Base::Vector;
  static constexpr auto name = "FromLastValue";

  template <class... How>
  requires MakesLearner<Inner, How...> FromLastValue(Index inputs, Index targets, const How&... how)
      : FromLastValue(detail::make_learner<Inner>(name, inputs, targets, how...)) {}

  explicit FromLastValue(Inner inner) : Base(inner.input_count(), {}, inner) {
    change_ = prediction_ = memory_.last = Vector::Zero(this->target_count());
  }

  const Vector& predict_valid(const Vector& x) {
    prediction_ = memory_.last + detail::predict_valid(inner_, x);
    for (Index i = 0; i < prediction_.size(); ++i) prediction_[i] = detail::saturated(prediction_[i]);
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    if (memory_.rows[0] > 0) {
      change_ = y - memory_.last;
      for (Index i = 0; i < change_.size(); ++i) change_[i] = detail::saturated(change_[i]);
      detail::observe_valid(inner_, x, change_);
    }
    memory_.absorb(y);
  }

  void skip_valid(const Vector& x, const Vector& guess) {
    if (memory_.rows[0] == 0) return;  // no past yet
    change_ = guess - memory_.last;
    for (Index i = 0; i < change_.size(); ++i) change_[i] = detail::saturated(change_[i]);
    detail::skip_valid(inner_, x, change_);
    memory_.last = guess;
  }

 private:
  using Base::inner_;
  using Base::memory_;

  Vector change_, prediction_;
};

/// Clamps predictions to the range of the targets seen, widened on both sides by `room` times its length. This bounds
/// the loss of a prediction whatever the stream. Predicts 0 before the first target.
/// Shapes, errors  those of the inner learner; room negative
template <Learner Inner>
class WithinRange : public Adaptor<WithinRange<Inner>, TargetRange<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<WithinRange, TargetRange<typename Inner::Scalar>, Inner>;

 public:
  using Scalar = typename Inner::Scalar;
  using Vector = typename Base::Vector;
  static constexpr auto name = "WithinRange";

  template <class... How>
  requires MakesLearner<Inner, How...> WithinRange(Index inputs, Index targets, const How&... how)
      : WithinRange(detail::make_learner<Inner>(name, inputs, targets, how...)) {}

  explicit WithinRange(Inner inner, Scalar room = Scalar(0.5)) : Base(inner.input_count(), {}, inner), room_(room) {
    detail::expect_at_least_zero(name, "room", room);
    prediction_ = memory_.least = memory_.most = Vector::Zero(this->target_count());
  }

  const Vector& predict_valid(const Vector& x) {
    prediction_ = detail::predict_valid(inner_, x);
    for (Index i = 0; i < prediction_.size(); ++i) prediction_[i] = memory_.clamped(prediction_[i], i, room_);
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    detail::observe_valid(inner_, x, y);
    memory_.absorb(y);
  }

  void skip_valid(const Vector& x, const Vector& guess) { detail::skip_valid(inner_, x, guess); }

 private:
  using Base::inner_;
  using Base::memory_;

  Scalar room_;
  Vector prediction_;
};

}  // namespace gdssm
