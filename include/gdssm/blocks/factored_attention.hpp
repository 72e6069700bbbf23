// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/windowed_input.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"

namespace gdssm {

/// Local self-attention whose matrix is A = K V^T, of a low rank: keys and values are mixtures of the window's tokens,
///     G_t = (X_t^T K) (X_t^T V)^T                                                                  (1e)
/// in factors: left = X_t^T K, the keys, and right = X_t^T V, the values. What a learning rule wants before it: with
/// rank 1 one key and one value a window.
/// Shapes  X_t (Width x Features), K, V (Width x Rank), G_t (Features x Features)
/// Errors  a wrong fixed size: static_assert; a wrong run-time size: std::invalid_argument        VJP  `step_vjp`
template <Index Features = Dynamic, Index Rank = 1, Index Width = 3, Index Stride = 2>
class FactoredAttention : public PlainBlock<FactoredAttention<Features, Rank, Width, Stride>>,
                          public WindowedInput<Features, Width, Stride> {
  static_assert(Rank > 0, "FactoredAttention: the rank must be positive");
  using Base = WindowedInput<Features, Width, Stride>;

 public:
  static constexpr Index rank = Rank;
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = true;

  FactoredAttention() requires(Features != Dynamic) : FactoredAttention(Features) {}
  explicit FactoredAttention(Index features) : Base(features, "FactoredAttention") {}

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Width, Rank> K;  ///< of the keys (Width x Rank)
    MatrixIn<Storage, Width, Rank> V;  ///< of the values (Width x Rank)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"K"}, self.K...);
      visitor(Name{"V"}, self.V...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Width, Rank>(), zeros_in<Storage, Width, Rank>()};
  }

  template <class T>
  struct Workspace {
    Array<T, Features, Rank> left, right;  ///< the factors of the last window
  };
  template <class T>
  Workspace<T> workspace() const {
    return {{this->row_count(), Rank}, {this->col_count(), Rank}};
  }

  /// K, V ~ N(0, 1/Width).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    for (auto* matrix : {&p.K, &p.V})
      detail::draw_entries(*matrix, [&] { return stream.normal() / std::sqrt(static_cast<double>(Width)); });
  }
  /// Its share of the closed form (7), A = e_0 e_1^T: the first of its keys is x, its value y.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    static_assert(Width >= 3,
                  "FactoredAttention::construct: the window must hold a pair and the next input, three tokens");
    p.K(0, 0) = P(1);
    p.V(1, 0) = P(1);
  }

  /// One window's factors: left_a = sum_b K_ba x_b, right_a = sum_b V_ba x_b, x_b the window's token b.
  template <class P, class S>
  Factors<const S, Features, Features, Rank> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                  Workspace<S>& ws) const {
    mix(c.K, window, ws.left);
    mix(c.V, window, ws.right);
    return {ws.left.view(), ws.right.view()};
  }

  /// VJP of `step`: K_bar_ba += <x_b, left_bar_a>, V_bar_ba += <x_b, right_bar_a>, and, unless `window_bar` is absent,
  /// x_bar_b += sum_a (K_ba left_bar_a + V_ba right_bar_a).
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window, View<const S, Features, Rank> left_bar,
                View<const S, Features, Rank> right_bar, Coefficients<S>& c_bar,
                View<S, Features, Width> window_bar) const {
    mix_vjp(c.K, window, left_bar, c_bar.K, window_bar);
    mix_vjp(c.V, window, right_bar, c_bar.V, window_bar);
  }

 private:
  template <class P, class S>
  static void mix(const Array<P, Width, Rank>& weight, View<const S, Features, Width> window,
                  Array<S, Features, Rank>& mixed) {
    for (Index a = 0; a < Rank; ++a)
      for (Index i = 0; i < window.rows(); ++i) {
        S sum = S(weight(0, a)) * window(i, 0);
        for (Index b = 1; b < Width; ++b) sum = multiply_add(S(weight(b, a)), window(i, b), sum);
        mixed(i, a) = sum;
      }
  }
  template <class P, class S>
  static void mix_vjp(const Array<P, Width, Rank>& weight, View<const S, Features, Width> window,
                      View<const S, Features, Rank> mixed_bar, Array<S, Width, Rank>& weight_bar,
                      View<S, Features, Width> window_bar) {
    for (Index a = 0; a < Rank; ++a)
      for (Index b = 0; b < Width; ++b) {
        S sum = weight_bar(b, a);
        for (Index i = 0; i < window.rows(); ++i) sum = multiply_add(window(i, b), mixed_bar(i, a), sum);
        weight_bar(b, a) = sum;
        if (!window_bar.present()) continue;
        for (Index i = 0; i < window.rows(); ++i)
          window_bar(i, b) = multiply_add(S(weight(b, a)), mixed_bar(i, a), window_bar(i, b));
      }
  }
};

}  // namespace gdssm
