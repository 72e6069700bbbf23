// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/sliding_window.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// No attention: the state, a vector, accumulates a linear map of the single token,
///     G_t = B c_t,
/// the input side of a plain diagonal layer. On constructed tokens c_t = [x_t * y_t; x_{t+1}] the state is still the
/// gradient: the control that shows what local attention contributes.
/// Shapes  c_t (Tokens), B (Rows x Tokens), G_t (Rows x 1)
/// Source  arXiv:2410.11687v1        VJP  `step_vjp`
template <Index Rows = Dynamic, Index Tokens = Dynamic>
class TokenProjection : public PlainBlock<TokenProjection<Rows, Tokens>> {
 public:
  using Window = SlidingWindow<Tokens, 1, 1>;
  static constexpr Index rows = Rows;
  static constexpr Index cols = 1;
  static constexpr Index rank = 1;
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = false;

  TokenProjection() requires(Rows != Dynamic && Tokens != Dynamic) : TokenProjection(Rows, Tokens) {}
  TokenProjection(Index row_count, Index token_size)
      : rows_(detail::fixed_or<Rows>(row_count)), window_(detail::fixed_or<Tokens>(token_size)) {
    if (row_count <= 0) refuse("TokenProjection", "the number of rows is ", row_count, ", expected at least 1");
    if (Rows != Dynamic) expect_equal("TokenProjection", "the number of rows", row_count, Rows);
    if (Tokens != Dynamic) expect_equal("TokenProjection", "the size of a token", token_size, Tokens);
  }

  const Window& window() const { return window_; }
  Index row_count() const { return rows_.value(); }
  Index col_count() const { return 1; }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Rows, Tokens> B;  ///< input matrix (Rows x Tokens)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"B"}, self.B...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  using State = typename Window::template State<T>;

  template <class T>
  struct Workspace {
    Array<T, Rows, 1> left;
    Array<T, 1, 1> one;
  };

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Rows, Tokens>(row_count(), window_.features())};
  }
  template <class T>
  State<T> initial_state() const {
    return window_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    Workspace<T> ws{Array<T, Rows, 1>(row_count(), 1), {}};
    ws.one.fill(T(1));
    return ws;
  }

  /// B ~ N(0, 1 / columns); the reference has no such map.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_map(p.B, stream);
  }
  /// In the closed form (7) B = [I 0], which selects the products of constructed tokens.
  /// Errors  std::invalid_argument: tokens that are not twice as long as the state
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    expect_equal("TokenProjection", "the size of a constructed token", window_.features(), 2 * row_count());
    for (Index i = 0; i < row_count(); ++i) p.B(i, i) = P(1);
  }

  /// One token's factors: left = B c, right = 1.
  template <class P, class S>
  Factors<const S, Rows, 1, 1> step(const Coefficients<P>& c, View<const S, Tokens, 1> token, Workspace<S>& ws) const {
    kernels::multiply(c.B.view(), token, ws.left.view());
    return {ws.left.view(), ws.one.view()};
  }

  /// VJP of `step`: B_bar += left_bar c^T, and, unless `token_bar` is absent, c_bar += B^T left_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<const S, Rows, 1> left_bar,
                View<const S, 1, 1>, Coefficients<S>& c_bar, View<S, Tokens, 1> token_bar) const {
    kernels::multiply_vjp(c.B, token, left_bar, c_bar.B, token_bar);
  }

 private:
  [[no_unique_address]] detail::Extent<Rows> rows_;
  Window window_;
};

}  // namespace gdssm
