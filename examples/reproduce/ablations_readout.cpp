// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "reproduce/ablation.hpp"

namespace gdssm::reproduce {

std::vector<Ablation> readout_ablations() {
  constexpr Index f = ablation_features;
  using Tied = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, TiedReadout<>, OutputGate<>>;
  using Diagonal = AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, DiagonalReadout<>, OutputGate<>>;
  using Least = AugmentedSsm<LocalAttention<>, UnitDecay<>, TiedReadout<>, OutputGate<>>;
  return {make_ablation("diagonal readout", "diagonal-readout", one_step_loss(), Diagonal(f)),
          make_ablation("tied readout", "tied-readout", one_step_loss(), Tied(f)),
          make_ablation("tied readout, decay 1", "tied-readout-unit-decay", one_step_loss(), Least(f))};
}

}  // namespace gdssm::reproduce
