// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <type_traits>

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/blocks/recurrences/token.hpp"

// What a learning rule is, part by part, so that a message names the part that is missing.
namespace gdssm::recurrences {

/// What a token brings. Satisfied by a type with `Token<Storage>`, whose members `visit` names, and token<Storage>(),
/// which makes one of the right sizes in arrays of sequences and in views.
template <class R>
concept RuleWithToken = requires(const R& rule) {
  { rule.template token<InSeries<float>>() } -> std::same_as<typename R::template Token<InSeries<float>>>;
  { rule.template token<InViews<const float>>() } -> std::same_as<typename R::template Token<InViews<const float>>>;
}
&&gdssm::detail::Visited<typename R::template Token<InSeries<float>>>;

/// What holds for a whole sequence. Satisfied by a type with `Constants<Storage>`, whose members `visit` names, and
/// constants<Storage>(), zeros of the right sizes; `recurrences::MatrixMemory` has none of them.
template <class R>
concept RuleWithConstants = requires(const R& rule) {
  { rule.template constants<InArrays<float>>() } -> std::same_as<typename R::template Constants<InArrays<float>>>;
}
&&gdssm::detail::Visited<typename R::template Constants<InArrays<float>>>;

namespace detail {

/// Whether a rule's derivative was written for the step that it takes, as `has_own_vjp` asks of blocks.
template <class R, class S>
inline constexpr bool has_own_step_vjp = true;
/// The two functions' classes compared, where both are templates on the scalar.
template <class R, class S>
requires requires {
  &R::template step<S>;
  &R::template step_vjp<S>;
}
inline constexpr bool has_own_step_vjp<R, S> =
    std::is_same_v<typename gdssm::detail::DeclaredIn<decltype(&R::template step<S>)>::type,
                   typename gdssm::detail::DeclaredIn<decltype(&R::template step_vjp<S>)>::type>;

}  // namespace detail

/// A learning rule with its step and readout in scalar S. Satisfied by a type with all of the above, a state as of
/// `StatefulBlock`, the constants `keys` and `values`, and the functions
///     step(constants, token, state, ws)                      state, from before the token to after it
///     step_vjp(constants, token, before, state_bar, constants_bar, token_bar, ws)
///     read(constants, state, q, o, ws)                       what the state answers to a query
///     read_vjp(constants, state, q, o_bar, state_bar, constants_bar, q_bar, ws)
/// `step_vjp` turns state_bar from the cotangent of the state after into that of the state before, `read_vjp` adds to
/// it; both add to all other cotangents. None of them allocates, and `step` and `step_vjp` are of one class.
template <class R, class S = float>
concept LearningRule = RuleWithToken<R> && RuleWithConstants<R> && StatefulBlock<R> &&
    requires(const R& rule, const typename R::template Constants<InArrays<S>>& c,
             const typename R::template Token<InViews<const S>>& x, typename R::template State<S>& state,
             const typename R::template State<S>& before, typename R::template Constants<InArrays<S>>& c_bar,
             const typename R::template Token<InViews<S>>& x_bar, typename R::template Workspace<S>& ws,
             View<const S, R::keys, 1> q, View<S, R::keys, 1> q_bar, View<S, R::values, 1> o,
             View<const S, R::values, 1> o_bar) {
  { rule.key_count() + rule.value_count() } -> std::same_as<Index>;
  rule.step(c, x, state, ws);
  rule.step_vjp(c, x, before, state, c_bar, x_bar, ws);
  rule.read(c, before, q, o, ws);
  rule.read_vjp(c, before, q, o_bar, state, c_bar, q_bar, ws);
  requires detail::has_own_step_vjp<R, S>;
};

}  // namespace gdssm::recurrences

namespace gdssm::detail {

/// Refuses a type that is no `LearningRule`, naming the part that is missing.
template <class R>
constexpr bool expect_learning_rule() {
  static_assert(recurrences::RuleWithToken<R>,
                "a learning rule needs Token<Storage> with visit, and token<Storage>() made by made_in");
  static_assert(
      !recurrences::RuleWithToken<R> || recurrences::RuleWithConstants<R>,
      "a learning rule needs Constants<Storage> with visit, and constants<Storage>() (MatrixMemory has none)");
  static_assert(!recurrences::RuleWithToken<R> || !recurrences::RuleWithConstants<R> || StatefulBlock<R>,
                "a learning rule needs State<T> with visit and ==, Workspace<T>, initial_state<T>() and workspace<T>() "
                "(MatrixMemory has them for a matrix alone)");
  static_assert(!recurrences::RuleWithToken<R> || !recurrences::RuleWithConstants<R> || !StatefulBlock<R> ||
                    recurrences::LearningRule<R>,
                "a learning rule needs the constants keys and values, key_count(), value_count(), step and step_vjp of "
                "one class, read and read_vjp");
  return recurrences::LearningRule<R>;
}

}  // namespace gdssm::detail
