// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <type_traits>

#include "gdssm/blocks/factors.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"

// The concepts of a block, one for each part, so that error messages name the part that is missing.
namespace gdssm {

namespace detail {

struct IgnoreMembers {
  void operator()(const Name&, auto&...) const {}
};

template <class T>
concept Visited = requires(T& value) {
  visit(IgnoreMembers{}, value, value);
};

}  // namespace detail

/// Trained weights. Requires `Parameters<T>` and `Coefficients<T>`, which name their members by `visit`, and functions
/// that make them, parameters<T>() and coefficients<T>(). `PlainBlock` makes both from one `Weights<Storage>`.
template <class B>
concept WeightedBlock = requires(const B& block) {
  { block.template parameters<float>() } -> std::same_as<typename B::template Parameters<float>>;
  { block.template coefficients<float>() } -> std::same_as<typename B::template Coefficients<float>>;
}
&&detail::Visited<typename B::template Parameters<float>>&& detail::Visited<typename B::template Coefficients<float>>;

/// Requires prepare(p, c), from parameters to coefficients, and prepare_vjp(p, c, c_bar, p_bar).
template <class B>
concept PreparedBlock = WeightedBlock<B> &&
    requires(const B& block, const typename B::template Parameters<float>& p,
             typename B::template Coefficients<float>& c, typename B::template Parameters<float>& p_bar) {
  block.prepare(p, c);
  block.prepare_vjp(p, c, c, p_bar);
};

/// Memory. Requires `State<T>`, a value whose members `visit` names, `Workspace<T>`, and functions that make them,
/// initial_state<T>() and workspace<T>(). `Stateless` has both.
template <class B>
concept StatefulBlock = requires(const B& block) {
  { block.template initial_state<float>() } -> std::same_as<typename B::template State<float>>;
  { block.template workspace<float>() } -> std::same_as<typename B::template Workspace<float>>;
  requires std::equality_comparable<typename B::template State<float>>;
}
&&detail::Visited<typename B::template State<float>>;

/// One slot of a model.
template <class B>
concept Block = PreparedBlock<B> && StatefulBlock<B>;

/// A block with random initial weights: draw(p, stream) fills parameters that are zero on entry.
template <class B, class T = float>
concept DrawnBlock = requires(const B& block, typename B::template Parameters<T>& p, RandomStream<>& stream) {
  block.draw(p, stream);
};

/// A block with a closed form (7): construct(p, a) fills parameters that are zero on entry, for the step size a. The
/// readout uses a; the other slots ignore it.
template <class B, class T = float>
concept ConstructedBlock = requires(const B& block, typename B::template Parameters<T>& p, const T& step) {
  block.construct(p, step);
};

/// The input side, equation (1). Requires a `Window`, the constants `rows`, `cols`, `rank`, `left_trains` and
/// `right_trains`, a `step` that turns a window of lanes into `Factors`, and a `step_vjp` for their cotangents.
template <class B, class S = Lanes<float>>
concept AttentionBlock = Block<B> &&
    requires(const B& block, const typename B::template Coefficients<float>& c,
             View<const S, B::Window::size, B::Window::width> window, typename B::template Workspace<S>& ws,
             typename B::template Coefficients<S>& c_bar, View<const S, B::rows, B::rank> left_bar,
             View<const S, B::cols, B::rank> right_bar, View<S, B::Window::size, B::Window::width> window_bar) {
  { block.window() } -> std::same_as<const typename B::Window&>;
  { block.step(c, window, ws) } -> std::same_as<Factors<const S, B::rows, B::cols, B::rank>>;
  block.step_vjp(c, window, left_bar, right_bar, c_bar, window_bar);
  { block.row_count() + block.col_count() } -> std::same_as<Index>;
  { B::left_trains || B::right_trains } -> std::same_as<bool>;
};

namespace detail {

/// The rank of the factors that a recurrence takes: its own `rank`, or any (3 stands for it).
template <class B>
inline constexpr Index rank_taken = 3;
template <class B>
requires requires { B::rank; }
inline constexpr Index rank_taken<B> = B::rank;

/// The class that declares a member function, which may be a base of the class it was looked up in.
template <class Member>
struct DeclaredIn;
template <class Class, class Result, class... Argument>
struct DeclaredIn<Result (Class::*)(Argument...) const> {
  using type = Class;
};

template <class B, class S, Index Rank>
using StepOf = typename DeclaredIn<decltype(&B::template step<LaneScalar<S>, S, Rank>)>::type;

/// Whether a block's `step` and `step_vjp` come from the same class: a derived block that hides one of them must hide
/// both. True where they are not templates of this form.
template <class B, class S, Index Rank>
inline constexpr bool has_own_vjp = true;
template <class B, class S, Index Rank>
requires requires {
  typename StepOf<B, S, Rank>;
  typename DeclaredIn<decltype(&B::template step_vjp<LaneScalar<S>, S, Rank>)>::type;
}
inline constexpr bool has_own_vjp<B, S, Rank> =
    std::is_same_v<StepOf<B, S, Rank>,
                   typename DeclaredIn<decltype(&B::template step_vjp<LaneScalar<S>, S, Rank>)>::type>;

}  // namespace detail

/// The recurrence, equation (2). Requires the constants `rows` and `cols`, a `step` and a `step_vjp`, both of one
/// class, which take `Factors` (and a mask), a state with `memory`, Z_t^T, and `restart`. Factors may have any rank,
/// unless the block has a constant `rank`.
template <class B, class S = Lanes<float>, Index Rank = detail::rank_taken<B>>
concept RecurrenceBlock = Block<B> &&
    requires(const B& block, const typename B::template Coefficients<float>& c,
             const Factors<const S, B::rows, B::cols, Rank>& G, const S* mask, typename B::template State<S>& state,
             typename B::template Workspace<S>& ws, View<const S, B::cols, B::rows> before,
             View<S, B::cols, B::rows> memory_bar, typename B::template Coefficients<S>& c_bar,
             const Factors<S, B::rows, B::cols, Rank>& G_bar) {
  block.step(c, G, mask, state, ws);
  block.step_vjp(c, G, mask, before, memory_bar, c_bar, G_bar, ws);
  block.restart(state);
  { block.row_count() + block.col_count() } -> std::same_as<Index>;
  { state.memory.view() } -> std::same_as<View<S, B::cols, B::rows>>;
  requires detail::has_own_vjp<B, S, Rank>;
};

/// A recurrence whose decays are the same for all windows, so that their gradient needs no history, (12). Requires
/// `decay` in its coefficients and a `sensitivity_step`, which advances Y_t, from the class that has its `step`.
template <class B, class S = Lanes<float>>
concept SensitiveRecurrence = RecurrenceBlock<B, S> &&
    requires(const B& block, const typename B::template Coefficients<float>& c,
             const typename B::template State<S>& state, const S* mask, View<S, B::cols, B::rows> sensitivity,
             typename B::template Workspace<S>& ws) {
  block.sensitivity_step(c, state, mask, sensitivity, ws);
  { c.decay.view() } -> std::same_as<View<const float, B::cols, B::rows>>;
  requires std::is_same_v < detail::StepOf<B, S, detail::rank_taken<B>>,
  typename detail::DeclaredIn<decltype(&B::template sensitivity_step<LaneScalar<S>, S>)>::type > ;
};

/// A recurrence that processes a run of windows at once, and pulls a loss after the last run back through each run.
/// Requires `run` and `run_vjp` from the class that has its `step`.
template <class B, class S = Lanes<float>>
concept RunningRecurrence = SensitiveRecurrence<B, S> && requires {
  requires std::is_same_v < detail::StepOf<B, S, detail::rank_taken<B>>,
  typename detail::DeclaredIn<decltype(&B::template run<detail::rank_taken<B>, LaneScalar<S>, S>)>::type > ;
  requires std::is_same_v < detail::StepOf<B, S, detail::rank_taken<B>>,
  typename detail::DeclaredIn<decltype(&B::template run_vjp<detail::rank_taken<B>, LaneScalar<S>, S>)>::type > ;
};

/// The readout, equation (3) applied to a vector. Requires the constants `outputs` and `cols`, and a `step_vjp` that
/// leaves v = -C^T g in its workspace; the memory's cotangent is v o^T, or v x^T where the workspace has an `x` too.
template <class B, class S = Lanes<float>>
concept ReadoutBlock = Block<B> &&
    requires(const B& block, const typename B::template Coefficients<float>& c, View<const S, B::cols, Dynamic> memory,
             View<const S, Dynamic, 1> o, View<S, B::outputs, 1> prediction, View<const S, B::outputs, 1> g,
             typename B::template Workspace<S>& ws, typename B::template Coefficients<S>& c_bar,
             View<S, Dynamic, 1> o_bar) {
  block.step(c, memory, o, prediction, ws);
  block.step_vjp(c, memory, g, c_bar, o_bar, ws);
  { ws.v.view() } -> std::same_as<View<S, B::cols, 1>>;
  { block.output_count() + block.col_count() } -> std::same_as<Index>;
};

namespace detail {

/// A readout that reads the memory by a vector of its own, x, and not by the gate's o.
template <class Workspace>
concept ReadsByItsOwn = requires(Workspace& ws) {
  ws.x.view();
};

/// The vector by which a readout has read the memory: o, or its own x.
template <class Workspace, class S, Index Rows>
View<const S, Rows, 1> read_by(const Workspace& ws, View<const S, Rows, 1> o) {
  if constexpr (ReadsByItsOwn<Workspace>)
    return ws.x.view();
  else
    return o;
}

}  // namespace detail

/// The output gate, equation (4). Requires the constants `rows`, `features` and `width`.
template <class B, class S = Lanes<float>>
concept GateBlock = Block<B> &&
    requires(const B& block, const typename B::template Coefficients<float>& c,
             View<const S, B::features, B::width> window, View<S, B::rows, 1> o, View<const S, B::rows, 1> o_bar,
             typename B::template Workspace<S>& ws, typename B::template Coefficients<S>& c_bar,
             View<S, B::features, B::width> window_bar) {
  block.step(c, window, o, ws);
  block.step_vjp(c, window, o_bar, c_bar, window_bar, ws);
  { block.row_count() + block.feature_count() } -> std::same_as<Index>;
};

namespace detail {

/// Refuses a type that is not a `Block` and names the missing part.
template <class B>
constexpr bool expect_block() {
  static_assert(WeightedBlock<B>,
                "a block needs Parameters<T> and Coefficients<T>, each with visit, and parameters<T>() and "
                "coefficients<T>() (PlainBlock makes them from Weights<Storage> and weights<Storage>())");
  static_assert(!WeightedBlock<B> || PreparedBlock<B>,
                "a block needs prepare(p, c) and prepare_vjp(p, c, c_bar, p_bar) (PlainBlock has both)");
  static_assert(StatefulBlock<B>,
                "a block needs State<T> with visit and ==, Workspace<T>, initial_state<T>() and workspace<T>() "
                "(Stateless has them)");
  return Block<B>;
}

}  // namespace detail
}  // namespace gdssm
