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

// Scaled inputs, as they are when a pair comes:
//
//     z = (x - mean) / deviation,
//
// with moments (weights L^(t-i)) of the inputs before it, and in the deviation the input itself, so that |z_j| is
// bounded by sqrt(w) + 1/sqrt(w); an input that has not varied is 0. Shifting or rescaling a column changes no z. What
// a learner remembers of z keeps the scale of its day: where S and M are remembered, `Standardised` pairs are better.

namespace gdssm {

/// What `WithScaling` remembers.
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

/// A learner on scaled inputs, and on targets less the mean of those before, to which its prediction is added: for
/// learners whose step depends on units, and that have no intercept.
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

  /// Moments join; what the inner learner has learned on other scales is merged as it is.
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

/// What `WithBends` remembers.
template <class T>
struct BendMoments {
  static constexpr auto inner_name = "learner";

  Moments<T> inputs;  ///< of x

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visit_part("inputs", visitor, self.inputs...);
  }
  void merge(const BendMoments& later) { inputs.merge(later.inputs, T(1)); }
};

/// A learner on [x; h(x)], h_j = min(|z_j|, 3): each input also by how far it is from its mean, so that what bends
/// there can be followed on both sides. Bounded, so that a row of the first days does no harm later. Merged, moments
/// join; what the inner learner has learned on other scales is merged as it is.
///     WithBends<RidgeLearner<>> learner(f, m, settings);
/// What follows the sizes makes the inner learner, see `MakesLearner`, for 2 f inputs.
/// Shapes  x (f), y (m)
/// Errors  those of the inner learner
template <Learner Inner>
class WithBends : public Adaptor<WithBends<Inner>, BendMoments<typename Inner::Scalar>, Inner> {
  using Base = Adaptor<WithBends, BendMoments<typename Inner::Scalar>, Inner>;

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
