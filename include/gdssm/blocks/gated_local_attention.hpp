// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Local self-attention with the multiplicative gate on the side of the input,
///     G_t = diag(X_t^T d) X_t^T A X_t,                                                             (1c)
/// handed on in factors: left = diag(X_t^T d) X_t^T, right = A X_t. With `ConstantGate` behind it the state is all that
/// the query can act on, and of the state its own window's share alone: a control.
/// Shapes  as in `LocalAttention`, d (Width)        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class GatedLocalAttention {
  using Plain = LocalAttention<Features, Width, Stride>;

 public:
  using Window = typename Plain::Window;
  static constexpr Index rows = Features;
  static constexpr Index cols = Features;
  static constexpr Index rank = Width;
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = true;

  GatedLocalAttention() requires(Features != Dynamic) : GatedLocalAttention(Features) {}
  explicit GatedLocalAttention(Index features) : plain_(features) {}

  const Window& window() const { return plain_.window(); }
  Index row_count() const { return plain_.row_count(); }
  Index col_count() const { return plain_.col_count(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, Width> A;  ///< attention between the window's tokens (Width x Width)
    detail::Matrix<T, Width, 1> d;      ///< weight of each token in the gate (Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"A"}, self.A...);
      visitor(Name{"d"}, self.d...);
    }
  };

  template <class T>
  struct Coefficients {
    typename Plain::template Coefficients<T> plain;
    Array<T, Width, 1> d;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      gdssm::visit(visitor, self.plain...);
      visitor(Name{"d"}, self.d...);
    }
  };

  template <class T>
  using State = typename Plain::template State<T>;

  template <class T>
  struct Workspace {
    typename Plain::template Workspace<T> plain;
    Array<T, Features, Width> left;
    Array<T, Features> straddling;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, Width>(Width, Width), detail::zeros<T, Width, 1>(Width, 1)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {};
  }
  template <class T>
  State<T> initial_state() const {
    return plain_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return {plain_.template workspace<T>(), Array<T, Features, Width>(row_count(), Width),
            Array<T, Features>(row_count(), 2 * Width)};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    detail::copy(p.A, c.plain.A);
    detail::copy(p.d, c.d);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    p_bar.A += c_bar.plain.A.matrix();
    p_bar.d += c_bar.d.matrix();
  }

  /// One window's factors: left_a = o * x_a, o = sum_b d_b x_b, and right_a = sum_b A_ab x_b.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   Workspace<S>& ws) const {
    for (Index i = 0; i < window.rows(); ++i) {
      const S o = gate(c, window, i);
      for (Index a = 0; a < Width; ++a) ws.left(i, a) = o * window(i, a);
    }
    return {ws.left.view(), plain_.step(c.plain, window, ws.plain).right};
  }

  /// VJP of `step`: A_bar as in `LocalAttention`, and with o_bar = sum_a left_bar_a * x_a
  ///     d_bar_b += <o_bar, x_b>,   x_bar_b += left_bar_b * o + d_b o_bar + sum_a A_ab right_bar_a
  /// unless `window_bar` is absent.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window,
                View<const S, Features, Width> left_bar, View<const S, Features, Width> right_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar) const {
    detail::mix_tokens_vjp(c.plain.A.view(), window, right_bar, c_bar.plain.A.view(), window_bar);
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

  Plain plain_;
};

}  // namespace gdssm
