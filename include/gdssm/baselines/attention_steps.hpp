// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/algorithms/descent.hpp"
#include "gdssm/baselines/fast_weights.hpp"
#include "gdssm/baselines/inputs.hpp"
#include "gdssm/baselines/sequence_model.hpp"
#include "gdssm/baselines/whole_context.hpp"

namespace gdssm {

/// A stack of linear self-attention on pairs, in which every column attends to all pairs of the context.
using SelfAttentionStack = SequenceModel<PairInput, WholeContext<LinearAttentionLayer>>;

/// Parameters of a stack of linear self-attention on pairs that computes GD++: layer k, by (B7), is step k of (10b)
/// with a_k and gamma_k, and the decoder returns minus the query's second half. Gammas of 0 give descent.
/// Errors  std::invalid_argument: a number of steps other than that of layers, a width below 2f, fewer than f
///         coordinates of keys or 2f of values
/// Source  von Oswald et al., arXiv:2212.07677
template <class T>
auto gd_plus_plus_steps(const SelfAttentionStack& model, StepSizes<T> a, StepSizes<T> gamma) {
  constexpr auto where = "gd_plus_plus_steps";
  const Index f = model.feature_count();
  auto p = model.template parameters<T>();
  expect_equal(where, "the number of steps", a.count(), model.depth());
  expect_equal(where, "the number of gammas", gamma.count(), model.depth());
  const auto& first = p.layers.front();
  const Index keys = first.attention.key.rows(), values = first.attention.value.rows();
  if (model.width() < 2 * f || keys < f || values < 2 * f)
    refuse(where, "width, keys and values have ", model.width(), ", ", keys, " and ", values,
           " coordinates, expected at least ", 2 * f, ", ", f, " and ", 2 * f);
  for (Index i = 0; i < 2 * f; ++i) p.encoder(i, i) = T(1);
  for (Index k = 0; k < model.depth(); ++k) {
    auto& layer = p.layers[static_cast<std::size_t>(k)];
    for (Index i = 0; i < f; ++i) layer.gate.D(i, i) = layer.attention.key(i, i) = T(1);
    for (Index i = 0; i < 2 * f; ++i) {
      layer.attention.value(i, i) = T(1);
      layer.readout.C(i, i) = i < f ? gamma[k] : a[k];
    }
  }
  for (Index i = 0; i < f; ++i) p.decoder(i, f + i) = T(-1);
  return p;
}

}  // namespace gdssm
