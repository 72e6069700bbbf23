// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/sliding_window.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// No attention over windows of normal tokens: what the state accumulates is linear in them,
///     G_t = X_t^T B,                                                                               (1a)
/// handed on in factors: left = X_t, right = B. No product of an input and its target is ever formed: a control.
/// Shapes  X_t (Width x Features), B (Width x Features), G_t (Features x Features)        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class LinearInput : public PlainCoefficients {
 public:
  using Window = SlidingWindow<Features, Width, Stride>;
  static constexpr Index rows = Features;
  static constexpr Index cols = Features;
  static constexpr Index rank = Width;
  static constexpr bool left_trains = false;
  static constexpr bool right_trains = true;

  LinearInput() requires(Features != Dynamic) : LinearInput(Features) {}
  explicit LinearInput(Index features) : window_(detail::fixed_or<Features>(features)) {
    if (Features != Dynamic) expect_equal("LinearInput", "the number of features", features, Features);
  }

  const Window& window() const { return window_; }
  Index row_count() const { return window_.features(); }
  Index col_count() const { return window_.features(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, Features> B;  ///< what a token of each place adds to the state (Width x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"B"}, self.B...);
    }
  };

  template <class T>
  struct Coefficients {
    Array<T, Width, Features> B;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"B"}, self.B...);
    }
  };

  template <class T>
  using State = typename Window::template State<T>;

  template <class T>
  struct Workspace {
    Array<T, Features, Width> right;
    Array<T, Features> straddling;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, Features>(Width, row_count())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Width, Features>(Width, row_count())};
  }
  template <class T>
  State<T> initial_state() const {
    return window_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Array<T, Features, Width>(row_count(), Width), Array<T, Features>(row_count(), 2 * Width)};
  }

  /// One window's factors: right_a = row a of B.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   Workspace<S>& ws) const {
    for (Index a = 0; a < Width; ++a)
      for (Index j = 0; j < window.rows(); ++j) ws.right(j, a) = S(c.B(a, j));
    return {window, ws.right.view()};
  }

  /// VJP of `step`: B_bar_aj += right_bar_aj, and, unless `window_bar` is absent, x_bar_a += left_bar_a.
  template <class P, class S>
  void step_vjp(const Coefficients<P>&, View<const S, Features, Width>, View<const S, Features, Width> left_bar,
                View<const S, Features, Width> right_bar, Coefficients<S>& c_bar,
                View<S, Features, Width> window_bar) const {
    for (Index a = 0; a < Width; ++a)
      for (Index j = 0; j < right_bar.rows(); ++j) c_bar.B(a, j) += right_bar(j, a);
    if (window_bar.present()) detail::add(left_bar, window_bar);
  }

 private:
  Window window_;
};

}  // namespace gdssm
