// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/windowed_input.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/tiled_kernels.hpp"

namespace gdssm {

namespace detail {

/// right_a = sum_b A_ab x_b over the window's tokens.
template <class P, class S, Index Features, Index Width>
void mix_tokens(View<const P, Width, Width> A, View<const S, Features, Width> window, View<S, Features, Width> right) {
  for (Index i = 0; i < window.rows(); ++i)
    for (Index a = 0; a < Width; ++a) {
      S sum = S(A(a, 0)) * window(i, 0);
      for (Index b = 1; b < Width; ++b) sum = multiply_add(S(A(a, b)), window(i, b), sum);
      right(i, a) = sum;
    }
}

/// VJP of `mix_tokens`: A_bar_ab += <right_bar_a, x_b>, and, unless `window_bar` is absent, x_bar_b += sum_a A_ab
/// right_bar_a.
template <class P, class S, Index Features, Index Width>
void mix_tokens_vjp(View<const P, Width, Width> A, View<const S, Features, Width> window,
                    View<const S, Features, Width> right_bar, View<S, Width, Width> A_bar,
                    View<S, Features, Width> window_bar) {
  for (Index a = 0; a < Width; ++a)
    for (Index b = 0; b < Width; ++b) {
      S sum = A_bar(a, b);
      for (Index i = 0; i < window.rows(); ++i) sum = multiply_add(right_bar(i, a), window(i, b), sum);
      A_bar(a, b) = sum;
    }
  if (!window_bar.present()) return;
  for (Index b = 0; b < Width; ++b)
    for (Index i = 0; i < window.rows(); ++i) {
      S sum = window_bar(i, b);
      for (Index a = 0; a < Width; ++a) sum = multiply_add(S(A(a, b)), right_bar(i, a), sum);
      window_bar(i, b) = sum;
    }
}

/// `mix_tokens`, tiled where there are tiles.
template <Index Stride, class P, class S, Index Features, Index Width>
View<const S, Features, Width> right_factors(View<const P, Width, Width> A, View<const S, Features, Width> window,
                                             View<S, Features, Width> right) {
  if constexpr (kernels::has_tiles<P, S>)
    kernels::mix_columns<Width, Stride>(A, View<const S, Features>(window), View<S, Features>(right));
  else
    mix_tokens(A, window, right);
  return right;
}

}  // namespace detail

/// Linear self-attention over neighbouring tokens:
///     G_t = X_t^T A X_t                                                                            (1)
/// returned as factors: left = X_t, a view of the tokens, and right = A X_t.
/// Shapes  X_t (Width x Features), A (Width x Width), G_t (Features x Features)
/// Errors  a wrong fixed size: static_assert; a wrong run-time size: std::invalid_argument
/// Source  arXiv:2410.11687v1; A is the reference's `w_q`        VJP  `step_vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class LocalAttention : public PlainBlock<LocalAttention<Features, Width, Stride>>,
                       public WindowedInput<Features, Width, Stride> {
  using Base = WindowedInput<Features, Width, Stride>;

 public:
  /// The factors whose cotangents the parameters' gradient needs.
  static constexpr bool left_trains = false;
  static constexpr bool right_trains = true;

  LocalAttention() requires(Features != Dynamic) : LocalAttention(Features) {}
  explicit LocalAttention(Index features) : Base(features, "LocalAttention") {}

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Width, Width> A;  ///< attention between the window's tokens (Width x Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"A"}, self.A...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Width, Width>(Width, Width)};
  }

  /// The reference's initial values: A ~ N(0, 0.1^2).
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.A, [&] { return 0.1 * stream.normal(); });
  }
  /// In the closed form (7) A = e_0 e_1^T.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    static_assert(Width >= 3,
                  "LocalAttention::construct: the window must hold a pair and the next input, three tokens");
    p.A(0, 1) = P(1);
  }

  /// One window's factors: right_a = sum_b A_ab x_b, x_b the window's token b.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   typename Base::template Workspace<S>& ws) const {
    return {window, detail::right_factors<Stride>(c.A.view(), window, ws.right.view())};
  }

  /// VJP of `step`: A_bar_ab += <right_bar_a, x_b>, and, unless `window_bar` is absent,
  /// x_bar_b += left_bar_b + sum_a A_ab right_bar_a.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Features, Width> window,
                View<const S, Features, Width> left_bar, View<const S, Features, Width> right_bar,
                Coefficients<S>& c_bar, View<S, Features, Width> window_bar) const {
    if (window_bar.present()) detail::add(left_bar, window_bar);
    detail::mix_tokens_vjp(c.A.view(), window, right_bar, c_bar.A.view(), window_bar);
  }

  /// `step` for a run of windows, which begin `Stride` columns apart in the tokens; gives the same bits. Unless `gate`
  /// is absent, also writes the gated tokens gate * x for the recurrence's `run_vjp`.
  /// Shapes  tokens, gated (Features x (n - 1) Stride + Width), rights (Features x Width n), gate (Features)
  template <class P, class S>
  void run(const Coefficients<P>& c, View<const S, Features> tokens, View<S, Features> rights,
           View<const S, Features, 1> gate, View<S, Features> gated) const {
    if (gate.present())
      kernels::mix_columns<Width, Stride>(c.A.view(), tokens, rights, gate, gated);
    else
      kernels::mix_columns<Width, Stride>(c.A.view(), tokens, rights);
  }

  /// VJP of `run` for the parameters: A_bar_ab += <right_bar_a, x_b>.
  template <class S>
  void run_vjp(View<const S, Features> tokens, View<const S, Features> rights_bar, Coefficients<S>& c_bar) const {
    kernels::mix_columns_vjp<Width>(tokens, Stride, rights_bar, c_bar.A.view());
  }
};

}  // namespace gdssm
