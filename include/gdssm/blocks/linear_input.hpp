// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/windowed_input.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// No attention: the state accumulates a linear function of the window's tokens,
///     G_t = X_t^T B,                                                                               (1a)
/// returned as factors: left = X_t, right = B. No product of an input and its target is ever formed: a control.
/// Shapes  X_t (Width x Features), B (Width x Features), G_t (Features x Features)        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class LinearInput : public PlainBlock<LinearInput<Features, Width, Stride>>,
                    public WindowedInput<Features, Width, Stride> {
  using Base = WindowedInput<Features, Width, Stride>;

 public:
  static constexpr bool left_trains = false;
  static constexpr bool right_trains = true;

  LinearInput() requires(Features != Dynamic) : LinearInput(Features) {}
  explicit LinearInput(Index features) : Base(features, "LinearInput") {}

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Width, Features> B;  ///< the map of each place's token into the state (Width x Features)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"B"}, self.B...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Width, Features>(Width, this->row_count())};
  }

  /// Initial values as in `LocalAttention`: B ~ N(0, 0.1^2).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.B, [&] { return 0.1 * stream.normal(); });
  }

  /// One window's factors: right_a = row a of B.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   typename Base::template Workspace<S>& ws) const {
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
};

}  // namespace gdssm
