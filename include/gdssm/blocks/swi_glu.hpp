// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/pieces.hpp"

namespace gdssm {

/// The gated unit of two layers, SwiGLU, which adds to every column
///     y += W_2 (silu(W_1 x) * (W_3 x))                                                            (51)
/// Shapes  x, y (width x T), W_1, W_3 (hidden x width), W_2 (width x hidden)
/// Errors  std::invalid_argument: sizes below 1
/// Source  Shazeer, arXiv:2002.05202        VJP  `vjp`
class SwiGlu : public PlainBlock<SwiGlu> {
 public:
  SwiGlu(Index width, Index hidden) : width_(width), hidden_(hidden) {
    if (width < 1 || hidden < 1)
      refuse("SwiGlu", "width and hidden units are ", width, " and ", hidden, ", expected at least 1 each");
  }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> w1, w3;  ///< W_1, W_3 (hidden x width)
    MatrixIn<Storage> w2;      ///< W_2 (width x hidden)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"w1"}, self.w1...);
      visitor(Name{"w3"}, self.w3...);
      visitor(Name{"w2"}, self.w2...);
    }
  };
  template <class Storage>
  Weights<Storage> weights() const {
    return {made_in<Storage>(hidden_, width_), made_in<Storage>(hidden_, width_), made_in<Storage>(width_, hidden_)};
  }
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  /// Normal entries of variance 1 / columns.
  template <class P>
  void draw(const Weights<InViews<P>>& w, RandomStream<>& stream) const {
    for (const View<P>& matrix : {w.w1, w.w3, w.w2}) detail::draw_normal_map(matrix, 1, stream);
  }

  /// What `forward` leaves for `vjp`, of up to `columns` columns.
  template <class T>
  struct Workspace {
    Array<T> opened, gated, product;  ///< W_1 x, W_3 x, and silu(W_1 x) * (W_3 x)
    Array<T> product_bar;
  };
  template <class T>
  Workspace<T> workspace(Index columns) const {
    const Array<T> units(hidden_, columns);
    return {units, units, units, units};
  }

  /// Adds to every column of y.
  template <class T>
  void forward(const Weights<InViews<const T>>& w, View<const T> x, View<T> y, Workspace<T>& ws) const {
    const View<T> a = ws.opened.view().columns(0, x.cols()), b = ws.gated.view().columns(0, x.cols()),
                  p = ws.product.view().columns(0, x.cols());
    kernels::multiply_columns(w.w1, x, a);
    kernels::multiply_columns(w.w3, x, b);
    kernels::each_piece<T>(p.size(),
                           [&](const auto& at) { at.store(p.data(), silu(at.load(a.data())) * at.load(b.data())); });
    kernels::add_columns(w.w2, p.as_const(), y);
  }

  /// VJP of `forward`, after it with the same workspace: with a = W_1 x, b = W_3 x, p = silu(a) * b and p_bar =
  /// W_2^T y_bar, W_2_bar += y_bar p^T, a_bar = p_bar * b * silu'(a), b_bar = p_bar * silu(a), W_1_bar += a_bar x^T,
  /// W_3_bar += b_bar x^T, x_bar += W_1^T a_bar + W_3^T b_bar.
  template <class T>
  void vjp(const Weights<InViews<const T>>& w, View<const T> x, View<const T> y_bar, const Weights<InViews<T>>& w_bar,
           View<T> x_bar, Workspace<T>& ws) const {
    const View<T> a = ws.opened.view().columns(0, x.cols()), b = ws.gated.view().columns(0, x.cols()),
                  p = ws.product.view().columns(0, x.cols()), p_bar = ws.product_bar.view().columns(0, x.cols());
    kernels::add_outer_products(y_bar, p.as_const(), w_bar.w2);
    p_bar.fill(T(0));
    kernels::add_transposed(w.w2, y_bar, p_bar);
    kernels::each_piece<T>(p.size(), [&](const auto& at) {
      const auto opened = at.load(a.data()), share = logistic(opened), bar = at.load(p_bar.data());
      const auto one = decltype(share)(T(1));
      at.store(a.data(), bar * at.load(b.data()) * (share * multiply_add(opened, one - share, one)));
      at.store(b.data(), bar * (opened * share));
    });
    kernels::add_outer_products(a.as_const(), x, w_bar.w1);
    kernels::add_outer_products(b.as_const(), x, w_bar.w3);
    kernels::add_transposed(w.w1, a.as_const(), x_bar);
    kernels::add_transposed(w.w3, b.as_const(), x_bar);
  }

 private:
  Index width_, hidden_;
};

}  // namespace gdssm
