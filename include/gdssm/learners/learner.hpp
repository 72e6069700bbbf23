// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// A learner reads a stream of pairs (x_t, y_t), x_t in R^f, y_t in R^m, and predicts each target before it is known:
//
//     RidgeLearner<> learner(f, m);
//     for (...) {
//       guess = learner.predict(x);   // y is not known yet; changes nothing
//       learner.observe(x, y);
//     }
//     saved = learner.state();        // all that later predictions depend on, a value
//     other.set_state(saved);         // goes on there, bit for bit
//     learner.merge(later.state());   // as if it had gone on with the pairs that `later` has seen
//
// What it remembers does not grow with the stream, `predict` and `observe` allocate nothing, and finite pairs have
// finite predictions. That is the concept `Learner`, and all that other headers ask of one. Variants are types:
//
//     how a query is answered from S and M   RegressionLearner<Solver>: RidgeLearner, GradientDescentLearner, ...
//     how pairs enter S and M                RegressionLearner<Solver, T, Pairs>, with Standardised, Scaled or AsGiven
//     which inputs it gets                   WithFeatures<Map, Learner>, WithPast<Design, Learner>,
//                                            WithScaling<Learner>, WithBends<Learner>
//     what it starts from                    FromLastValue<Learner>
//     what it may answer                     WithinRange<Learner>
//     many at once, mixed                    Bank<Rule, Members...>; a member is a learner or a std::vector of them
//     chosen at run time                     AnyLearner
//
// and whatever has been composed is again a Learner, whose state nests the states of its parts as `visit` shows them.

namespace gdssm {

/// An online regressor, see the top of this header: for a learner l, vectors x (f) and y (m) of l's scalar,
///     l.predict(x)          the prediction of the target of x (m), which stands until the next call
///     l.observe(x, y)       learns the pair
///     l.state()             a State: comparable, with `visit` over its matrices by name
///     l.set_state(s)        goes on from s; one that does not fit is refused and changes nothing
///     l.merge(s)            goes on as if it had next seen what s has seen since its own start. Exactly, where what
///                           is remembered are sums of the pairs; what depends on the order of steps is taken from s,
///                           the later. What the first pairs of s owe to pairs before them, s has never seen: see
///                           `WithPast`, `FromLastValue`.
///     l.input_count(), l.target_count()     f and m
template <class L>
concept Learner = std::copyable<L> &&
    requires(L l, const L& fixed, const Eigen::VectorX<typename L::Scalar>& v, const typename L::State& state) {
  { l.predict(v) } -> std::same_as<const Eigen::VectorX<typename L::Scalar>&>;
  l.observe(v, v);
  { fixed.state() } -> std::convertible_to<typename L::State>;
  l.set_state(state);
  l.merge(state);
  { fixed.input_count() } -> std::convertible_to<Index>;
  { fixed.target_count() } -> std::convertible_to<Index>;
};

/// Numbers of rows and their weights: double also beside floats, in which counting ends at 2^24.
template <class T>
using Counter = std::conditional_t<std::is_floating_point_v<T>, double, T>;

/// The largest magnitude of an entry of x and y, and of a prediction: sums of their squares over any stream, and the
/// products that solving takes, are still numbers. Types without rounding have no limit.
template <class T>
inline constexpr double largest_input = std::is_same_v<T, float> ? 1e12 : 1e100;

namespace detail {

/// Moves the base that values are counted from to their mean, base + `mean`, which stays the same number: once values
/// differ from their mean, as the newest does, by a hundredth of what they differ from the base by, a base of long ago
/// costs them digits.
template <class T>
void follow_base(T& base, T& mean, const T& deviation) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!(std::abs(mean) > T(100) * std::abs(deviation))) return;
    const T moved = base + mean, part = moved - base;
    mean = (base - (moved - part)) + (mean - part);  // what rounding has left of the sum, exactly
    base = moved;
  }
}

/// The largest magnitude of a number in a state, by its degree in inputs and targets. 1: a difference of two of them,
/// and rounding; otherwise the squares of more inputs than there are rows.
template <class T>
constexpr double largest_state(int degree) {
  return degree == 1 ? 4 * largest_input<T> : 1e14 * largest_input<T> * largest_input<T>;
}

template <class Derived>
void expect_inputs(const char* where, const char* what, const Eigen::MatrixBase<Derived>& vector, Index size) {
  using T = typename Derived::Scalar;
  static_assert(Derived::IsVectorAtCompileTime, "a learner's inputs and targets are vectors");
  if (vector.size() != size) refuse(where, what, " has ", vector.size(), " entries, expected ", size);
  if constexpr (std::is_floating_point_v<T>) {
    bool all = true;
    for (Index i = 0; i < size; ++i) all &= std::abs(vector[i]) <= T(largest_input<T>);
    if (all) return;
    for (Index i = 0; i < size; ++i)
      if (!(std::abs(vector[i]) <= T(largest_input<T>)))
        refuse(where, what, " entry ", i, " is ", vector[i], ", expected a number of magnitude at most ",
               largest_input<T>);
  }
}

/// Refuses what `predict(x)` and `observe(x, y)` of a class can't take; `name` is the class's.
template <class X>
void expect_query(const char* name, const Eigen::MatrixBase<X>& x, Index inputs) {
  expect_inputs(name, "predict: the input", x, inputs);
}
template <class X, class Y>
void expect_pair(const char* name, const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, Index inputs,
                 Index targets) {
  expect_inputs(name, "observe: the input", x, inputs);
  expect_inputs(name, "observe: the target", y, targets);
}

inline void expect_sizes(const char* name, Index inputs, Index targets, Index least_inputs = 1) {
  if (inputs < least_inputs || targets < 1)
    refuse(name, "there are ", inputs, " inputs and ", targets, " targets, expected at least ", least_inputs, " and 1");
}

template <class T>
void expect_at_least_zero(const char* name, const char* what, const T& value) {
  if (!(value >= T(0)) || !(value - value == T(0)))
    refuse(name, what, " is ", value, ", expected a finite number of at least 0");
}

/// Of a decay: above 0, and 1 at most.
template <class T>
void expect_decay(const char* name, const T& decay) {
  if (!(decay > T(0)) || !(decay <= T(1))) refuse(name, "decay is ", decay, ", expected above 0 and at most 1");
}

/// Refuses a state whose members have other shapes than those of `mine`, or entries that no stream leads to: numbers
/// too large for what they are made of, counts below 0.
template <class State>
void expect_state(const char* name, const State& mine, const State& other) {
  gdssm::visit(
      [&](const Name& member, const auto& m, const auto& o) {
        if (m.rows() != o.rows() || m.cols() != o.cols())
          refuse(name, "set_state: ", member.str(), " is ", o.rows(), " x ", o.cols(), ", expected ", m.rows(), " x ",
                 m.cols());
        expect_finite(name, ("set_state: " + member.str()).c_str(), o);
        using T = typename std::remove_cvref_t<decltype(o)>::Scalar;
        if constexpr (std::is_floating_point_v<T>)
          if (o.size() > 0 && !(static_cast<double>(o.cwiseAbs().maxCoeff()) <= largest_state<T>(member.degree)))
            refuse(name, "set_state: ", member.str(), " has an entry of magnitude ", o.cwiseAbs().maxCoeff(),
                   ", expected at most ", largest_state<T>(member.degree));
        if constexpr (std::remove_cvref_t<decltype(o)>::SizeAtCompileTime == 1)  // rows, or their weights
          if (!(o.value() >= T(0)))
            refuse(name, "set_state: ", member.str(), " is ", o.value(), ", expected at least 0");
      },
      mine, other);
}

/// What comes out may go in: numbers past the largest input become it, and what is not a number `otherwise`.
template <class T>
T saturated(const T& value, const T& otherwise = T(0)) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!(value == value)) return otherwise;
    return std::clamp(value, T(-largest_input<T>), T(largest_input<T>));
  } else {
    return value;
  }
}

/// base^exponent for a whole number that a counter holds.
template <class T>
T power(const T& base, const Counter<T>& exponent) {
  if constexpr (std::is_floating_point_v<T>) {
    return base == T(1) ? T(1) : static_cast<T>(std::pow(static_cast<double>(base), exponent));
  } else {
    T result(1);
    for (Counter<T> i(0); i < exponent; i += Counter<T>(1)) result *= base;
    return result;
  }
}

/// Visits the states in a tuple, or several tuples side by side, named by their places: "0", "1", ..., and those of a
/// vector of states "1.0", "1.1", ...
template <class Visitor, class First, class... More>
void visit_place(std::string_view place, Visitor& visitor, First& first, More&... more) {
  if constexpr (requires { first.size(); }) {
    if (((more.size() != first.size()) || ...))
      refuse("visit", "vectors of states have different lengths, expected ", first.size());
    const auto nested = [&](const Name& name, auto&... member) { visitor(Name{place, &name, name.degree}, member...); };
    for (std::size_t i = 0; i < first.size(); ++i) visit_part(std::to_string(i), nested, first[i], more[i]...);
  } else {
    visit_part(place, visitor, first, more...);
  }
}
template <std::size_t I, class Visitor, class... Tuples>
void visit_element(Visitor& visitor, Tuples&... tuples) {
  visit_place(std::to_string(I), visitor, std::get<I>(tuples)...);
}
template <class Visitor, std::size_t... I, class... Tuples>
void visit_tuple(std::index_sequence<I...>, Visitor& visitor, Tuples&... tuples) {
  (visit_element<I>(visitor, tuples...), ...);
}

}  // namespace detail

}  // namespace gdssm
