// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/gated_local_attention.hpp"
#include "reproduce/ablation.hpp"

namespace gdssm::reproduce {

std::vector<Ablation> gate_ablations() {
  constexpr Index f = ablation_features;
  using Ungated = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, Readout<>, ConstantGate<>>;
  using Gated = AugmentedSsm<GatedLocalAttention<>, DiagonalRecurrence<>, Readout<>, ConstantGate<>>;
  using Kept = AugmentedSsm<GatedLocalAttention<>, UnitDecay<>, Readout<>, ConstantGate<>>;
  const Gated gated(f);
  // y_t <x_t, x_{t+1}> of every window is in the state, and only the last window's is of use: without decay the others
  // are noise of the same variance.
  const double with_noise = zero_loss() - (zero_loss() - last_pair_loss()) / static_cast<double>(ablation_context);
  return {make_ablation("no gate", "no-gate", zero_loss(), Ungated(f)),
          make_ablation("gate on the input side", "input-gate", last_pair_loss(), gated),
          make_ablation("gate on the input side, decay 1", "input-gate-unit-decay", with_noise, Kept(f)),
          make_ablation("gate on the input side, decays far from 1", "input-gate-far-decays", last_pair_loss(), gated,
                        ablation_tasks, far_start(gated))};
}

}  // namespace gdssm::reproduce
