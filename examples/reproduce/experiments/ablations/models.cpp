// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/gated_local_attention.hpp"
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"
#include "gdssm/construction/drift.hpp"
#include "gdssm/construction/step_size.hpp"
#include "reproduce/experiments/ablations/ablations.hpp"

namespace gdssm::reproduce {

namespace {

const LinearTask<> task{ablation_features, ablation_context, uniform_inputs(1.0)};

/// The least value of a parabola.
template <class Loss>
double least_of(const Loss& loss) {
  const double zero = loss(0.0), one = loss(1.0), two = loss(2.0);
  const double curvature = (two - 2 * one + zero) / 2, slope = one - zero - curvature;
  return zero - slope * slope / (4 * curvature);
}

/// Windows of five hold two pairs each: with A_01 = A_23 = 1/2 all pairs count alike but for the first and the last,
/// which are in one window, and count half.
double wide_loss() {
  const DriftingContext<> still{ablation_features, ablation_context, 0, task.inputs};
  return least_of([&](double a) {
    std::vector<double> weights(static_cast<std::size_t>(ablation_context), a);
    weights.front() = weights.back() = a / 2;
    return expected_loss(still, weights);
  });
}

/// With stride 1 every second window is [y_t; x_{t+1}; y_{t+1}], and to the sum of x_t y_t^T comes one of
/// y_t x_{t+1}^T: noise to the prediction, of variance f^2 s2^3 for each of the N - 1.
double stride_loss() {
  const double f = ablation_features, s2 = task.inputs.variance;
  return least_of(
      [&](double a) { return expected_loss(task, a) + a * a * (ablation_context - 1) * f * f * s2 * s2 * s2 / 2; });
}

}  // namespace

double one_step_loss() { return expected_loss(task, best_step(task)); }
double zero_loss() { return expected_loss(task, 0.0); }
double last_pair_loss() {
  LinearTask<> last = task;
  last.context = 1;
  return expected_loss(last, best_step(last));
}

/// In the order in which the report shows them.
std::vector<Ablation> all_ablations() {
  constexpr Index f = ablation_features;
  using Attention = LocalAttention<>;
  using Decay = DiagonalRecurrence<>;
  using Gate = OutputGate<>;
  const PaperLayer<> paper(f);
  const AugmentedSsm<GatedLocalAttention<>, Decay, Readout<>, ConstantGate<>> gated(f);
  const AugmentedSsm vector_state(ProjectedAttention<Dynamic, 1>(f, 1), DiagonalRecurrence<1, Dynamic>(1, f),
                                  Readout<>(f), PreconditionedGate<Dynamic, 3, 1>(f, 1));

  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  const double step = one_step_loss(), zero = zero_loss(), last_pair = last_pair_loss();
  // One direction of the input is learned as well as by the full layer, the other f - 1 not at all.
  const double one_direction = zero - (zero - step) / static_cast<double>(f);
  // y_t <x_t, x_{t+1}> of every window is in the state, and only the last window's is of use: without decay the others
  // are noise of the same variance.
  const double with_noise = zero - (zero - last_pair) / static_cast<double>(ablation_context);

  std::vector<Ablation> all;
  const auto add = [&](std::string name, std::string slug, double closed_form, const auto& model) -> Ablation& {
    return all.emplace_back(std::move(name), std::move(slug), closed_form, any_model(model));
  };
  add("the paper's layer", "paper", step, paper);
  add("no attention", "no-attention", zero, AugmentedSsm<LinearInput<>, Decay, Readout<>, Gate>(f));
  add("softmax attention", "softmax", step, AugmentedSsm<SoftmaxLocalAttention<>, Decay, Readout<>, Gate>(f));
  add("windows of five", "wide-window", wide_loss(),
      AugmentedSsm<LocalAttention<Dynamic, 5, 2>, Decay, Readout<>, OutputGate<Dynamic, 5>>(f));
  add("stride 1", "stride-1", stride_loss(), AugmentedSsm<LocalAttention<Dynamic, 3, 1>, Decay, Readout<>, Gate>(f));
  add("shifted start", "shifted", step, paper).shifted = true;
  add("no gate", "no-gate", zero, AugmentedSsm<Attention, Decay, Readout<>, ConstantGate<>>(f));
  add("gate on the input side", "input-gate", last_pair, gated);
  add("decay 1", "unit-decay", step, AugmentedSsm<Attention, UnitDecay<>, Readout<>, Gate>(f));
  add("one decay for all", "common-decay", step, AugmentedSsm<Attention, CommonDecay<>, Readout<>, Gate>(f));
  add("initial decays far from 1", "far-decays", step, paper).far_decays = true;
  add("selective decay", "selective", step, AugmentedSsm<Attention, SelectiveRecurrence<>, Readout<>, Gate>(f));
  add("a vector as the state", "vector-state", one_direction, vector_state);
  add("diagonal readout", "diagonal-readout", step, AugmentedSsm<Attention, Decay, DiagonalReadout<>, Gate>(f));
  add("tied readout", "tied-readout", step, AugmentedSsm<Attention, Decay, TiedReadout<>, Gate>(f));
  add("tied readout, decay 1", "tied-readout-unit-decay", step,
      AugmentedSsm<Attention, UnitDecay<>, TiedReadout<>, Gate>(f));
  add("selective decay, no attention", "selective-no-attention", unknown,
      AugmentedSsm<LinearInput<>, SelectiveRecurrence<>, Readout<>, Gate>(f));
  add("selective decay, no gate", "selective-no-gate", unknown,
      AugmentedSsm<Attention, SelectiveRecurrence<>, Readout<>, ConstantGate<>>(f));
  add("gate on the input side, decay 1", "input-gate-unit-decay", with_noise,
      AugmentedSsm<GatedLocalAttention<>, UnitDecay<>, Readout<>, ConstantGate<>>(f));
  add("gate on the input side, decays far from 1", "input-gate-far-decays", last_pair, gated).far_decays = true;
  return all;
}

}  // namespace gdssm::reproduce
