// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/learners/learner.hpp"

// Fixed feature maps, which turn the closed form into nonlinear regression. A map offers
//     input_count(), output_count()      f and the number of features
//     map(x, phi)                        phi <- the features of x; allocates nothing
// and has no state.

namespace gdssm {

/// phi = x.
/// Errors  std::invalid_argument: f below 1
template <class T = double>
class Identity {
 public:
  using Scalar = T;
  explicit Identity(Index inputs) : inputs_(inputs) {
    if (inputs < 1) refuse("Identity", "there are ", inputs, " inputs, expected at least 1");
  }
  Index input_count() const { return inputs_; }
  Index output_count() const { return inputs_; }
  void operator()(const Eigen::VectorX<T>& x, Eigen::Ref<Eigen::VectorX<T>> phi) const { phi = x; }

 private:
  Index inputs_;
};

/// phi = all products of 1 to `degree` entries of x, by degree and then in the order of the entries: for two inputs and
/// degree 2, x_0, x_1, x_0^2, x_0 x_1, x_1^2. There are (f + d choose d) - 1.
/// Errors  std::invalid_argument: f or degree below 1, more than 10,000 features
template <class T = double>
class Polynomial {
 public:
  using Scalar = T;
  Polynomial(Index inputs, Index degree) : inputs_(inputs), degree_(degree) {
    if (inputs < 1 || degree < 1)
      refuse("Polynomial", "there are ", inputs, " inputs and the degree is ", degree, ", expected at least 1");
    Index count = 1;
    for (Index d = 1; d <= degree; ++d) {
      count = count * (inputs + d) / d;
      if (count > 10001)
        refuse("Polynomial", inputs, " inputs to degree ", degree, ", expected at most 10000 features");
    }
    outputs_ = count - 1;
  }
  Index input_count() const { return inputs_; }
  Index output_count() const { return outputs_; }
  void operator()(const Eigen::VectorX<T>& x, Eigen::Ref<Eigen::VectorX<T>> phi) const {
    Index at = 0;
    for (Index d = 1; d <= degree_; ++d) products(x, T(1), 0, d, phi, at);
  }

 private:
  void products(const Eigen::VectorX<T>& x, const T& product, Index from, Index factors,
                Eigen::Ref<Eigen::VectorX<T>>& phi, Index& at) const {
    if (factors == 0) {
      phi[at++] = product;
      return;
    }
    for (Index j = from; j < inputs_; ++j) products(x, detail::saturated(T(product * x[j])), j, factors - 1, phi, at);
  }

  Index inputs_, degree_, outputs_ = 0;
};

/// phi_k = sqrt(2 / D) cos(w_k . x + b_k), w_k ~ N(0, I / width^2), b_k ~ U(0, 2 pi): phi(x) . phi(x') approximates the
/// Gaussian kernel exp(-|x - x'|^2 / (2 width^2)). The same seed gives the same features on every machine.
/// Errors  std::invalid_argument: f or the number of features below 1, a width that is not above 0
/// Source  Rahimi, Recht, NIPS 2007
template <class T = double>
class RandomFourier {
 public:
  using Scalar = T;
  RandomFourier(Index inputs, Index features, T width = T(1), std::uint64_t seed = 1) {
    if (inputs < 1 || features < 1)
      refuse("RandomFourier", "there are ", inputs, " inputs and ", features, " features, expected at least 1");
    if (!(width > T(0))) refuse("RandomFourier", "width is ", width, ", expected above 0");
    RandomStream<T> random(seed);
    frequencies_.resize(features, inputs);
    phases_.resize(features);
    for (T& w : frequencies_.reshaped()) w = random.normal() / width;
    for (T& b : phases_) b = T(2 * std::numbers::pi) * random.uniform();
  }
  Index input_count() const { return frequencies_.cols(); }
  Index output_count() const { return frequencies_.rows(); }
  void operator()(const Eigen::VectorX<T>& x, Eigen::Ref<Eigen::VectorX<T>> phi) const {
    phi = phases_;
    phi.noalias() += frequencies_ * x;
    const T size = std::sqrt(T(2) / static_cast<T>(output_count()));
    for (Index k = 0; k < phi.size(); ++k) phi[k] = size * std::cos(phi[k]);
  }

 private:
  Eigen::MatrixX<T> frequencies_;
  Eigen::VectorX<T> phases_;
};

/// phi = [first(x); second(x)].
/// Errors  std::invalid_argument: maps with different numbers of inputs
template <class First, class Second>
class Joined {
 public:
  using Scalar = typename First::Scalar;
  Joined(First first, Second second) : first_(std::move(first)), second_(std::move(second)) {
    expect_equal("Joined", "the second map's number of inputs", second_.input_count(), first_.input_count());
  }
  Index input_count() const { return first_.input_count(); }
  Index output_count() const { return first_.output_count() + second_.output_count(); }
  void operator()(const Eigen::VectorX<Scalar>& x, Eigen::Ref<Eigen::VectorX<Scalar>> phi) const {
    first_(x, phi.head(first_.output_count()));
    second_(x, phi.tail(second_.output_count()));
  }

 private:
  First first_;
  Second second_;
};

/// phi = [x; the other features of some inputs], the first ones and the last `last` ones; inputs between them enter
/// only as they are. For maps whose features begin with the inputs they take, as those of `Polynomial` and of
/// `Joined(Identity, ...)` do. Inputs that come later, in between, thus change no feature of the others.
/// Errors  std::invalid_argument: fewer inputs than the map takes, `last` not from 0 to the map's inputs
template <class Map>
class OfEnds {
 public:
  using Scalar = typename Map::Scalar;
  OfEnds(Map map, Index inputs, Index last = 0)
      : map_(std::move(map)), inputs_(inputs), last_(last), ends_(map_.input_count()) {
    if (inputs < map_.input_count() || last < 0 || last > map_.input_count())
      refuse("OfEnds", "there are ", inputs, " inputs and ", last, " last ones, expected at least the map's ",
             map_.input_count(), " and at most these");
  }
  Index input_count() const { return inputs_; }
  Index output_count() const { return inputs_ - map_.input_count() + map_.output_count(); }
  void operator()(const Eigen::VectorX<Scalar>& x, Eigen::Ref<Eigen::VectorX<Scalar>> phi) const {
    if (inputs_ == map_.input_count()) return map_(x, phi);
    ends_ << x.head(ends_.size() - last_), x.tail(last_);
    map_(ends_, phi.tail(map_.output_count()));
    phi.head(inputs_) = x;
  }

 private:
  Map map_;
  Index inputs_, last_;
  mutable Eigen::VectorX<Scalar> ends_;  // scratch
};

/// A learner on the features of its inputs:
///     WithFeatures<RidgeLearner<>, Polynomial<>> learner(Polynomial<>(f, 2), m, settings);
///     WithFeatures other(Polynomial<>(f, 2), m, [](Index inputs, Index targets) { return ...; });   // any learner
/// The arguments after the number of targets make the inner learner, see `MakesLearner`, with one input per feature.
/// Shapes  x (the map's inputs), y (m)
/// Errors  those of the inner learner
template <Learner Inner, class Map>
class WithFeatures : public LearnerBase<WithFeatures<Inner, Map>, typename Inner::Scalar> {
  using Base = LearnerBase<WithFeatures, typename Inner::Scalar>;

 public:
  using Vector = typename Base::Vector;
  using State = typename Inner::State;
  static constexpr auto name = "WithFeatures";

  template <class... How>
  requires MakesLearner<Inner, How...> WithFeatures(Map map, Index targets, const How&... how)
      : Base(map.input_count(), targets),
        map_(std::move(map)),
        inner_(detail::make_learner<Inner>(name, map_.output_count(), targets, how...)) {
    phi_.setZero(map_.output_count());
  }

  const Vector& predict_valid(const Vector& x) {
    map_(x, phi_);
    return inner_.predict(phi_);
  }
  void observe_valid(const Vector& x, const Vector& y) {
    map_(x, phi_);
    inner_.observe(phi_, y);
  }
  void skip_valid(const Vector& x, const Vector& guess) {
    map_(x, phi_);
    detail::skip_valid(inner_, phi_, guess);
  }

  State state() const { return inner_.state(); }
  void set_state(const State& state) { inner_.set_state(state); }
  void merge(const State& later) { inner_.merge(later); }

 private:
  Map map_;
  Inner inner_;
  Vector phi_;
};

template <class Map, class Make>
WithFeatures(Map, Index, Make) -> WithFeatures<std::invoke_result_t<const Make&, Index, Index>, Map>;

}  // namespace gdssm
