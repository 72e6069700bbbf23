// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <type_traits>

#include <Eigen/Core>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"

// The common part of layers of other sequence models. A layer maps a sequence of T columns to one of the same shape,
// which it reads as a whole from an empty state. Sizes are known at run time. `SequenceModel` stacks layers.
namespace gdssm {

/// A layer of a sequence model, X (width x T) -> Y (width x T). Requires `Parameters<T>`, `Coefficients<T>`,
/// `Workspace<T>` and functions that make them, `prepare` and `prepare_vjp` between the first two, and
///     forward(c, X, Y, ws)                   leaves in `ws` what `vjp` reads
///     vjp(c, X, Y_bar, X_bar, c_bar, ws)     called right after it; adds to X_bar and c_bar
///     draw(p, stream)                        random initial weights
template <class L, class S = Lanes<float>>
concept SequenceLayer = requires(const L& layer, const typename L::template Parameters<float>& p,
                                 typename L::template Parameters<float>& p_bar,
                                 typename L::template Coefficients<float>& c,
                                 typename L::template Coefficients<S>& c_bar, const Array<S>& X, Array<S>& Y,
                                 typename L::template Workspace<S>& ws, RandomStream<>& stream, Index length) {
  { layer.width() } -> std::same_as<Index>;
  { layer.template parameters<float>() } -> std::same_as<typename L::template Parameters<float>>;
  { layer.template coefficients<S>() } -> std::same_as<typename L::template Coefficients<S>>;
  { layer.template workspace<S>(length) } -> std::same_as<typename L::template Workspace<S>>;
  layer.prepare(p, c);
  layer.prepare_vjp(p, c, c, p_bar);
  layer.forward(c, X, Y, ws);
  layer.vjp(c, X, Y, Y, c_bar, ws);
  layer.draw(p_bar, stream);
};

namespace detail {

/// Returns a size of a layer; refuses one below 1.
/// Errors  std::invalid_argument
inline Index expect_size(const char* where, const char* what, Index size) {
  if (size < 1) refuse(where, "the ", what, " is ", size, ", expected at least 1");
  return size;
}

/// Y = W X.
template <class P, class S>
void map(const Array<P>& W, const Array<S>& X, Array<S>& Y) {
  kernels::multiply_columns(W.view(), X.view(), Y.view());
}
/// VJP of `map`: W_bar += Y_bar X^T, X_bar += W^T Y_bar.
template <class P, class S>
void map_vjp(const Array<P>& W, const Array<S>& X, const Array<S>& Y_bar, Array<S>& W_bar, Array<S>& X_bar) {
  kernels::add_outer_products(Y_bar.view(), X.view(), W_bar.view());
  kernels::add_transposed(W.view(), Y_bar.view(), X_bar.view());
}

/// Y = W X + b 1^T.
template <class P, class S>
void affine(const Array<P>& W, const Array<P>& b, const Array<S>& X, Array<S>& Y) {
  map(W, X, Y);
  for (Index t = 0; t < Y.cols(); ++t)
    for (Index i = 0; i < Y.rows(); ++i) Y(i, t) += S(b[i]);
}
/// VJP of `affine`: that of `map`, and b_bar += Y_bar 1.
template <class P, class S>
void affine_vjp(const Array<P>& W, const Array<S>& X, const Array<S>& Y_bar, Array<S>& W_bar, Array<S>& b_bar,
                Array<S>& X_bar) {
  map_vjp(W, X, Y_bar, W_bar, X_bar);
  for (Index t = 0; t < Y_bar.cols(); ++t)
    for (Index i = 0; i < Y_bar.rows(); ++i) b_bar[i] += Y_bar(i, t);
}

}  // namespace detail
}  // namespace gdssm
