// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>

#include "gdssm/core/elementary.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// The cross-entropy of predicted tokens, one a column, summed over the columns,
///     sum_t -log softmax(l_t)_(y_t)                                                               (53)
/// and unless `logits_bar` is absent its derivative, times `scale`: l_bar_t = scale (softmax(l_t) - e_(y_t)). The mean
/// over the K marked positions of a batch has scale 1 / K. Sums of floats are made in double.
/// Shapes  logits, logits_bar (vocabulary x K), targets (K)
/// Errors  std::invalid_argument: a target that the vocabulary does not have
template <class T>
std::conditional_t<std::is_floating_point_v<T>, double, T> cross_entropy(View<const T> logits,
                                                                         std::span<const Index> targets, const T& scale,
                                                                         View<T> logits_bar) {
  using std::log, std::exp;
  using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  const Index n = logits.rows();
  Sum loss = Sum(0);
  for (Index t = 0; t < logits.cols(); ++t) {
    const Index target = targets[static_cast<std::size_t>(t)];
    if (target < 0 || target >= n) refuse("cross_entropy", "target ", t, " is ", target, ", expected 0 to ", n - 1);
    const T* const column = logits.data() + t * n;
    T most = column[0];
    for (Index i = 1; i < n; ++i) most = larger(most, column[i]);
    T total = T(0);
    for (Index i = 0; i < n; ++i) {
      const T share = exp(column[i] - most);
      total += share;
      if (logits_bar.present()) logits_bar(i, t) = share;
    }
    loss += static_cast<Sum>(log(total)) + static_cast<Sum>(most - column[target]);
    if (!logits_bar.present()) continue;
    const T factor = scale / total;
    for (Index i = 0; i < n; ++i) logits_bar(i, t) = factor * logits_bar(i, t);
    logits_bar(target, t) -= scale;
  }
  return loss;
}

}  // namespace gdssm
