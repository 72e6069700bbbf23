// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// Refusals of what was made for a layer of other sizes. Each costs a few comparisons, and none where sizes are fixed.
namespace gdssm {

namespace detail {

/// Refuses coefficients in P, or their cotangents, that are decays of another size or weights of other shapes.
template <class P, class Block>
void expect_coefficients(const char* where, std::string_view slot, const Block& block,
                         const typename Block::template Coefficients<P>& c) {
  if constexpr (SensitiveRecurrence<Block>)
    expect_extents(where, Name{"recurrence.decay"}, c.decay, block.col_count(), block.row_count());
  else if constexpr (requires {
                       { block.template weights<InArrays<P>>() } -> std::same_as<std::remove_cvref_t<decltype(c)>>;
                     })
    visit_part(
        slot,
        [&](const Name& name, const auto& shape, const auto& matrix) {
          expect_extents(where, name, matrix, shape.rows(), shape.cols());
        },
        block.template weights<InShapes>(), c);
}

/// The same for all slots of a layer.
template <class P, class Layer>
void expect_layer_coefficients(const char* where, const Layer& layer,
                               const typename Layer::template Coefficients<P>& c) {
  expect_coefficients<P>(where, "attention", layer.attention(), c.attention);
  expect_coefficients<P>(where, "recurrence", layer.recurrence(), c.recurrence);
  expect_coefficients<P>(where, "readout", layer.readout(), c.readout);
  expect_coefficients<P>(where, "gate", layer.gate(), c.gate);
}

/// Refuses a state of tokens whose numbers of tokens no sequence leads to.
template <class Window, class State>
void expect_counts(const char* where, const State& state) {
  if (state.held < 0 || state.held >= Window::width || state.skip < 0 || state.skip > Window::gap)
    refuse(where, "window.held and window.skip are ", state.held, " and ", state.skip, ", expected 0 to ",
           Window::width - 1, " and 0 to ", Window::gap);
}

/// Refuses a recurrence's state of another size.
template <class Layer, class State>
void expect_memory(const char* where, const Layer& layer, const State& state) {
  expect_extents(where, Name{"recurrence.memory"}, state.memory, layer.col_count(), layer.row_count());
}

/// Refuses a layer's state of other sizes.
template <class Layer, class State>
void expect_layer_state(const char* where, const Layer& layer, const State& state) {
  expect_extents(where, Name{"window.tokens"}, state.window.tokens, layer.feature_count(), Layer::Window::width);
  expect_memory(where, layer, state.recurrence);
}

/// Refuses scratch of another layer's sizes; what `step` and `forward` have of it, which is made together.
template <class Layer, class Workspace>
void expect_workspace(const char* where, const Layer& layer, const Workspace& ws) {
  expect_equal(where, "the number of features of the workspace", ws.straddling.rows(), layer.feature_count());
  expect_extents(where, Name{"workspace.o"}, ws.o, layer.row_count(), 1);
  expect_extents(where, Name{"workspace.readout.v"}, ws.readout.v, layer.col_count(), 1);
}

/// Refuses what `step` and `forward` read and write, if it is of other sizes than the layer.
template <class P, class Layer, class State, class Workspace>
void expect_layer(const char* where, const Layer& layer, const typename Layer::template Coefficients<P>& c,
                  const State& state, const Workspace& ws) {
  expect_layer_coefficients<P>(where, layer, c);
  expect_layer_state(where, layer, state);
  expect_workspace(where, layer, ws);
}

}  // namespace detail
}  // namespace gdssm
