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

// A learner reads a stream of pairs (x_t, y_t), x_t in R^f, y_t in R^m, and predicts each target before seeing it:
//
//     RidgeLearner<> learner(f, m);
//     for (...) {
//       guess = learner.predict(x);   // y is not known yet; changes nothing
//       learner.observe(x, y);
//     }
//     saved = learner.state();        // all that later predictions depend on, a value
//     other.set_state(saved);         // continues from there, bit for bit
//     learner.merge(later.state());   // as if it had gone on with the pairs that `later` has seen
//
// Its memory does not grow with the stream, `predict` and `observe` allocate nothing, and finite pairs give finite
// predictions. These promises and the concept `Learner` are all that other headers rely on. Variants are types:
//
//     how a query is answered from S and M   RegressionLearner<Solver>: RidgeLearner, GradientDescentLearner, ...
//     how pairs enter S and M                RegressionLearner<Solver, T, Pairs>, with Standardised, Scaled or AsGiven
//     which inputs it gets                   WithFeatures<Learner, Map>, WithPast<Learner, Design>,
//                                            WithScaling<Learner>, WithScaledInputs<Learner>, WithBends<Learner>
//     what it starts from                    FromLastValue<Learner>
//     how predictions are limited            WithinRange<Learner>
//     many at once, mixed                    Bank<Rule, Members...>; a member is a learner or a std::vector of them
//     chosen at run time                     AnyLearner
//     classes instead of numbers             classes.hpp: targets are labels, predictions are probabilities
//
// Every composition is a Learner again, and its state nests the states of its parts.

namespace gdssm {

/// An online regressor, see the top of this header: for a learner l, vectors x (f) and y (m) of l's scalar type,
///     l.predict(x)          the prediction of the target of x (m), valid until the next call
///     l.observe(x, y)       learns the pair
///     l.skip(x, guess)      where there is a past: a pair without its target, for which `guess` stands in later
///     l.state()             a State: comparable, with `visit` over its matrices by name
///     l.set_state(s)        continues from s; refuses a state that does not fit, and then changes nothing
///     l.merge(s)            continues as if it had next seen the pairs of s. Exact where the memory consists of sums
///                           over pairs; memory that depends on the order of pairs is taken from s. s did not know
///                           the pairs before its own first ones: see `WithPast`, `FromLastValue`.
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

/// The type of row counts and weights: double for floats too, since counting in floats ends at 2^24.
template <class T>
using Counter = std::conditional_t<std::is_floating_point_v<T>, double, T>;

/// A row count or weight in a state: a 1 x 1 matrix, so that `visit` treats it like any other member.
template <class T>
using Count = Eigen::Matrix<Counter<T>, 1, 1>;

/// The largest allowed magnitude of an entry of x, of y and of a prediction. Within it, sums of squares over any stream
/// and the products in the solvers stay finite. Types without rounding have no limit.
template <class T>
inline constexpr double largest_input = std::is_same_v<T, float> ? 1e12 : 1e100;

namespace detail {

/// The largest magnitude of a number in a state, by its degree in inputs and targets. For degree 1 it allows for a
/// difference of two inputs, and rounding; otherwise for a sum of squares over more rows than any stream has.
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

inline void expect_sizes(const char* name, Index inputs, Index targets, Index least_inputs = 1) {
  if (inputs < least_inputs || targets < 1)
    refuse(name, "there are ", inputs, " inputs and ", targets, " targets, expected at least ", least_inputs, " and 1");
}

template <class T>
void expect_at_least_zero(const char* name, const char* what, const T& value) {
  if (!(value >= T(0)) || !(value - value == T(0)))
    refuse(name, what, " is ", value, ", expected a finite number of at least 0");
}

/// Refuses a decay outside (0, 1].
template <class T>
void expect_decay(const char* name, const T& decay) {
  if (!(decay > T(0)) || !(decay <= T(1))) refuse(name, "decay is ", decay, ", expected above 0 and at most 1");
}

/// Refuses a state whose members differ in shape from those of `mine`, or have entries that no stream of T leads to:
/// magnitudes that are too large, or counts below 0.
template <class T, class State>
void expect_state(const char* name, const State& mine, const State& other) {
  gdssm::visit(
      [&](const Name& member, const auto& m, const auto& o) {
        if (m.rows() != o.rows() || m.cols() != o.cols())
          refuse(name, "set_state: ", member.str(), " is ", o.rows(), " x ", o.cols(), ", expected ", m.rows(), " x ",
                 m.cols());
        expect_finite(name, ("set_state: " + member.str()).c_str(), o);
        if constexpr (std::is_floating_point_v<T>)
          if (o.size() > 0 && !(static_cast<double>(o.cwiseAbs().maxCoeff()) <= largest_state<T>(member.degree)))
            refuse(name, "set_state: ", member.str(), " has an entry of magnitude ", o.cwiseAbs().maxCoeff(),
                   ", expected at most ", largest_state<T>(member.degree));
        if constexpr (std::remove_cvref_t<decltype(o)>::SizeAtCompileTime == 1)  // a row count or weight
          if (!(o.value() >= T(0)))
            refuse(name, "set_state: ", member.str(), " is ", o.value(), ", expected at least 0");
      },
      mine, other);
}

/// Clamps a value to the allowed magnitude; replaces NaN by `otherwise`.
template <class T>
T saturated(const T& value, const T& otherwise = T(0)) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!(value == value)) return otherwise;
    return std::clamp(value, T(-largest_input<T>), T(largest_input<T>));
  } else {
    return value;
  }
}

/// base^exponent for a whole number in a counter.
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

/// `predict` and `observe` for vectors that have been checked: skips the second check in learners of this library.
template <class L>
const auto& predict_valid(L& learner, const Eigen::VectorX<typename L::Scalar>& x) {
  if constexpr (requires { learner.predict_valid(x); })
    return learner.predict_valid(x);
  else
    return learner.predict(x);
}
template <class L>
void observe_valid(L& learner, const Eigen::VectorX<typename L::Scalar>& x,
                   const Eigen::VectorX<typename L::Scalar>& y) {
  if constexpr (requires { learner.observe_valid(x, y); })
    learner.observe_valid(x, y);
  else
    learner.observe(x, y);
}

/// `skip` for vectors that have been checked; nothing for learners without a past.
template <class L>
void skip_valid(L& learner, const Eigen::VectorX<typename L::Scalar>& x,
                const Eigen::VectorX<typename L::Scalar>& guess) {
  if constexpr (requires { learner.skip_valid(x, guess); })
    learner.skip_valid(x, guess);
  else if constexpr (requires { learner.skip(x, guess); })
    learner.skip(x, guess);
}

}  // namespace detail

/// How an adaptor makes its inner learner once it knows the sizes: either from settings, as Inner(inputs, targets,
/// how...), or from a function that takes both sizes and returns the learner.
template <class Inner, class... How>
concept MakesLearner = std::constructible_from<Inner, Index, Index, const How&...> ||
    (sizeof...(How) == 1 && (std::is_invocable_r_v<Inner, const How&, Index, Index> && ...));

namespace detail {

template <class Inner, class... How>
Inner make_learner(const char* name, Index inputs, Index targets, const How&... how) {
  const auto expected = [&](Inner inner) {
    expect_equal(name, "the inner learner's number of inputs", inner.input_count(), inputs);
    expect_equal(name, "the inner learner's number of targets", inner.target_count(), targets);
    return inner;
  };
  if constexpr (std::constructible_from<Inner, Index, Index, const How&...>)
    return expected(Inner(inputs, targets, how...));
  else
    return expected(how(inputs, targets)...);
}

}  // namespace detail

/// Checks input and target vectors and passes them on to `Derived`, which has
///     name                  the class's name in error messages
///     predict_valid(x)      `predict` for a vector that has been checked
///     observe_valid(x, y)   `observe` for vectors that have been checked
///     skip_valid(x, guess)  `skip` for vectors that have been checked; only where there is a past
template <class Derived, class T>
class LearnerBase {
 public:
  using Scalar = T;
  using Vector = Eigen::VectorX<T>;

  Index input_count() const { return x_.size(); }
  Index target_count() const { return y_.size(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    detail::expect_inputs(Derived::name, "predict: the input", x, input_count());
    x_ = x;
    return self().predict_valid(x_);
  }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_inputs(Derived::name, "observe: the input", x, input_count());
    detail::expect_inputs(Derived::name, "observe: the target", y, target_count());
    x_ = x;
    y_ = y;
    self().observe_valid(x_, y_);
  }

  /// A pair passes whose target stays unknown. Nothing is learned from it, but it keeps its place in the past: where
  /// past targets are inputs, `guess` stands in for the target.
  template <class Input, class Target>
  void skip(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& guess) {
    detail::expect_inputs(Derived::name, "skip: the input", x, input_count());
    detail::expect_inputs(Derived::name, "skip: the guess", guess, target_count());
    x_ = x;
    y_ = guess;
    if constexpr (requires { self().skip_valid(x_, y_); }) self().skip_valid(x_, y_);
  }

 protected:
  /// Refuses fewer than `least_inputs` inputs and fewer than 1 target.
  LearnerBase(Index inputs, Index targets, Index least_inputs = 1) {
    detail::expect_sizes(Derived::name, inputs, targets, least_inputs);
    x_.setConstant(inputs, T(0));
    y_.setConstant(targets, T(0));
  }

 private:
  Derived& self() { return static_cast<Derived&>(*this); }

  Vector x_, y_;
};

/// State handling of a learner or mixing rule whose state is one member. `Derived` has
///     name                  the class's name in error messages
///     merge_valid(later)    `merge` for a state that has been checked
/// and optionally expect_valid(state), which makes further checks on values.
template <class Derived, class State_, class T>
class StateBase {
 public:
  using State = State_;

  const State& state() const { return state_; }
  void set_state(const State& state) {
    expect_fits(state);
    state_ = state;
  }
  void merge(const State& later) {
    expect_fits(later);
    static_cast<Derived&>(*this).merge_valid(later);
  }

 protected:
  /// Starts in the given state.
  explicit StateBase(State state = {}) : state_(std::move(state)) {}

  /// Refuses a state of another shape, or one that no stream leads to.
  void expect_fits(const State& other) const {
    detail::expect_state<T>(Derived::name, state_, other);
    if constexpr (requires { Derived::expect_valid(other); }) Derived::expect_valid(other);
  }

  State state_;  ///< all that later predictions depend on
};

/// The state of an adaptor: its own memory and the state of the learner or rule within.
template <class Memory, class Inner>
struct NestedState : Memory {
  typename Inner::State inner;

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    Memory::visit(visitor, self...);
    visit_part(Memory::inner_name, visitor, self.inner...);
  }
  friend bool operator==(const NestedState& a, const NestedState& b) { return identical(a, b); }
};

/// State handling of a learner around a learner, or of a rule around a rule. `Memory` is its own memory, with `merge`
/// and the name of the inner state.
template <class Derived, class Memory, class Inner>
class NestedStateBase {
 public:
  using State = NestedState<Memory, Inner>;

  State state() const { return {memory_, inner_.state()}; }
  void set_state(const State& state) {
    expect_fits(state);
    inner_.set_state(state.inner);
    memory_ = state;
  }
  void merge(const State& later) {
    expect_fits(later);
    inner_.merge(later.inner);
    memory_.merge(later);
  }

 protected:
  /// Starts with this memory and this inner learner or rule.
  NestedStateBase(Memory memory, Inner inner) : memory_(std::move(memory)), inner_(std::move(inner)) {}

  /// Refuses a state of another shape, or one that no stream leads to.
  void expect_fits(const State& other) const {
    detail::expect_state<typename Inner::Scalar>(Derived::name, state(), other);
  }

  Memory memory_;  ///< its own memory
  Inner inner_;    ///< the learner or rule within
};

/// A learner around another one with the same number of targets.
template <class Derived, class Memory, class Inner>
class Adaptor : public LearnerBase<Derived, typename Inner::Scalar>, public NestedStateBase<Derived, Memory, Inner> {
 protected:
  /// Takes the number of its own inputs; the inner learner gives the number of targets.
  Adaptor(Index inputs, Memory memory, Inner inner)
      : LearnerBase<Derived, typename Inner::Scalar>(inputs, inner.target_count(), 0),
        NestedStateBase<Derived, Memory, Inner>(std::move(memory), std::move(inner)) {}
};

}  // namespace gdssm
