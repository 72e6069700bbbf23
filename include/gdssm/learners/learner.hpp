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
//     which inputs it gets                   WithFeatures<Learner, Map>, WithPast<Learner, Design>,
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

/// A number of rows or their weight in a state: a matrix of one entry, which `visit` shows like any.
template <class T>
using Count = Eigen::Matrix<Counter<T>, 1, 1>;

/// The largest magnitude of an entry of x and y, and of a prediction: sums of their squares over any stream, and the
/// products that solving takes, are still numbers. Types without rounding have no limit.
template <class T>
inline constexpr double largest_input = std::is_same_v<T, float> ? 1e12 : 1e100;

namespace detail {

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

/// Refuses a state whose members have other shapes than those of `mine`, or entries that no stream of T leads to:
/// numbers too large for what they are made of, counts below 0.
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

/// `predict` and `observe` of vectors that have been checked, which a learner of this library does not check again.
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

}  // namespace detail

/// How an adaptor gets its inner learner, once it knows the sizes: from settings, Inner(inputs, targets, how...), or
/// from a function of both numbers that returns one.
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

/// What every learner does with vectors: it checks them and hands them on to `Derived`, which has
///     name                  what errors call it
///     predict_valid(x)      `predict` of a vector that has been checked
///     observe_valid(x, y)   `observe` of vectors that have been checked
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

 protected:
  /// Refuses sizes below 1, of the inputs below `least_inputs`.
  LearnerBase(Index inputs, Index targets, Index least_inputs = 1) {
    detail::expect_sizes(Derived::name, inputs, targets, least_inputs);
    x_.setConstant(inputs, T(0));
    y_.setConstant(targets, T(0));
  }

 private:
  Derived& self() { return static_cast<Derived&>(*this); }

  Vector x_, y_;
};

/// What a learner or a rule of mixing does with its state, where it is one member: `Derived` has
///     name                  what errors call it
///     merge_valid(later)    `merge` of a state that has been checked
/// and, where it must, an expect_valid(state) that refuses more than shapes and sizes show.
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
  /// Begins in a state.
  explicit StateBase(State state = {}) : state_(std::move(state)) {}

  /// Refuses a state of another shape, or one that no stream leads to.
  void expect_fits(const State& other) const {
    detail::expect_state<T>(Derived::name, state_, other);
    if constexpr (requires { Derived::expect_valid(other); }) Derived::expect_valid(other);
  }

  State state_;  ///< all that later predictions depend on
};

/// The state of what holds another: what it remembers itself, and the other's.
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

/// What a learner around a learner, or a rule around a rule, does with its state. `Memory` is what it remembers itself,
/// with `merge` and the inner state's name.
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
  /// Begins with what is remembered and the inner learner or rule.
  NestedStateBase(Memory memory, Inner inner) : memory_(std::move(memory)), inner_(std::move(inner)) {}

  /// Refuses a state of another shape, or one that no stream leads to.
  void expect_fits(const State& other) const {
    detail::expect_state<typename Inner::Scalar>(Derived::name, state(), other);
  }

  Memory memory_;  ///< what it remembers itself
  Inner inner_;    ///< what it holds
};

/// A learner around another, with as many targets.
template <class Derived, class Memory, class Inner>
class Adaptor : public LearnerBase<Derived, typename Inner::Scalar>, public NestedStateBase<Derived, Memory, Inner> {
 protected:
  /// For so many inputs of its own, and the inner learner's targets.
  Adaptor(Index inputs, Memory memory, Inner inner)
      : LearnerBase<Derived, typename Inner::Scalar>(inputs, inner.target_count(), 0),
        NestedStateBase<Derived, Memory, Inner>(std::move(memory), std::move(inner)) {}
};

}  // namespace gdssm
