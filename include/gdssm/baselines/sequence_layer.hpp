// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {

/// A layer that a `SequenceModel` stacks: a model, as an `AugmentedSsm` is, whose windows are single tokens, the
/// columns of a sequence, and whose predictions are as long as these, one a column.
template <class L, class S = Lanes<float>>
concept SequenceLayer = L::Window::width == 1 && L::Window::stride == 1 &&
                        requires(const L& layer, const typename L::template Parameters<float>& p,
                                 typename L::template Parameters<float>& p_bar,
                                 typename L::template Coefficients<float>& c,
                                 typename L::template Coefficients<S>& c_bar, const Sequence<S, L::features>& sequence,
                                 typename L::template State<S>& state, View<S, L::outputs> predictions,
                                 typename L::template Workspace<S>& ws,
                                 typename L::template GradientWorkspace<S>& gradient_ws,
                                 void (*cotangent)(Index, View<const S, L::outputs, 1>, View<S, L::outputs, 1>),
                                 View<S, L::features> tokens_bar, RandomStream<>& stream) {
  { layer.feature_count() + layer.output_count() } -> std::same_as<Index>;
  layer.prepare(p, c);
  layer.prepare_vjp(p, c, c, p_bar);
  layer.forward(c, sequence, state, predictions, ws);
  layer.vjp(c, sequence, state, 1, cotangent, c_bar, state, tokens_bar, gradient_ws);
  layer.draw(p_bar, stream);
};

/// A layer that takes one column after the other. The others read a context as a whole, from an empty state; they say
/// by `context()` how many columns it has at most.
template <class L, class S = Lanes<float>>
concept CausalLayer = SequenceLayer<L, S> &&
    requires(const L& layer, const typename L::template Coefficients<float>& c, View<const S, L::features, 1> token,
             typename L::template State<S>& state, View<S, L::outputs, 1> prediction,
             typename L::template Workspace<S>& ws) {
  { layer.step(c, token, state, prediction, ws) } -> std::same_as<bool>;
};

/// A layer made of a map of T columns to T columns from a state, and of its derivative: `step` is the map of one
/// column, `forward` that of one after the other, and `vjp` keeps what the map leaves behind for all of them. `Map` has
/// blocks' weights, `width()`, a state as of `StatefulBlock`, `History<T>` and history<T>(length), what is kept, and
///     columns(c, X, mask, state, Y, history)
///     columns_vjp(c, X, mask, Y_bar, state_bar, X_bar, c_bar, history)     right after it; adds to X_bar and c_bar
/// A map that reads a context as a whole has `context()`; there is then no `step`.
/// Shapes  X, Y (width x T)        VJP  `vjp`
template <class Map>
class ColumnLayer : public Map {
 public:
  using Window = SlidingWindow<Dynamic, 1, 1>;
  static constexpr Index features = Dynamic;
  static constexpr Index outputs = Dynamic;
  static constexpr bool sensitive = false;  ///< whether `ForwardSensitivity` applies
  /// Whether it takes one column after the other.
  static constexpr bool causal = !requires(const Map& map) { map.context(); };
  template <class T>
  using Parameters = typename Map::template Parameters<T>;
  template <class T>
  using Coefficients = typename Map::template Coefficients<T>;
  template <class T>
  using State = typename Map::template State<T>;

  using Map::Map;

  const Window& window() const { return window_; }
  Index feature_count() const { return this->width(); }
  Index output_count() const { return this->width(); }

  template <class T>
  struct Workspace {
    typename Map::template History<T> history;
    Array<T> Y;
  };
  template <class T, class Method = StoredHistory>
  struct GradientWorkspace {
    typename Map::template History<T> history;
    Array<T> Y, Y_bar, X_bar;
    State<T> state_bar;
  };
  template <class T>
  Workspace<T> workspace() const {
    Index length = 1;
    if constexpr (!causal) length = this->context();
    return {this->template history<T>(length), Array<T>(this->width(), length)};
  }
  template <class T, class Method = StoredHistory>
  GradientWorkspace<T, Method> gradient_workspace(Index length, Index) const {
    const Array<T> columns(this->width(), length);
    return {this->template history<T>(length), columns, columns, columns, this->template initial_state<T>()};
  }

  using Map::draw;
  /// Random weights from a seed.
  template <class P>
  void draw(Parameters<P>& p, std::uint64_t seed) const {
    RandomStream<> stream(seed);
    Map::draw(p, stream);
  }
  using Map::prepare;
  template <class P>
  Coefficients<P> prepare(const Parameters<P>& p) const {
    auto c = this->template coefficients<P>();
    Map::prepare(p, c);
    return c;
  }

  /// Takes one column in; true: each has a prediction. Bit for bit what `forward` computes.
  template <class P, class S>
  bool step(const Coefficients<P>& c, View<const S, Dynamic, 1> token, State<S>& state, View<S, Dynamic, 1> prediction,
            Workspace<S>& ws) const requires(causal) {
    expect_equal("ColumnLayer::step", "the number of features of a token", token.size(), feature_count());
    this->columns(c, View<const S>(token), static_cast<const S*>(nullptr), state, View<S>(prediction), ws.history);
    return true;
  }

  /// The outputs at the last k columns, k the columns of `predictions`; moves `state` on. A sequence may be cut
  /// anywhere, unless contexts are read as a whole.
  /// Errors  std::invalid_argument: columns of another height, a mask of another length, too long a context
  template <class P, class S>
  void forward(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, View<S> predictions,
               Workspace<S>& ws) const {
    const Index T = sequence.tokens.cols(), first = first_of_last(sequence, predictions.cols());
    Index room = 1;
    if constexpr (!causal) {
      if (T > ws.Y.cols()) refuse("ColumnLayer", "the context has ", T, " columns, expected at most ", ws.Y.cols());
      room = T;
    }
    for (Index t = 0; t < T; t += room) {
      const View<S> Y = ws.Y.view().columns(0, room);
      this->columns(c, sequence.tokens.columns(t, room), sequence.mask_of(t), state, Y, ws.history);
      for (Index j = 0; j < room; ++j)
        if (t + j >= first) detail::copy(Y.column(j).as_const(), predictions.column(t + j - first));
    }
  }

  /// Forward and reverse in one, with the inputs' gradients, as `AugmentedSsm::vjp`: adds to `tokens_bar` and turns
  /// `state_bar` from the cotangent of the last state into that of the first.
  /// Errors  as `forward`; a workspace made for shorter sequences
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, State<S>& state_bar, View<S> tokens_bar, GradientWorkspace<S, Method>& ws) const {
    const Index T = sequence.tokens.cols(), first = first_of_last(sequence, k);
    expect_room(T, ws);
    const View<S> Y = ws.Y.view().columns(0, T), Y_bar = ws.Y_bar.view().columns(0, T);
    this->columns(c, sequence.tokens, sequence.mask_of(0), state, Y, ws.history);
    Y_bar.fill(S(0));
    for (Index t = first; t < T; ++t) cotangent(t - first, Y.column(t).as_const(), Y_bar.column(t));
    this->columns_vjp(c, sequence.tokens, sequence.mask_of(0), Y_bar.as_const(), state_bar, tokens_bar, c_bar,
                      ws.history);
  }
  /// The same for the parameters alone.
  template <class P, class S, class Method, class Cotangent>
  void vjp(const Coefficients<P>& c, const Sequence<S>& sequence, State<S>& state, Index k, Cotangent&& cotangent,
           Coefficients<S>& c_bar, GradientWorkspace<S, Method>& ws) const {
    expect_room(sequence.tokens.cols(), ws);
    fill(ws.state_bar, S(0));
    ws.X_bar.fill(S(0));
    vjp(c, sequence, state, k, cotangent, c_bar, ws.state_bar, ws.X_bar.view().columns(0, sequence.tokens.cols()), ws);
  }

  /// Outputs at every column of one sequence: the short form, which checks and allocates.
  /// Shapes  tokens (width x T)  ->  (width x T)
  /// Errors  std::invalid_argument: a wrong number of features, an entry that is not finite
  template <class P, class Derived>
  Eigen::MatrixX<P> predict(const Parameters<P>& p, const Eigen::MatrixBase<Derived>& tokens) const {
    return detail::predict_every_window<P>(*this, p, tokens);
  }

 private:
  template <class Scratch>
  static void expect_room(Index T, const Scratch& ws) {
    if (T > ws.Y.cols())
      refuse("ColumnLayer::vjp", "the sequence has ", T, " columns, the workspace room for ", ws.Y.cols());
  }
  template <class S>
  Index first_of_last(const Sequence<S>& sequence, Index k) const {
    const Index T = sequence.tokens.cols();
    expect_equal("ColumnLayer", "the number of features", sequence.tokens.rows(), feature_count());
    if (sequence.mask.present()) expect_equal("ColumnLayer", "the length of the mask", sequence.mask.size(), T);
    if (k < 0 || k > T) refuse("ColumnLayer", "outputs at the last ", k, " columns, expected 0 to ", T);
    return T - k;
  }

  Window window_{this->width()};
};

namespace detail {

/// Returns a size of a layer; refuses one below 1.
/// Errors  std::invalid_argument
inline Index expect_size(const char* where, const char* what, Index size) {
  if (size < 1) refuse(where, "the ", what, " is ", size, ", expected at least 1");
  return size;
}

/// The first T columns of what may have more.
template <class S>
View<S> first(View<S> columns, Index T) {
  return columns.columns(0, T);
}
template <class S>
View<S> first(Array<S>& columns, Index T) {
  return columns.view().columns(0, T);
}
template <class S>
View<const S> first(const Array<S>& columns, Index T) {
  return columns.view().columns(0, T);
}

/// Y = W X, of T columns.
template <class P, class From, class To>
void map(Index T, const Array<P>& W, const From& X, To&& Y) {
  kernels::multiply_columns(W.view(), first(X, T).as_const(), first(Y, T));
}
/// VJP of `map`: W_bar += Y_bar X^T, X_bar += W^T Y_bar.
template <class P, class S, class From, class ToBar, class FromBar>
void map_vjp(Index T, const Array<P>& W, const From& X, const ToBar& Y_bar, Array<S>& W_bar, FromBar&& X_bar) {
  kernels::add_outer_products(first(Y_bar, T).as_const(), first(X, T).as_const(), W_bar.view());
  kernels::add_transposed(W.view(), first(Y_bar, T).as_const(), first(X_bar, T));
}

/// Y = W X + b 1^T, of T columns.
template <class P, class From, class S>
void affine(Index T, const Array<P>& W, const Array<P>& b, const From& X, Array<S>& Y) {
  map(T, W, X, Y);
  for (Index t = 0; t < T; ++t)
    for (Index i = 0; i < Y.rows(); ++i) Y(i, t) += S(b[i]);
}
/// VJP of `affine`: that of `map`, and b_bar += Y_bar 1.
template <class P, class S, class From, class FromBar>
void affine_vjp(Index T, const Array<P>& W, const From& X, const Array<S>& Y_bar, Array<S>& W_bar, Array<S>& b_bar,
                FromBar&& X_bar) {
  map_vjp(T, W, X, Y_bar, W_bar, X_bar);
  for (Index t = 0; t < T; ++t)
    for (Index i = 0; i < Y_bar.rows(); ++i) b_bar[i] += Y_bar(i, t);
}

}  // namespace detail
}  // namespace gdssm
