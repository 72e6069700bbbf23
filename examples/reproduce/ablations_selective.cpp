// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "reproduce/ablation.hpp"

namespace gdssm::reproduce {

std::vector<Ablation> selective_ablations() {
  constexpr Index f = ablation_features;
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  using Selective = AugmentedSsm<LocalAttention<>, SelectiveRecurrence<>, Readout<>, OutputGate<>>;
  using Unattended = AugmentedSsm<LinearInput<>, SelectiveRecurrence<>, Readout<>, OutputGate<>>;
  using Ungated = AugmentedSsm<LocalAttention<>, SelectiveRecurrence<>, Readout<>, ConstantGate<>>;
  return {make_ablation("selective decay", "selective", one_step_loss(), Selective(f)),
          make_ablation("selective decay, no attention", "selective-no-attention", unknown, Unattended(f)),
          make_ablation("selective decay, no gate", "selective-no-gate", unknown, Ungated(f))};
}

}  // namespace gdssm::reproduce
