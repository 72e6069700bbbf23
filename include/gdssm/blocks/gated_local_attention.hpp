// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Local self-attention with the multiplicative gate on the input side,
///     G_t = diag(X_t^T d) X_t^T A X_t,                                                             (1c)
/// returned as factors: left = diag(X_t^T d) X_t^T, right = A X_t. With a `ConstantGate` behind
/// it, the query acts only through its own window's share of the state: a control.
/// Shapes  as in `LocalAttention`, d (Width)        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class GatedLocalAttention : public PlainBlock<GatedLocalAttention<Features, Width, Stride>>,
                            public WindowedInput<Features, Width, Stride> {
  using Base = WindowedInput<Features, Width, Stride>;
  using Plain = LocalAttention<Features, Width, Stride>;

 public:
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = true;

  GatedLocalAttention() requires(Features != Dynamic) : GatedLocalAttention(Features) {}
  explicit GatedLocalAttention(Index features) : Base(features, "GatedLocalAttention") {}

  template <class Storage>
  struct Weights : Plain::template Weights<Storage> {
    MatrixIn<Storage, Width, 1> d;  ///< weight of each token in the gate (Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Plain::template Weights<Storage>::visit(visitor, self...);
      visitor(Name{"d"}, self.d...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  struct Workspace : Base::template Workspace<T> {
    Array<T, Features, Width> left;  ///< the left factors of the last window
  };

  template <class Storage>
  Weights<Storage> weights() const {
    return {{zeros_in<Storage, Width, Width>()}, zeros_in<Storage, Width, 1>(Width, 1)};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Base::template workspace<T>(), Array<T, Features, Width>(this->row_count(), Width)};
  }

  /// Initial values as in its parts: A ~ N(0, 0.1^2), d ~ N(0, 1).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.A, [&] { return 0.1 * stream.normal(); });
    detail::draw_entries(p.d, [&] { return stream.normal(); });
  }

  /// One window's factors: left_a = o * x_a, o = sum_b d_b x_b, and right_a = sum_b A_ab x_b.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   Workspace<S>& ws) const {
    for (Index i = 0; i < window.rows(); ++i) {
      const S o = gate(c, window, i);
      for (Index a = 0; a < Width; ++a) ws.left(i, a) = o * window(i, a);
    }
    return {ws.left.view(), detail::right_factors<Stride>(c.A.view(), window, ws.right.view())};
  }

  /// VJP of `step`: A_bar as in `LocalAttention`, and with o_bar = sum_a left_bar_a * x_a
  ///     d_bar_b += <o_bar, x_b>,   x_bar_b += left_bar_b * o + d_b o_bar + sum_a A_ab right_bar_a
  /// unless `window_bar` is absent.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window,
                View<const S, Features, Width> left_bar, View<const S, Features, Width> right_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar) const {
    detail::mix_tokens_vjp(c.A.view(), window, right_bar, c_bar.A.view(), window_bar);
    for (Index i = 0; i < window.rows(); ++i) {
      S o_bar = left_bar(i, 0) * window(i, 0);
      for (Index a = 1; a < Width; ++a) o_bar = multiply_add(left_bar(i, a), window(i, a), o_bar);
      for (Index b = 0; b < Width; ++b) c_bar.d[b] = multiply_add(o_bar, window(i, b), c_bar.d[b]);
      if (!window_bar.present()) continue;
      const S o = gate(c, window, i);
      for (Index b = 0; b < Width; ++b)
        window_bar(i, b) = multiply_add(S(c.d[b]), o_bar, multiply_add(left_bar(i, b), o, window_bar(i, b)));
    }
  }

 private:
  /// o_i
  template <class P, class S>
  static S gate(const Coefficients<P>& c, View<const S, Features, Width> window, Index i) {
    S o = S(c.d[0]) * window(i, 0);
    for (Index b = 1; b < Width; ++b) o = multiply_add(S(c.d[b]), window(i, b), o);
    return o;
  }
};

}  // namespace gdssm
