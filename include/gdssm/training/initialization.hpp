// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/gated_local_attention.hpp"
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"
#include "gdssm/models/two_step_stack.hpp"

namespace gdssm {

namespace detail {

// The laws of `reference_initialization`, a block each, in the order in which a layer's stream draws them.

template <Index F, Index Width, Index Stride, class Parameters>
void initialize(const LocalAttention<F, Width, Stride>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.A, [&] { return 0.1 * stream.normal(); });
}

template <Index Rows, Index Cols, class Discretization, class Parameters>
void initialize(const DiagonalRecurrence<Rows, Cols, Discretization>&, Parameters& p, RandomStream<>& stream) {
  const auto log_step = [&] { return draw_log_step(stream); };
  if constexpr (Discretization::has_step) {
    draw_entries(p.Lambda, [] { return -0.5; });
    draw_entries(p.log_step, log_step);
  } else {
    using T = typename decltype(p.Lambda)::Scalar;
    for (Index j = 0; j < p.Lambda.cols(); ++j) p.Lambda.col(j).setConstant(T(std::exp(-0.5 * std::exp(log_step()))));
  }
}

// As the diagonal recurrence with steps of the same law: b = softplus^-1(Delta), W = 0.
template <Index Rows, Index Cols, Index Rank, class Parameters>
void initialize(const SelectiveRecurrence<Rows, Cols, Rank>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.Lambda, [] { return -0.5; });
  draw_entries(p.step_bias, [&] { return inverse_softplus(std::exp(draw_log_step(stream))); });
}

template <Index Outputs, Index Cols, class Parameters>
void initialize(const Readout<Outputs, Cols>&, Parameters& p, RandomStream<>& stream) {
  draw_map(p.C, stream);
}

template <Index F, Index Width, class Parameters>
void initialize(const OutputGate<F, Width>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.d, [&] { return stream.normal(); });
}

template <Index F, Index Width, Index Rows, class Parameters>
void initialize(const PreconditionedGate<F, Width, Rows>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.d, [&] { return stream.normal(); });
  p.P.setIdentity();
}

// Maps of a single token, which the reference doesn't have: normal with the variance of its dense layers, 1 / columns.
template <Index Rows, Index Tokens, class Parameters>
void initialize(const TokenProjection<Rows, Tokens>&, Parameters& p, RandomStream<>& stream) {
  draw_map(p.B, stream);
}

template <Index Rows, Index Tokens, class Parameters>
void initialize(const ProjectionGate<Rows, Tokens>&, Parameters& p, RandomStream<>& stream) {
  draw_map(p.D, stream);
}

// The controls: what they share with the blocks above has the laws above.
template <Index F, Index Width, Index Stride, class Parameters>
void initialize(const LinearInput<F, Width, Stride>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.B, [&] { return 0.1 * stream.normal(); });
}

template <Index F, Index Width, Index Stride, class Parameters>
void initialize(const SoftmaxLocalAttention<F, Width, Stride>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.B, [&] { return stream.normal(); });
  p.k.setConstant(1);
  draw_entries(p.v, [&] { return 0.1 * stream.normal(); });
}

template <Index F, Index Width, Index Stride, class Parameters>
void initialize(const GatedLocalAttention<F, Width, Stride>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.A, [&] { return 0.1 * stream.normal(); });
  draw_entries(p.d, [&] { return stream.normal(); });
}

template <Index F, Index Rows, Index Width, Index Stride, class Parameters>
void initialize(const ProjectedAttention<F, Rows, Width, Stride>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.A, [&] { return 0.1 * stream.normal(); });
  p.U.setIdentity();
}

template <Index Rows, Index Cols, class Parameters>
void initialize(const CommonDecay<Rows, Cols>&, Parameters& p, RandomStream<>& stream) {
  p.Lambda.setConstant(-0.5f);
  draw_entries(p.log_step, [&] { return draw_log_step(stream); });
}

template <Index Rows, Index Cols, class Parameters>
void initialize(const UnitDecay<Rows, Cols>&, Parameters&, RandomStream<>&) {}

template <Index Size, class Parameters>
void initialize(const DiagonalReadout<Size>& readout, Parameters& p, RandomStream<>& stream) {
  const double deviation = 1 / std::sqrt(static_cast<double>(readout.col_count()));
  draw_entries(p.c, [&] { return deviation * stream.normal(); });
}

template <Index Size, class Parameters>
void initialize(const TiedReadout<Size>& readout, Parameters& p, RandomStream<>& stream) {
  const double deviation = 1 / std::sqrt(static_cast<double>(readout.col_count()));
  draw_entries(p.c, [&] { return deviation * stream.normal(); });
}

template <Index Rows, Index F, Index Width, class Parameters>
void initialize(const ConstantGate<Rows, F, Width>&, Parameters& p, RandomStream<>& stream) {
  draw_entries(p.d, [&] { return stream.normal(); });
}

// The law of the reference's dense layers, but that their normal numbers have no tails beyond two deviations.
template <Index Inputs, Index Outputs, class Parameters>
void initialize(const Dense<Inputs, Outputs>& dense, Parameters& p, RandomStream<>& stream) {
  const double deviation = 1 / std::sqrt(static_cast<double>(dense.input_count()));
  draw_entries(p.kernel, [&] { return deviation * stream.normal(); });
}

}  // namespace detail

/// Random weights as the reference begins with:
///     A ~ N(0, 0.1^2),   Lambda = -1/2,   log_step ~ U(log 0.001, log 0.1) one a column,   C ~ N(0, 1/f),
///     d ~ N(0, 1)
/// so that L starts in [0.951, 0.9995]. A `GivenDecay` starts at exp(-Delta / 2) with Delta drawn so, a
/// `SelectiveRecurrence` at steps of that law for every token, W = 0; a preconditioner and a projection at I. Maps of a
/// single token, B and D, are N(0, 1 / columns), kernels of dense layers N(0, 1 / inputs) and their biases zero;
/// softmax attention has B ~ N(0, 1), k = 1, v ~ N(0, 0.1^2). Each layer of a stack has a random stream of its own, and
/// so have the dense layers around one.
/// Source  arXiv:2410.11687v1 (code); docs/theory.md, discretisation
template <class T, class Attention, class Recurrence, class Readout, class Gate>
auto reference_initialization(const AugmentedSsm<Attention, Recurrence, Readout, Gate>& layer, std::uint64_t seed,
                              std::uint64_t number = 0) {
  auto p = layer.template parameters<T>();
  RandomStream<> stream(seed, number);
  detail::initialize(layer.attention(), p.attention, stream);
  detail::initialize(layer.recurrence(), p.recurrence, stream);
  detail::initialize(layer.readout(), p.readout, stream);
  detail::initialize(layer.gate(), p.gate, stream);
  return p;
}
template <class T, class Layer>
auto reference_initialization(const HornerStack<Layer>& stack, std::uint64_t seed) {
  auto p = stack.template parameters<T>();
  for (std::size_t l = 0; l < p.layers.size(); ++l) p.layers[l] = reference_initialization<T>(stack.layer(), seed, l);
  return p;
}
template <class T, class Layer>
auto reference_initialization(const TwoStepStack<Layer>& stack, std::uint64_t seed) {
  return reference_initialization<T>(stack.without_residual(), seed);
}
template <class T, class Layer>
auto reference_initialization(const NonlinearSsm<Layer>& model, std::uint64_t seed) {
  auto p = model.template parameters<T>();
  p.layer = reference_initialization<T>(model.layer(), seed);
  RandomStream<> stream(seed, 1);
  detail::initialize(model.embedding(), p.embedding, stream);
  detail::initialize(model.unit().map(), p.unit, stream);
  detail::initialize(model.output(), p.output, stream);
  return p;
}

}  // namespace gdssm
