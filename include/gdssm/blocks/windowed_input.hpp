// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/sliding_window.hpp"

namespace gdssm {

/// The base of an input side that reads windows and returns one factor for each token: window, sizes, state, and
/// workspace for the right factors.
template <Index Features, Index Width, Index Stride>
class WindowedInput {
 public:
  using Window = SlidingWindow<Features, Width, Stride>;
  static constexpr Index rows = Features;
  static constexpr Index cols = Features;
  static constexpr Index rank = Width;

  /// `where` begins error messages.
  WindowedInput(Index features, const char* where) : window_(features, where) {}

  const Window& window() const { return window_; }
  Index row_count() const { return window_.features(); }
  Index col_count() const { return window_.features(); }

  /// The tokens that later windows need.
  template <class T>
  using State = typename Window::template State<T>;

  template <class T>
  struct Workspace {
    Array<T, Features, Width> right;  ///< the right factors of the last window
  };

  template <class T>
  State<T> initial_state() const {
    return window_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Array<T, Features, Width>(col_count(), Width)};
  }

 private:
  Window window_;
};

}  // namespace gdssm
