// SPDX-License-Identifier: Apache-2.0
#include "models/pass.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/gated_local_attention.hpp"
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Pass;

static_assert(AttentionBlock<LinearInput<3>> && AttentionBlock<LinearInput<>>);
static_assert(AttentionBlock<SoftmaxLocalAttention<3>> && AttentionBlock<SoftmaxLocalAttention<>>);
static_assert(AttentionBlock<GatedLocalAttention<3>> && AttentionBlock<GatedLocalAttention<>>);
static_assert(AttentionBlock<ProjectedAttention<3, 1>> && AttentionBlock<ProjectedAttention<>>);
static_assert(SensitiveRecurrence<CommonDecay<3>> && SensitiveRecurrence<CommonDecay<>>);
static_assert(SensitiveRecurrence<UnitDecay<3>> && SensitiveRecurrence<UnitDecay<>>);
static_assert(ReadoutBlock<DiagonalReadout<3>> && ReadoutBlock<DiagonalReadout<>>);
static_assert(ReadoutBlock<TiedReadout<3>> && ReadoutBlock<TiedReadout<>>);
static_assert(GateBlock<ConstantGate<3>> && GateBlock<ConstantGate<>>);

/// By history with tokens and states, and by sensitivity with gaps.
template <class Attention, class Recurrence, class Readout, class Gate>
void check_composition(const Attention& attention, const Recurrence& recurrence, const Readout& readout,
                       const Gate& gate) {
  using Model = AugmentedSsm<Attention, Recurrence, Readout, Gate>;
  const Model model(attention, recurrence, readout, gate);
  expect_vjp(Pass<Model>{model, 3, 2, 1});
  expect_vjp(Pass<Model, ForwardSensitivity>{model, 3, 3, 0, {0, 1, 1}});
}

TEST_CASE("the layer pulls back with an input that is linear in the tokens", "[vjp]") {
  check_composition(LinearInput<2>(), DiagonalRecurrence<2>(), Readout<2>(), OutputGate<2>());
  check_composition(LinearInput<>(1), DiagonalRecurrence<>(1), Readout<>(1), OutputGate<>(1));
}

TEST_CASE("the layer pulls back with softmax attention", "[vjp]") {
  check_composition(SoftmaxLocalAttention<2>(), DiagonalRecurrence<2>(), Readout<2>(), OutputGate<2>());
  check_composition(SoftmaxLocalAttention<>(1), DiagonalRecurrence<>(1), Readout<>(1), OutputGate<>(1));
}

TEST_CASE("the layer pulls back with its gate on the side of the input", "[vjp]") {
  check_composition(GatedLocalAttention<2>(), DiagonalRecurrence<2>(), Readout<2>(), ConstantGate<2>());
  check_composition(GatedLocalAttention<>(1), DiagonalRecurrence<>(1), Readout<>(1), ConstantGate<>(1));
}

TEST_CASE("the layer pulls back with a state that keeps few combinations of the input", "[vjp]") {
  check_composition(ProjectedAttention<3, 1>(), DiagonalRecurrence<1, 3>(), Readout<3>(),
                    PreconditionedGate<3, 3, 1>());
  check_composition(ProjectedAttention<>(3, 2), DiagonalRecurrence<>(2, 3), Readout<>(3),
                    PreconditionedGate<Dynamic, 3, Dynamic>(3, 2));
}

TEST_CASE("the layer pulls back with one decay for all entries, and with none", "[vjp]") {
  check_composition(LocalAttention<2>(), CommonDecay<2>(), Readout<2>(), OutputGate<2>());
  check_composition(LocalAttention<>(3), UnitDecay<>(3), Readout<>(3), OutputGate<>(3));
}

TEST_CASE("the layer pulls back with a diagonal readout, and with one number for all outputs", "[vjp]") {
  check_composition(LocalAttention<2>(), DiagonalRecurrence<2>(), DiagonalReadout<2>(), OutputGate<2>());
  check_composition(LocalAttention<>(3), UnitDecay<>(3), TiedReadout<>(3), OutputGate<>(3));
}

TEST_CASE("decays that depend on the token pull back behind every input", "[vjp]") {
  using Linear = AugmentedSsm<LinearInput<2>, SelectiveRecurrence<2>, Readout<2>, OutputGate<2>>;
  using Ungated = AugmentedSsm<LocalAttention<2>, SelectiveRecurrence<2>, Readout<2>, ConstantGate<2>>;
  expect_vjp(Pass<Linear>{{}, 3, 2});
  expect_vjp(Pass<Ungated>{{}, 3, 2});
}

}  // namespace
}  // namespace gdssm
