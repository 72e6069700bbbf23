// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "gdssm/core/parameters.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/training/batch.hpp"
#include "gdssm/training/loss.hpp"

namespace gdssm {

/// The mean squared error of a model over a batch and its gradient: 1/2 |yhat - y|^2 over the number of losses and, for
/// vector targets, of outputs. Lane groups are dealt out to a fixed number of shares, which threads work off and whose
/// sums are added in order: the same input gives the same bits on any number of threads. Allocates when it is made, not
/// when it is called.
///     `Kind`    VectorTargets or ScalarTargets
///     `Method`  StoredHistory or ForwardSensitivity
/// Errors  std::invalid_argument: a batch larger than the sizes it was made for, tokens or targets of another height
/// Source  docs/theory.md, exact gradients
template <class Model, class S, class Kind = VectorTargets, class Method = StoredHistory>
class BatchGradient {
  using P = LaneScalar<S>;
  static constexpr Index features = Model::features;
  static constexpr Index shares = 4;

 public:
  using Parameters = typename Model::template Parameters<P>;

  BatchGradient(const Model& model, Index windows, Index losses)
      : model_(model),
        coefficients_(model.template coefficients<P>()),
        coefficients_bar_(coefficients_),
        first_(model.template initial_state<S>()),
        share_(static_cast<std::size_t>(shares),
               Share{model.template coefficients<S>(), first_,
                     model.template gradient_workspace<S, Method>(windows, losses), P(0)}) {
    if constexpr (std::is_same_v<Method, ForwardSensitivity> &&
                  requires { model_.prepare_runs(coefficients_, windows); })
      model_.prepare_runs(coefficients_, windows);
  }

  /// The loss; its gradient replaces what is in `gradient`.
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient) {
    return (*this)(parameters, batch, gradient, alone_, [](Index) {});
  }

  /// The same on a pool's threads. `draw(g)` is called before group g is read, on the thread that reads it: it may fill
  /// the batch's group g.
  template <class Draw>
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient, ThreadPool& pool,
               Draw&& draw) {
    expect_equal("BatchGradient", "the number of features of a token", batch.groups().front().tokens.rows(),
                 model_.feature_count());
    expect_equal("BatchGradient", "the number of rows of the targets", batch.target_height(), model_.output_count());
    const P outputs = std::is_same_v<Kind, ScalarTargets> ? P(1) : P(model_.output_count());
    const P scale = P(1) / (P(batch.loss_count()) * outputs);
    const Index groups = static_cast<Index>(batch.groups().size()), used = std::min(groups, shares);
    model_.prepare(parameters, coefficients_);
    pool.run(used, [&](Index s) {
      Share& share = share_[static_cast<std::size_t>(s)];
      fill(share.coefficients_bar, S(0));
      share.loss = P(0);
      for (Index g = s; g < groups; g += shares) {
        draw(g);
        share.loss += group_gradient(batch, batch.groups()[static_cast<std::size_t>(g)], scale, share);
      }
    });

    P loss = P(0);
    for (Index s = 0; s < used; ++s) loss += share_[static_cast<std::size_t>(s)].loss;
    reduce(used, std::make_index_sequence<shares>());
    fill(gradient, P(0));
    model_.prepare_vjp(parameters, coefficients_, coefficients_bar_, gradient);
    return loss;
  }

 private:
  struct Share {
    typename Model::template Coefficients<S> coefficients_bar;
    typename Model::template State<S> state;
    typename Model::template GradientWorkspace<S, Method> workspace;
    P loss;
  };

  /// The used shares' sums and then the lanes', in order.
  template <std::size_t... s>
  void reduce(Index used, std::index_sequence<s...>) {
    visit(
        [&](const Name&, auto& sum, const auto&... parts) {
          const S* const all[] = {parts.data()...};
          sum_lanes(all, used, sum.size(), sum.data());
        },
        coefficients_bar_, std::as_const(share_[s].coefficients_bar)...);
  }

  P group_gradient(const Batch<S>& batch, const LaneGroup<S>& group, P scale, Share& share) const {
    SquaredError<S, Kind> error(group.targets.view(), scale, group.present.view());
    const Sequence<S, features> sequence{group.tokens.view(),
                                         batch.ragged() ? group.mask.view() : View<const S>::absent()};
    if constexpr (requires {
                    model_.vjp(coefficients_, sequence, Index(1), error, share.coefficients_bar, share.workspace);
                  }) {
      model_.vjp(coefficients_, sequence, batch.losses(), error, share.coefficients_bar, share.workspace);
    } else {
      share.state = first_;
      model_.vjp(coefficients_, sequence, share.state, batch.losses(), error, share.coefficients_bar, share.workspace);
    }
    return sum_lanes(error.value());
  }

  Model model_;
  typename Model::template Coefficients<P> coefficients_, coefficients_bar_;
  typename Model::template State<S> first_;
  std::vector<Share> share_;
  ThreadPool alone_;
};

}  // namespace gdssm
