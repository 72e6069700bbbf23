// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/blocks/windowed_input.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Softmax self-attention over neighbouring tokens instead of linear attention:
///     G_t = X_t^T diag(v) P_t X_t,   P_t,ab = softmax_b(B_ab + k <x_a, x_b>)                        (1b)
/// with x_a row a of X_t, returned as factors: left = X_t, right = diag(v) P_t X_t. (1) with A = e_0 e_1^T is the limit
/// B_01 -> infinity, v = e_0.
/// Shapes  X_t (Width x Features), B (Width x Width), k (1), v (Width), G_t (Features x Features)
/// VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class SoftmaxLocalAttention : public PlainBlock<SoftmaxLocalAttention<Features, Width, Stride>>,
                              public WindowedInput<Features, Width, Stride> {
  using Base = WindowedInput<Features, Width, Stride>;

 public:
  static constexpr bool left_trains = false;
  static constexpr bool right_trains = true;

  SoftmaxLocalAttention() requires(Features != Dynamic) : SoftmaxLocalAttention(Features) {}
  explicit SoftmaxLocalAttention(Index features) : Base(features, "SoftmaxLocalAttention") {}

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Width, Width> B;  ///< score between places, independent of the tokens (Width x Width)
    MatrixIn<Storage, 1, 1> k;          ///< weight of the tokens' inner product in the score
    MatrixIn<Storage, Width, 1> v;      ///< weight of each place's row (Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"B"}, self.B...);
      visitor(Name{"k"}, self.k...);
      visitor(Name{"v"}, self.v...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Width, Width>(Width, Width), zeros_in<Storage, 1, 1>(1, 1),
            zeros_in<Storage, Width, 1>(Width, 1)};
  }

  /// Initial values that hardly prefer any place: B ~ N(0, 1), k = 1, v ~ N(0, 0.1^2).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.B, [&] { return stream.normal(); });
    p.k.setConstant(1);
    detail::draw_entries(p.v, [&] { return 0.1 * stream.normal(); });
  }

  /// One window's factors: right_a = v_a sum_b P_ab x_b.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   typename Base::template Workspace<S>& ws) const {
    S P_t[square], products[square], weights[square];
    attend(c, window, P_t, products, weights);
    detail::mix_tokens(View<const S, Width, Width>(weights, Width, Width), window, ws.right.view());
    return {window, ws.right.view()};
  }

  /// VJP of `step`. With D_ab = <right_bar_a, x_b> and the scores' cotangent s_bar:
  ///     v_bar_a += sum_b P_ab D_ab,   s_bar_ab = v_a P_ab (D_ab - sum_c P_ac D_ac),
  ///     B_bar += s_bar,   k_bar += sum_ab s_bar_ab <x_a, x_b>,
  /// and, unless `window_bar` is absent, x_bar_a += left_bar_a + sum_b v_b P_ba right_bar_b + sum_b k (s_bar_ab +
  /// s_bar_ba) x_b.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window,
                View<const S, Features, Width> left_bar, View<const S, Features, Width> right_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar) const {
    S P_t[square], products[square], weights[square], D[square];
    attend(c, window, P_t, products, weights);
    for (S& entry : D) entry = S(0);
    if (window_bar.present()) detail::add(left_bar, window_bar);
    detail::mix_tokens_vjp(View<const S, Width, Width>(weights, Width, Width), window, right_bar,
                           View<S, Width, Width>(D, Width, Width), window_bar);
    for (Index a = 0; a < Width; ++a) {
      S mean = S(0);
      for (Index b = 0; b < Width; ++b) mean = multiply_add(P_t[a + b * Width], D[a + b * Width], mean);
      c_bar.v[a] += mean;
      for (Index b = 0; b < Width; ++b) {
        S& s_bar = D[a + b * Width];
        s_bar = weights[a + b * Width] * (s_bar - mean);
        c_bar.B(a, b) += s_bar;
        c_bar.k[0] = multiply_add(s_bar, products[a + b * Width], c_bar.k[0]);
      }
    }
    if (!window_bar.present()) return;
    for (Index a = 0; a < Width; ++a)
      for (Index b = 0; b < Width; ++b) {
        const S both = S(c.k[0]) * (D[a + b * Width] + D[b + a * Width]);
        for (Index i = 0; i < window.rows(); ++i) window_bar(i, a) = multiply_add(both, window(i, b), window_bar(i, a));
      }
  }

 private:
  static constexpr Index square = Width * Width;

  /// P_t, <x_a, x_b> and v_a P_t,ab of one window, entry (a, b) at a + b Width.
  template <class P, class S>
  static void attend(const Coefficients<P>& c, View<const S, Features, Width> window, S* P_t, S* products, S* weights) {
    using std::exp;
    for (Index a = 0; a < Width; ++a) {
      S score[Width], sum = S(0);
      for (Index b = 0; b < Width; ++b) {
        S product = window(0, a) * window(0, b);
        for (Index i = 1; i < window.rows(); ++i) product = multiply_add(window(i, a), window(i, b), product);
        products[a + b * Width] = product;
        score[b] = multiply_add(S(c.k[0]), product, S(c.B(a, b)));
      }
      S most = score[0];
      for (Index b = 1; b < Width; ++b) most = larger(most, score[b]);
      for (Index b = 0; b < Width; ++b) {
        score[b] = exp(score[b] - most);
        sum += score[b];
      }
      for (Index b = 0; b < Width; ++b) {
        P_t[a + b * Width] = score[b] / sum;
        weights[a + b * Width] = S(c.v[a]) * P_t[a + b * Width];
      }
    }
  }
};

}  // namespace gdssm
