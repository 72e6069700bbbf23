// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/parameters.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/training/batch.hpp"
#include "gdssm/training/loss.hpp"

namespace gdssm {

/// The mean squared error of a model over a batch and its gradient: 1/2 |yhat - y|^2 over the number of losses and,
/// for vector targets, of outputs. Lanes add up in one fixed order, so the same input gives the same bits.
/// Allocates when it is made, not when it is called.
///     `Kind`    VectorTargets or ScalarTargets
///     `Method`  StoredHistory or ForwardSensitivity
/// Errors  std::invalid_argument: a batch larger than the sizes it was made for, tokens or targets of another height
/// Source  docs/theory.md, exact gradients
template <class Model, class S, class Kind = VectorTargets, class Method = StoredHistory>
class BatchGradient {
  using P = LaneScalar<S>;
  static constexpr Index features = Model::features;

 public:
  using Parameters = typename Model::template Parameters<P>;

  BatchGradient(const Model& model, Index windows, Index losses)
      : model_(model),
        coefficients_(model.template coefficients<P>()),
        coefficients_bar_(model.template coefficients<P>()),
        lanes_bar_(model.template coefficients<S>()),
        first_(model.template initial_state<S>()),
        state_(first_),
        workspace_(model.template gradient_workspace<S, Method>(windows, losses)) {}

  /// The loss; its gradient replaces what is in `gradient`.
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient) {
    expect_equal("BatchGradient", "the number of features of a token", batch.groups().front().tokens.rows(),
                 model_.feature_count());
    expect_equal("BatchGradient", "the number of rows of the targets", batch.target_height(), model_.output_count());
    const P outputs = std::is_same_v<Kind, ScalarTargets> ? P(1) : P(model_.output_count());
    const P scale = P(1) / (P(batch.loss_count()) * outputs);
    model_.prepare(parameters, coefficients_);
    fill(lanes_bar_, S(0));
    P loss = P(0);
    for (const LaneGroup<S>& group : batch.groups()) {
      const Array<S>&mask = group.mask, &present = group.present, &targets = group.targets, &tokens = group.tokens;
      SquaredError<S, Kind> error(targets.view(), scale, present.view());
      state_ = first_;
      model_.vjp(coefficients_,
                 Sequence<S, features>{tokens.view(), batch.ragged() ? mask.view() : View<const S>::absent()}, state_,
                 batch.losses(), error, lanes_bar_, workspace_);
      loss += sum_lanes(error.value());
    }
    visit(
        [](const Name&, const auto& lanes, auto& sum) {
          for (Index i = 0; i < sum.size(); ++i) sum[i] = sum_lanes(lanes[i]);
        },
        lanes_bar_, coefficients_bar_);
    fill(gradient, P(0));
    model_.prepare_vjp(parameters, coefficients_, coefficients_bar_, gradient);
    return loss;
  }

 private:
  Model model_;
  typename Model::template Coefficients<P> coefficients_, coefficients_bar_;
  typename Model::template Coefficients<S> lanes_bar_;
  typename Model::template State<S> first_, state_;
  typename Model::template GradientWorkspace<S, Method> workspace_;
};

}  // namespace gdssm
