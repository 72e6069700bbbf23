// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

// Scaled inputs, as they are when a pair comes:
//
//     z = (x - mean) / deviation,
//
// with moments (weights L^(t-i)) of the inputs before it, and in the deviation the input itself, so that |z_j| is
// bounded by sqrt(w) + 1/sqrt(w); an input that has not varied is 0. Shifting or rescaling a column changes no z. What
// a learner remembers of z keeps the scale of its day: where S and M are remembered, `Standardised` pairs are better.

namespace gdssm {

/// Running moments of vectors, relative to the first one, and to a mean where they have moved away from it.
template <class T>
struct Moments {
  Eigen::Matrix<Counter<T>, 1, 1> rows;    ///< vectors seen
  Eigen::Matrix<Counter<T>, 1, 1> weight;  ///< w = sum_i L^(t-i)
  Eigen::VectorX<T> first;                 ///< x_1 or a mean, from which vectors are counted
  Eigen::VectorX<T> mean;                  ///< weighted mean of vectors so counted
  Eigen::VectorX<T> squares;               ///< sum_i L^(t-i) (x_i - mean)^2

  explicit Moments(Index size = 0) : first(Eigen::VectorX<T>::Zero(size)), mean(first), squares(first) {
    rows.setZero();
    weight.setZero();
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"weight"}, self.weight...);
    visitor(Name{.head = "first", .degree = 1}, self.first...);
    visitor(Name{.head = "mean", .degree = 1}, self.mean...);
    visitor(Name{"squares"}, self.squares...);
  }
  friend bool operator==(const Moments& a, const Moments& b) { return identical(a, b); }

  /// x - mean, which is 0 for the first vector.
  T deviation(const T& x, Index j) const { return rows[0] > 0 ? (x - first[j]) - mean[j] : T(0); }

  /// z_j of the vector's entry x_j.
  T scaled(const T& x, Index j) const {
    const T w = T(weight[0]), d = deviation(x, j);
    const T scale = std::sqrt((squares[j] + w / (w + T(1)) * d * d) / (w + T(1)));
    return scale * T(largest_input<T>) >= T(1) ? d / scale : T(0);
  }

  /// Takes a vector in; earlier ones count L times as much as before.
  void absorb(const Eigen::VectorX<T>& x, const T& decay) {
    if (rows[0] == 0) first = x;
    const Counter<T> before = Counter<T>(decay) * weight[0], w = before + 1;
    for (Index j = 0; j < x.size(); ++j) {
      const T d = (x[j] - first[j]) - mean[j];
      squares[j] = decay * squares[j] + T(before / w) * d * d;
      mean[j] += d / T(w);
      detail::follow_base(first[j], mean[j], d);
    }
    weight[0] = w;
    rows[0] += 1;
  }

  /// The moments of the vectors so far and then those of `later`, before which the earlier ones lose the factor L.
  void merge(const Moments& later, const T& decay) {
    if (later.rows[0] == 0) return;
    if (rows[0] == 0) {
      *this = later;
      return;
    }
    const Counter<T> L = Counter<T>(detail::power(decay, later.rows[0])), before = L * weight[0],
                     w = before + later.weight[0], share = later.weight[0] / w;
    const Eigen::VectorX<T> d = later.first - first + later.mean - mean;
    squares = T(L) * squares + later.squares + T(before * share) * d.cwiseAbs2();
    mean += T(share) * d;
    weight[0] = w;
    rows += later.rows;
  }
};

/// A learner on scaled inputs, and on targets less the mean of those before, to which its prediction is added: for
/// learners whose step depends on units, and that have no intercept.
/// Shapes, errors  those of the inner learner; a decay outside (0, 1]
template <Learner Inner>
class WithScaling {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Moments<Scalar> inputs, targets;  ///< of the stream so far
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("inputs", visitor, self.inputs...);
      visit_part("targets", visitor, self.targets...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit WithScaling(Inner inner, Scalar decay = Scalar(1))
      : inner_(std::move(inner)),
        decay_(decay),
        inputs_(inner_.input_count()),
        targets_(inner_.target_count()),
        z_(inputs_.first),
        e_(targets_.first),
        prediction_(e_) {
    detail::expect_decay(name, decay);
  }

  Index input_count() const { return z_.size(); }
  Index target_count() const { return e_.size(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, input_count());
    for (Index j = 0; j < z_.size(); ++j) z_[j] = inputs_.scaled(x[j], j);
    const Vector& change = inner_.predict(z_);
    for (Index i = 0; i < e_.size(); ++i)
      prediction_[i] = detail::saturated(Scalar(targets_.first[i] + targets_.mean[i] + change[i]));
    return prediction_;
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    for (Index j = 0; j < z_.size(); ++j) z_[j] = inputs_.scaled(x[j], j);
    for (Index i = 0; i < e_.size(); ++i) e_[i] = detail::saturated(targets_.deviation(y[i], i));
    inner_.observe(z_, e_);
    z_ = x;
    e_ = y;
    inputs_.absorb(z_, decay_);
    targets_.absorb(e_, decay_);
  }

  State state() const { return {inputs_, targets_, inner_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    inputs_ = state.inputs;
    targets_ = state.targets;
  }
  /// Moments join; what the inner learner has learned on other scales is merged as it is.
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    inputs_.merge(later.inputs, decay_);
    targets_.merge(later.targets, decay_);
  }

 private:
  static constexpr auto name = "WithScaling";

  Inner inner_;
  Scalar decay_;
  Moments<Scalar> inputs_, targets_;
  Vector z_, e_, prediction_;
};

/// A learner on [x; h(x)], h_j = min(|z_j|, 3): each input also by how far it is from its mean, so that what bends
/// there can be followed on both sides. Bounded, so that a row of the first days does no harm later.
///     WithBends learner(f, RidgeLearner<>(2 * f, m));
/// Shapes  x (f), y (m); the inner learner has 2 f inputs
/// Errors  those of the inner learner; an inner learner of another number of inputs
template <Learner Inner>
class WithBends {
 public:
  using Scalar = typename Inner::Scalar;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Moments<Scalar> inputs;  ///< of x
    typename Inner::State learner;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("inputs", visitor, self.inputs...);
      visit_part("learner", visitor, self.learner...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  WithBends(Index inputs, Inner inner) : inner_(std::move(inner)), inputs_(inputs), x_(inputs_.first) {
    expect_equal(name, "the inner learner's number of inputs", inner_.input_count(), 2 * inputs);
    z_.setZero(2 * inputs);
  }

  Index input_count() const { return x_.size(); }
  Index target_count() const { return inner_.target_count(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_query(name, x, input_count());
    bend(x);
    return inner_.predict(z_);
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    bend(x);
    inner_.observe(z_, y);
    inputs_.absorb(x_, Scalar(1));
  }

  State state() const { return {inputs_, inner_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    inner_.set_state(state.learner);
    inputs_ = state.inputs;
  }
  /// Moments join; what the inner learner has learned on other scales is merged as it is.
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    inner_.merge(later.learner);
    inputs_.merge(later.inputs, Scalar(1));
  }

 private:
  static constexpr auto name = "WithBends";

  template <class Input>
  void bend(const Eigen::MatrixBase<Input>& x) {
    x_ = x;
    for (Index j = 0; j < x_.size(); ++j) {
      z_[j] = x_[j];
      z_[x_.size() + j] = std::min(std::abs(inputs_.scaled(x_[j], j)), Scalar(3));
    }
  }

  Inner inner_;
  Moments<Scalar> inputs_;
  Vector x_, z_;
};

}  // namespace gdssm
