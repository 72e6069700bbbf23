// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"
#include "reproduce/ablation.hpp"

namespace gdssm::reproduce {

std::vector<Ablation> attention_ablations() {
  constexpr Index f = ablation_features;
  using Linear = AugmentedSsm<LinearInput<>, DiagonalRecurrence<>, Readout<>, OutputGate<>>;
  using Softmax = AugmentedSsm<SoftmaxLocalAttention<>, DiagonalRecurrence<>, Readout<>, OutputGate<>>;
  using Vector = AugmentedSsm<ProjectedAttention<Dynamic, 1>, DiagonalRecurrence<1, Dynamic>, Readout<>,
                              PreconditionedGate<Dynamic, 3, 1>>;
  // One direction of the input is learned as well as by the full layer, the other f - 1 not at all.
  const double one_direction = zero_loss() - (zero_loss() - one_step_loss()) / static_cast<double>(f);
  return {make_ablation("no attention", "no-attention", zero_loss(), Linear(f)),
          make_ablation("softmax attention", "softmax", one_step_loss(), Softmax(f)),
          make_ablation("a vector as the state", "vector-state", one_direction,
                        Vector(ProjectedAttention<Dynamic, 1>(f, 1), DiagonalRecurrence<1, Dynamic>(1, f), Readout<>(f),
                               PreconditionedGate<Dynamic, 3, 1>(f, 1)))};
}

}  // namespace gdssm::reproduce
