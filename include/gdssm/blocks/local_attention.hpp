// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/sliding_window.hpp"
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

/// Its VJP: A_bar_ab += <right_bar_a, x_b>, and, unless `window_bar` is absent, x_bar_b += sum_a A_ab right_bar_a.
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

}  // namespace detail

/// Linear self-attention over neighbouring tokens:
///     G_t = X_t^T A X_t                                                                            (1)
/// handed on in factors: left = X_t, a view of the tokens, and right = A X_t.
/// Shapes  X_t (Width x Features), A (Width x Width), G_t (Features x Features)
/// Errors  a wrong fixed size: static_assert; a wrong run-time size: std::invalid_argument
/// Source  arXiv:2410.11687v1; A is the reference's `w_q`        VJP  `step_vjp`, `vjp`
template <Index Features = Dynamic, Index Width = 3, Index Stride = 2>
class LocalAttention : public PlainCoefficients {
 public:
  using Window = SlidingWindow<Features, Width, Stride>;
  static constexpr Index rows = Features;
  static constexpr Index cols = Features;
  static constexpr Index rank = Width;
  /// Which cotangents of the factors the parameters' gradient needs.
  static constexpr bool left_trains = false;
  static constexpr bool right_trains = true;

  LocalAttention() requires(Features != Dynamic) : LocalAttention(Features) {}
  explicit LocalAttention(Index features) : window_(detail::fixed_or<Features>(features)) {
    if (Features != Dynamic) expect_equal("LocalAttention", "the number of features", features, Features);
  }

  const Window& window() const { return window_; }
  Index row_count() const { return window_.features(); }
  Index col_count() const { return window_.features(); }

  template <class T>
  struct Parameters {
    detail::Matrix<T, Width, Width> A;  ///< attention between the window's tokens (Width x Width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"A"}, self.A...);
    }
  };

  template <class T>
  struct Coefficients {
    Array<T, Width, Width> A;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"A"}, self.A...);
    }
  };

  /// The tokens that later windows still need.
  template <class T>
  using State = typename Window::template State<T>;

  template <class T>
  struct Workspace {
    Array<T, Features, Width> right;
    Array<T, Features> straddling;  ///< where windows are assembled that reach back into the state
  };

  template <class T>
  Parameters<T> parameters() const {
    return {detail::zeros<T, Width, Width>(Width, Width)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {};
  }
  template <class T>
  State<T> initial_state() const {
    return window_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Array<T, Features, Width>(window_.features(), Width), Array<T, Features>(window_.features(), 2 * Width)};
  }

  /// One window's factors: right_a = sum_b A_ab x_b, x_b the window's token b.
  template <class P, class S>
  Factors<const S, Features, Features, Width> step(const Coefficients<P>& c, View<const S, Features, Width> window,
                                                   Workspace<S>& ws) const {
    if constexpr (kernels::has_tiles<P, S>) {
      kernels::mix_columns<Width, Stride>(c.A.view(), View<const S, Features>(window),
                                          View<S, Features>(ws.right.view()));
    } else {
      detail::mix_tokens(c.A.view(), window, ws.right.view());
    }
    return {window, ws.right.view()};
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

  /// `step` for a run of windows, which lie in the tokens `Stride` columns apart, to the same bits. On the way, unless
  /// `gate` is absent, the tokens are gated, gate * x, as the recurrence's `run_vjp` wants them.
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

  /// The right factors of every window of a sequence, which moves `state` on.
  /// Shapes  tokens (Features x T), rights (Features x Width n) for n windows
  template <class P, class S>
  void forward(const Coefficients<P>& c, View<const S, Features> tokens, State<S>& state, View<S, Features> rights,
               Workspace<S>& ws) const {
    const detail::WindowedSequence<Window, S> windows(window_, state, tokens, ws.straddling.view());
    expect_equal("LocalAttention::forward", "the number of columns of the right factors", rights.cols(),
                 Width * windows.count());
    for (Index t = 0; t < windows.count(); ++t)
      detail::copy(step(c, windows[t], ws).right, rights.template columns<Width>(t * Width));
    windows.finish(state);
  }

  /// VJP of `forward` from `state` as it was before: adds to `c_bar` and `tokens_bar`, turns `state_bar` from the last
  /// state's cotangent into the first's.
  /// Shapes  lefts_bar, rights_bar (Features x Width n)
  template <class P, class S>
  void vjp(const Coefficients<P>& c, View<const S, Features> tokens, const State<S>& state,
           View<const S, Features> lefts_bar, View<const S, Features> rights_bar, Coefficients<S>& c_bar,
           State<S>& state_bar, View<S, Features> tokens_bar, Workspace<S>& ws, Workspace<S>& ws_bar) const {
    const detail::WindowedSequence<Window, S> windows(window_, state, tokens, ws.straddling.view());
    const detail::WindowedCotangent<Window, S> windows_bar(state, windows.count(), state_bar, tokens_bar,
                                                           ws_bar.straddling.view());
    for (Index t = 0; t < windows.count(); ++t)
      step_vjp(c, windows[t], lefts_bar.template columns<Width>(t * Width),
               rights_bar.template columns<Width>(t * Width), c_bar, windows_bar[t]);
    windows_bar.finish(state_bar);
  }

 private:
  Window window_;
};

}  // namespace gdssm
