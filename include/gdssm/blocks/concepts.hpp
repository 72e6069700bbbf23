// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>

#include "gdssm/blocks/factors.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

namespace detail {

struct IgnoreMembers {
  void operator()(const Name&, auto&...) const {}
};

}  // namespace detail

/// One slot of a model. Satisfied by a type with `Parameters<T>`, `Coefficients<T>`, `State<T>` and `Workspace<T>`,
/// makers of each, and `prepare` and `prepare_vjp` between the first two, both of which name their members by `visit`.
template <class B>
concept Block = requires(const B& block, const typename B::template Parameters<float>& p,
                         typename B::template Coefficients<float>& c, typename B::template Parameters<float>& p_bar) {
  { block.template parameters<float>() } -> std::same_as<typename B::template Parameters<float>>;
  { block.template coefficients<float>() } -> std::same_as<typename B::template Coefficients<float>>;
  { block.template initial_state<float>() } -> std::same_as<typename B::template State<float>>;
  { block.template workspace<float>() } -> std::same_as<typename B::template Workspace<float>>;
  block.prepare(p, c);
  block.prepare_vjp(p, c, c, p_bar);
  visit(detail::IgnoreMembers{}, p, p_bar);
  visit(detail::IgnoreMembers{}, c);
};

/// The input side, equation (1). Satisfied by a `Block` with a `Window`, the constants `rows`, `cols`, `rank`,
/// `left_trains` and `right_trains`, whose `step` turns a window of lanes into `Factors` and whose `step_vjp` takes
/// their cotangents, and whose workspace has `straddling` (Features x 2 (Width - 1)), where a model assembles windows
/// that reach back into its state.
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
  { ws.straddling.view() } -> std::same_as<View<S, B::Window::size>>;
  { B::left_trains || B::right_trains } -> std::same_as<bool>;
};

namespace detail {

/// The rank of the factors that a recurrence takes: its own `rank`, or any.
template <class B>
inline constexpr Index rank_taken = 3;
template <class B>
requires requires { B::rank; }
inline constexpr Index rank_taken<B> = B::rank;

}  // namespace detail

/// The recurrence, equation (2). Satisfied by a `Block` with the constants `rows` and `cols` whose `step` and
/// `step_vjp` take `Factors` (and a mask), whose state holds `memory`, Z_t^T, and which can `restart` a state. The
/// factors may be of any rank, unless it has a constant `rank`.
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
};

/// A recurrence whose decays are the same for all windows, so that their gradient needs no history, (12). Satisfied by
/// a `RecurrenceBlock` whose coefficients hold `decay` and which moves the sensitivity Y_t on.
template <class B, class S = Lanes<float>>
concept SensitiveRecurrence = RecurrenceBlock<B, S> &&
    requires(const B& block, const typename B::template Coefficients<float>& c,
             const typename B::template State<S>& state, const S* mask, View<S, B::cols, B::rows> sensitivity,
             typename B::template Workspace<S>& ws) {
  block.sensitivity_step(c, state, mask, sensitivity, ws);
  { c.decay.view() } -> std::same_as<View<const float, B::cols, B::rows>>;
};

/// The readout, equation (3) applied to a vector. Satisfied by a `Block` with the constants `outputs` and `cols`
/// whose `step_vjp` leaves v = -C^T g in its workspace: the memory's cotangent is v o^T.
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

/// The output gate, equation (4). Satisfied by a `Block` with the constants `rows`, `features` and `width`.
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

}  // namespace gdssm
