// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"

// Distributions of initial weights that several models share.
namespace gdssm::detail {

/// Draws each entry by one call of law(), column after column.
template <class Matrix, class Law>
void draw_entries(Matrix& matrix, Law&& law) {
  for (Index k = 0; k < matrix.size(); ++k) matrix.data()[k] = static_cast<typename Matrix::Scalar>(law());
}

/// Independent normal entries of variance 1 / columns, LeCun's law for a map of inputs of variance 1.
template <class Matrix>
void draw_map(Matrix& W, RandomStream<>& stream) {
  const double deviation = 1 / std::sqrt(static_cast<double>(W.cols()));
  draw_entries(W, [&] { return deviation * stream.normal(); });
}

/// The same in memory owned elsewhere, with the variance divided by `share`.
template <class P>
void draw_normal_map(View<P> W, double share, RandomStream<>& stream) {
  const double deviation = 1 / std::sqrt(share * static_cast<double>(W.cols()));
  for (Index i = 0; i < W.size(); ++i) W[i] = static_cast<P>(deviation * stream.normal());
}

/// log Delta for a Delta from 0.001 to 0.1, uniform in its logarithm.
inline double draw_log_step(RandomStream<>& stream) {
  return std::log(0.001) + stream.uniform() * std::log(0.1 / 0.001);
}

/// A decay per token, uniform from 0.9 to 0.999.
inline double draw_decay(RandomStream<>& stream) { return 0.9 + 0.099 * stream.uniform(); }

/// The x with softplus(x) = y > 0.
inline double inverse_softplus(double y) { return std::log(std::expm1(y)); }

}  // namespace gdssm::detail
