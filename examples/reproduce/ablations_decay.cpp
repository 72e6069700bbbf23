// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/common_decay.hpp"
#include "reproduce/ablation.hpp"

namespace gdssm::reproduce {

std::vector<Ablation> decay_ablations() {
  constexpr Index f = ablation_features;
  using Unit = AugmentedSsm<LocalAttention<>, UnitDecay<>, Readout<>, OutputGate<>>;
  using Common = AugmentedSsm<LocalAttention<>, CommonDecay<>, Readout<>, OutputGate<>>;
  return {make_ablation("decay 1", "unit-decay", one_step_loss(), Unit(f)),
          make_ablation("one decay for all", "common-decay", one_step_loss(), Common(f))};
}

}  // namespace gdssm::reproduce
