// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/stream_statistics.hpp"

// Inputs scaled when a pair arrives:
//
//     z = (x - mean) / deviation,
//
// where the mean is that of the inputs before x, with weights L^(t-i), and the deviation includes x itself, so that
// |z_j| is at most sqrt(w) + 1/sqrt(w). A column that has not varied gives 0. Shifting or rescaling a column changes no
// z. What a learner remembers of z keeps the scale of its row; for S and M use `Standardised` pairs.

namespace gdssm {

/// The memory of `WithScaling`.
template <class T>
struct PairMoments {
  static constexpr auto inner_name = "learner";

  Moments<T> inputs, targets;  ///< of the stream so far

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visit_part("inputs", visitor, self.inputs...);
    visit_part("targets", visitor, self.targets...);
  }
};

/// A learner on scaled inputs and on targets minus the mean of earlier targets, which is added to its prediction. For
/// learners without an intercept whose step size depends on units.
/// Shapes, errors  those of the inner learner; a decay outside (0, 1]
template <Learner Inner>
class WithScaling : public Adaptor<WithScaling<Inner>, PairMoments<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<WithScaling, PairMoments<typename Inner::Scalar>, Inner>;

 public:
  using Scalar = typename Inner::Scalar;
  using Vector = typename Base::Vector;
  static constexpr auto name = "WithScaling";

  template <class... How>
  requires MakesLearner<Inner, How...> WithScaling(Index inputs, Index targets, const How&... how)
      : WithScaling(detail::make_learner<Inner>(name, inputs, targets, how...)) {}

  explicit WithScaling(Inner inner, Scalar decay = Scalar(1))
      : Base(inner.input_count(), {Moments<Scalar>(inner.input_count()), Moments<Scalar>(inner.target_count())}, inner),
        decay_(decay),
        z_(Vector::Zero(inner.input_count())),
        e_(Vector::Zero(inner.target_count())),
        prediction_(e_) {
    detail::expect_decay(name, decay);
  }

  const Vector& predict_valid(const Vector& x) {
    z_ = x;
    memory_.inputs.scale(z_);
    const Vector& change = detail::predict_valid(inner_, z_);
    const auto& mean = memory_.targets.offset;
    for (Index i = 0; i < prediction_.size(); ++i)
      prediction_[i] = detail::saturated(Scalar(mean.first[i] + mean.mean[i] + change[i]));
    return prediction_;
  }

  void observe_valid(const Vector& x, const Vector& y) {
    z_ = x;
    e_ = y;
    memory_.inputs.scale(z_);
    memory_.targets.centre(e_);
    for (Index i = 0; i < e_.size(); ++i) e_[i] = detail::saturated(e_[i]);
    detail::observe_valid(inner_, z_, e_);
    z_ = x;
    e_ = y;
    memory_.inputs.absorb(z_, decay_);
    memory_.targets.absorb(e_, decay_);
  }

  void skip_valid(const Vector& x, const Vector& guess) {
    z_ = x;
    e_ = guess;
    memory_.inputs.scale(z_);
    memory_.targets.centre(e_);
    for (Index i = 0; i < e_.size(); ++i) e_[i] = detail::saturated(e_[i]);
    detail::skip_valid(inner_, z_, e_);
  }

  /// Merges the moments; the inner learner's state is merged as it is, though it was learned on other scales.
  void merge(const typename Base::State& later) {
    this->expect_fits(later);
    inner_.merge(later.inner);
    memory_.inputs.merge(later.inputs, decay_);
    memory_.targets.merge(later.targets, decay_);
  }

 private:
  using Base::inner_;
  using Base::memory_;

  Scalar decay_;
  Vector z_, e_, prediction_;
};

/// The memory of `WithScaledInputs` and of `WithBends`.
template <class T>
struct ScalingMemory {
  static constexpr auto inner_name = "learner";

  Moments<T> inputs;  ///< of x

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visit_part("inputs", visitor, self.inputs...);
  }
  void merge(const ScalingMemory& later) { inputs.merge(later.inputs, T(1)); }
};

/// A learner on [z; 1], the scaled inputs and a constant, and on targets as they are: for classifiers, whose targets
/// are labels. Merging joins the moments and merges the inner learner's state as it is, though it was learned on other
/// scales.
///     WithScaledInputs<OnlineNewton<>> learner(f, c, settings);
/// The arguments after the sizes make the inner learner, see `MakesLearner`, with f + 1 inputs.
/// Shapes  x (f), y (m)
/// Errors  those of the inner learner
template <Learner Inner>
class WithScaledInputs : public Adaptor<WithScaledInputs<Inner>, ScalingMemory<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<WithScaledInputs, ScalingMemory<typename Inner::Scalar>, Inner>;

 public:
  using Scalar = typename Inner::Scalar;
  using Vector = typename Base::Vector;
  static constexpr auto name = "WithScaledInputs";

  template <class... How>
  requires MakesLearner<Inner, How...> WithScaledInputs(Index inputs, Index targets, const How&... how)
      : Base(inputs, {Moments<Scalar>(std::max<Index>(inputs, 0))},
             detail::make_learner<Inner>(name, inputs + 1, targets, how...)) {
    x_.setZero(inputs);
    z_.setZero(inputs + 1);
  }

  const Vector& predict_valid(const Vector& x) {
    scale(x);
    return detail::predict_valid(inner_, z_);
  }

  void observe_valid(const Vector& x, const Vector& y) {
    scale(x);
    detail::observe_valid(inner_, z_, y);
    x_ = x;
    memory_.inputs.absorb(x_, Scalar(1));
  }

  void skip_valid(const Vector& x, const Vector& guess) {
    scale(x);
    detail::skip_valid(inner_, z_, guess);
  }

 private:
  using Base::inner_;
  using Base::memory_;

  void scale(const Vector& x) {
    x_ = x;
    memory_.inputs.scale(x_);
    z_ << x_, Scalar(1);
  }

  Vector x_, z_;
};

/// A learner on [x; h(x)], h_j = min(|z_j|, 3): each input also enters by its distance from its mean, so the fitted
/// relation can bend at the mean. h is bounded, so an outlying early row does no harm later. Merging joins the moments
/// and merges the inner learner's state as it is, though it was learned on other scales.
///     WithBends<RidgeLearner<>> learner(f, m, settings);
/// The arguments after the sizes make the inner learner, see `MakesLearner`, with 2 f inputs.
/// Shapes  x (f), y (m)
/// Errors  those of the inner learner
template <Learner Inner>
class WithBends : public Adaptor<WithBends<Inner>, ScalingMemory<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<WithBends, ScalingMemory<typename Inner::Scalar>, Inner>;

 public:
  using Scalar = typename Inner::Scalar;
  using Vector = typename Base::Vector;
  static constexpr auto name = "WithBends";

  template <class... How>
  requires MakesLearner<Inner, How...> WithBends(Index inputs, Index targets, const How&... how)
      : Base(inputs, {Moments<Scalar>(std::max<Index>(inputs, 0))},
             detail::make_learner<Inner>(name, 2 * inputs, targets, how...)) {
    x_.setZero(inputs);
    z_.setZero(2 * inputs);
  }

  const Vector& predict_valid(const Vector& x) {
    bend(x);
    return detail::predict_valid(inner_, z_);
  }

  void observe_valid(const Vector& x, const Vector& y) {
    bend(x);
    detail::observe_valid(inner_, z_, y);
    x_ = x;
    memory_.inputs.absorb(x_, Scalar(1));
  }

  void skip_valid(const Vector& x, const Vector& guess) {
    bend(x);
    detail::skip_valid(inner_, z_, guess);
  }

 private:
  using Base::inner_;
  using Base::memory_;

  void bend(const Vector& x) {
    x_ = x;
    memory_.inputs.scale(x_);
    z_ << x, x_.cwiseAbs().cwiseMin(Scalar(3));
  }

  Vector x_, z_;
};

template <class Make>
WithBends(Index, Index, Make) -> WithBends<std::invoke_result_t<const Make&, Index, Index>>;

}  // namespace gdssm
