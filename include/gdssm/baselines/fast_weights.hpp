// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/key_value_projection.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/learning_recurrence.hpp"
#include "gdssm/blocks/recurrences/unit_keys.hpp"
#include "gdssm/blocks/residual_readout.hpp"
#include "gdssm/blocks/ridge.hpp"
#include "gdssm/models/augmented_ssm.hpp"

// Layers that answer queries from keys and values, (B5), as slots: a projection that makes keys and values, a learning
// rule, a readout -C = W_O, and a gate D = W_Q that is the query. A column whose mask is zero asks and writes nothing.
namespace gdssm {

/// Linear attention, o_t = sum_{i <= t} v_i <k_i, q_t>: a sum of products, (2) without decay.
/// Source  Katharopoulos et al., arXiv:2006.16236
using LinearAttentionLayer = AugmentedSsm<KeyValueProjection<>, UnitDecay<>, ResidualReadout<>, ProjectionGate<>>;
/// Linear attention of these sizes.
inline LinearAttentionLayer linear_attention(Index width, Index keys, Index values) {
  return {{width, keys, values}, {keys, values}, {width, values}, {keys, width}};
}

/// DeltaNet: the delta rule with the rate beta_t = logistic(w^T h_t + b),
///     W_t = W_{t-1} + beta_t (v_t - W_{t-1} k_t) k_t^T,   W_0 = 0,   o_t = W_t q_t                   (B8)
/// on keys of length one, (B8a), or on keys as W_K gives them. Queries keep their length, since the answer of a linear
/// map grows with it. Keys and queries have no feature map.
///     `Rule`  recurrences::UnitKeys<recurrences::DeltaRule<>>, or recurrences::DeltaRule<>
/// Source  Schlag et al., arXiv:2102.11174; Yang et al., arXiv:2406.06484
template <class Rule = recurrences::UnitKeys<recurrences::DeltaRule<>>>
using DeltaNetLayer = AugmentedSsm<KeyValueProjection<2>, LearningRecurrence<Rule, 2, GivenControls>, ResidualReadout<>,
                                   ProjectionGate<>>;
/// DeltaNet of these sizes.
template <class Rule = recurrences::UnitKeys<recurrences::DeltaRule<>>>
DeltaNetLayer<Rule> delta_net(Index width, Index keys, Index values) {
  return {{width, keys, values},
          LearningRecurrence<Rule, 2, GivenControls>(Rule(keys, values)),
          {width, values},
          {keys, width}};
}

/// The Mesa layer, which solves the regression of values on keys anew for every query, (B9).
/// Source  von Oswald et al., arXiv:2309.05858, arXiv:2506.05233 (without their decays and conjugate gradients)
using MesaLayer = AugmentedSsm<MomentProjection<>, UnitDecay<>, RidgeReadout<>, ProjectionGate<>>;
/// The Mesa layer of these sizes.
inline MesaLayer mesa_net(Index width, Index keys, Index values) {
  return {{width, keys, values}, {keys, values + keys}, {width, values, keys}, {keys, width}};
}

}  // namespace gdssm
