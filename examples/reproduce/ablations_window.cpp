// SPDX-License-Identifier: Apache-2.0
#include "gdssm/construction/drift.hpp"
#include "reproduce/ablation.hpp"

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

std::vector<Ablation> window_ablations() {
  constexpr Index f = ablation_features;
  const PaperLayer<> paper(f);
  const auto reference = [paper](std::uint64_t seed) { return reference_initialization<float>(paper, seed); };
  return {
      make_ablation("the paper's layer", "paper", one_step_loss(), paper),
      make_ablation("initial decays far from 1", "far-decays", one_step_loss(), paper, ablation_tasks,
                    far_start(paper)),
      make_ablation(
          "windows of five", "wide-window", wide_loss(),
          AugmentedSsm<LocalAttention<Dynamic, 5, 2>, DiagonalRecurrence<>, Readout<>, OutputGate<Dynamic, 5>>(f)),
      make_ablation("stride 1", "stride-1", stride_loss(),
                    AugmentedSsm<LocalAttention<Dynamic, 3, 1>, DiagonalRecurrence<>, Readout<>, OutputGate<>>(f)),
      make_ablation("shifted start", "shifted", one_step_loss(), paper, ShiftedRegression{ablation_tasks}, reference)};
}

}  // namespace gdssm::reproduce
