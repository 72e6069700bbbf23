// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

namespace detail {

/// Refuses a length that does not end with a window, the first of which needs `first` tokens.
inline void expect_windows(Index length, Index first, Index stride, const char* where) {
  if (length < first || (length - first) % stride != 0)
    refuse(where, "the sequence has ", length, " tokens, expected ", first, " + ", stride,
           " k, so that it ends with a window");
}

}  // namespace detail

/// Groups a sequence into windows: window t holds tokens stride t, ..., stride t + width - 1 (both from 0). Width 3 and
/// stride 2 make X_t = [x_t; y_t; x_{t+1}] of the tokens x_1, y_1, x_2, y_2, ..., x_{N+1}.
/// Shapes  a token (Features), a window (Features x Width): X_t transposed, its rows as columns
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
template <Index Features, Index Width, Index Stride>
class SlidingWindow {
  static_assert(Features == Dynamic || Features > 0,
                "SlidingWindow: the features must be a positive number or Dynamic");
  static_assert(Width > 0 && Stride > 0, "SlidingWindow: the width and the stride must be positive");

 public:
  static constexpr Index size = Features;  ///< entries of a token, a number or `Dynamic`
  static constexpr Index width = Width;
  static constexpr Index stride = Stride;
  /// The number of tokens that a window shares with the next.
  static constexpr Index shared = Width > Stride ? Width - Stride : 0;
  static constexpr Index gap = Stride > Width ? Stride - Width : 0;  ///< tokens between windows, in none of them

  /// `where` begins error messages.
  explicit SlidingWindow(Index features, const char* where = "SlidingWindow")
      : features_(detail::fixed_or<Features>(features)) {
    if (features <= 0) refuse(where, "the number of features is ", features, ", expected at least 1");
    if (Features != Dynamic) expect_equal(where, "the number of features", features, Features);
  }

  Index features() const { return features_.value(); }  ///< entries of a token

  /// The tokens that later windows need. `held` of them are stored, and the next `skip` tokens are ignored.
  template <class T>
  struct State {
    Array<T, Features, Width> tokens;  ///< of the window that is being filled
    Index held = 0;                    ///< how many of them are stored
    Index skip = 0;                    ///< tokens still to be ignored

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"tokens"}, self.tokens...);
    }
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      visitor(Name{"held"}, self.held...);
      visitor(Name{"skip"}, self.skip...);
    }
    /// Equal when everything that affects later outputs is equal.
    friend bool operator==(const State& a, const State& b) {
      return a.held == b.held && a.skip == b.skip &&
             std::equal(a.tokens.data(), a.tokens.data() + a.held * a.tokens.rows(), b.tokens.data());
    }
  };

  template <class T>
  State<T> initial_state() const {
    return {Array<T, Features, Width>(features(), Width)};
  }

  /// Forgets every token; the result equals `initial_state`.
  template <class T>
  void restart(State<T>& state) const {
    state.held = state.skip = 0;
  }

  /// Takes in a token. True when it completes the window `state.tokens`; call `slide` before the next token then.
  template <class T>
  bool push(View<const T, Features, 1> token, State<T>& state) const {
    if (state.skip > 0) {
      --state.skip;
      return false;
    }
    detail::copy(token, state.tokens.view().column(state.held++));
    return state.held == Width;
  }

  /// Drops the tokens that no later window holds.
  template <class T>
  void slide(State<T>& state) const {
    for (Index k = 0; k < shared; ++k)
      detail::copy(View<const T, Features, 1>(state.tokens.view().column(Stride + k)), state.tokens.view().column(k));
    state.held = shared;
    state.skip = gap;
  }

  /// The number of windows that `length` more tokens complete after `state`, if the last token ends a window.
  /// Errors  std::invalid_argument otherwise, led by `where`: the length, and the lengths that do end with a window
  template <class T>
  Index windows(Index length, const State<T>& state, const char* where = "tokens") const {
    detail::expect_windows(length, Width + state.skip - state.held, Stride, where);
    return completed(length, state);
  }

  /// The number of windows that `length` more tokens complete after `state`, wherever the tokens end.
  template <class T>
  Index completed(Index length, const State<T>& state) const {
    const Index first = Width + state.skip - state.held;
    return length < first ? 0 : (length - first) / Stride + 1;
  }

 private:
  [[no_unique_address]] detail::Extent<Features> features_;
};

/// The sizes of any `SlidingWindow` as numbers, for what is compiled once for all of them.
struct WindowSizes {
  Index features;  ///< entries of a token
  Index width;     ///< tokens in a window
  Index stride;    ///< tokens from one window to the next

  /// Of a `SlidingWindow`, of which these are made where they are asked for.
  template <class Window>
  requires requires { Window::stride; }
  explicit(false) WindowSizes(const Window& window)
      : features(window.features()), width(Window::width), stride(Window::stride) {}

  /// The windows in a sequence of so many tokens, which ends with one.        Errors  as `SlidingWindow::windows`
  Index windows(Index length, const char* where = "tokens") const {
    detail::expect_windows(length, width, stride, where);
    return (length - width) / stride + 1;
  }
};

namespace detail {

/// The windows that a sequence completes when it begins in a given state. Windows that include tokens from the state
/// are assembled in `staging` (Features x 2 (Width - 1)); all others are views of the sequence itself.
template <class Window, class T>
class WindowedSequence {
  using Tokens = View<const T, Window::size>;

 public:
  template <class State>
  WindowedSequence(const Window& window, const State& state, Tokens tokens, View<T, Window::size> staging)
      : tokens_(tokens),
        staging_(staging),
        offset_(state.skip - state.held),
        count_(window.completed(tokens.cols(), state)) {
    for (Index k = 0; k < state.held; ++k)
      copy(View<const T, Window::size, 1>(state.tokens.view().column(k)), staging.column(k));
    if (state.held > 0)
      for (Index k = 0; k < (std::min)(Window::width - 1, tokens.cols()); ++k)
        copy(tokens.column(k), staging.column(state.held + k));
  }

  Index count() const { return count_; }

  View<const T, Window::size, Window::width> operator[](Index t) const {
    const Index first = t * Window::stride + offset_;
    if (first >= 0) return tokens_.template columns<Window::width>(first);
    return staging_.template columns<Window::width>(first - offset_);
  }

  /// All windows in place, window t at column t stride of the tokens; absent when the first one reaches into the state.
  Tokens run() const {
    if (offset_ < 0) return Tokens::absent();
    return tokens_.columns(offset_, (count_ - 1) * Window::stride + Window::width);
  }

  /// Leaves `state` as if the tokens had been pushed one by one.
  template <class State>
  void finish(const Window& window, State& state) const {
    Index next = 0;
    if (count_ > 0) {
      const auto last = (*this)[count_ - 1];
      for (Index k = 0; k < Window::shared; ++k) copy(last.column(Window::stride + k), state.tokens.view().column(k));
      state.held = Window::shared;
      state.skip = Window::gap;
      next = (count_ - 1) * Window::stride + Window::width + offset_;
    }
    for (; next < tokens_.cols(); ++next) window.push(tokens_.column(next), state);
  }

 private:
  Tokens tokens_, staging_;
  Index offset_, count_;
};

/// Adds up the cotangents of the windows of a `WindowedSequence` in those of the tokens.
template <class Window, class T>
class WindowedCotangent {
  using Tokens = View<T, Window::size>;

 public:
  /// `state_bar` is the cotangent of the tokens in the last state. Adds to `tokens_bar`.
  template <class State, class StateBar>
  WindowedCotangent(const State& state, Index count, const StateBar& state_bar, Tokens tokens_bar, Tokens staging)
      : tokens_(tokens_bar), staging_(staging), held_(state.held), offset_(state.skip - state.held) {
    staging_.fill(T(0));
    const auto last = (*this)[count - 1];
    for (Index k = 0; k < Window::shared; ++k) add(state_bar.tokens.view().column(k), last.column(Window::stride + k));
  }

  View<T, Window::size, Window::width> operator[](Index t) const {
    const Index first = t * Window::stride + offset_;
    if (first >= 0) return tokens_.template columns<Window::width>(first);
    return staging_.template columns<Window::width>(first - offset_);
  }

  /// Leaves the cotangent of the tokens in the first state in `state_bar`.
  template <class StateBar>
  void finish(StateBar& state_bar) const {
    state_bar.tokens.fill(T(0));
    for (Index k = 0; k < held_; ++k)
      copy(View<const T, Window::size, 1>(staging_.column(k)), state_bar.tokens.view().column(k));
    if (held_ > 0)
      for (Index k = 0; k < (std::min)(Window::width - 1, tokens_.cols()); ++k)
        add(View<const T, Window::size, 1>(staging_.column(held_ + k)), tokens_.column(k));
  }

 private:
  Tokens tokens_, staging_;
  Index held_, offset_;
};

}  // namespace detail
}  // namespace gdssm
