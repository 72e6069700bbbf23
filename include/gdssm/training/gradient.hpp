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

namespace detail {

/// A sum over lane groups and its gradient: groups are dealt out to a fixed number of shares, which threads work off
/// and whose sums are added in order, so that the same input gives the same bits on any number of threads.
template <class Model, class S, class Method>
class GradientSum {
  using P = LaneScalar<S>;

 public:
  using Parameters = typename Model::template Parameters<P>;
  using Coefficients = typename Model::template Coefficients<P>;
  static constexpr Index shares = 4;

  struct Share {
    typename Model::template Coefficients<S> coefficients_bar;
    typename Model::template GradientWorkspace<S, Method> workspace;
  };

  GradientSum(const Model& model, Index windows, Index losses)
      : model_(model),
        coefficients_(model.template coefficients<P>()),
        coefficients_bar_(coefficients_),
        share_(static_cast<std::size_t>(shares),
               Share{model.template coefficients<S>(), model.template gradient_workspace<S, Method>(windows, losses)}) {
    if constexpr (std::is_same_v<Method, ForwardSensitivity> &&
                  requires { model_.prepare_runs(coefficients_, windows); })
      model_.prepare_runs(coefficients_, windows);
  }

  const Model& model() const { return model_; }
  const Coefficients& coefficients() const { return coefficients_; }

  /// `of_group(g, s, share)` adds group g's gradient to the share's, number s, and returns its loss.
  template <class OfGroup>
  P operator()(const Parameters& parameters, Index groups, Parameters& gradient, ThreadPool& pool, OfGroup&& of_group) {
    const Index used = std::min(groups, shares);
    model_.prepare(parameters, coefficients_);
    P losses[shares] = {};
    pool.run(used, [&](Index s) {
      Share& share = share_[static_cast<std::size_t>(s)];
      fill(share.coefficients_bar, S(0));
      P loss = P(0);
      for (Index g = s; g < groups; g += shares) loss += of_group(g, s, share);
      losses[s] = loss;
    });
    P loss = P(0);
    for (Index s = 0; s < used; ++s) loss += losses[s];
    reduce(used, std::make_index_sequence<shares>());
    fill(gradient, P(0));
    model_.prepare_vjp(parameters, coefficients_, coefficients_bar_, gradient);
    return loss;
  }

 private:
  // The used shares' sums and then the lanes', in order.
  template <std::size_t... s>
  void reduce(Index used, std::index_sequence<s...>) {
    visit(
        [&](const Name&, auto& sum, const auto&... parts) {
          const S* const all[] = {parts.data()...};
          sum_lanes(all, used, sum.size(), sum.data());
        },
        coefficients_bar_, std::as_const(share_[s].coefficients_bar)...);
  }

  Model model_;
  Coefficients coefficients_, coefficients_bar_;
  std::vector<Share> share_;
};

}  // namespace detail

/// The mean loss of a model over a batch and its gradient: 1/2 |yhat - y|^2 over the number of losses and, for vector
/// targets, of outputs; for classes the cross-entropy over the number of losses. The same input gives the same bits on
/// any number of threads. Allocates when it is made, not when it is called.
///     `Kind`    VectorTargets, ScalarTargets or ClassTargets
///     `Method`  StoredHistory or ForwardSensitivity
/// Errors  std::invalid_argument: a batch larger than the sizes it was made for, tokens or targets of another height
/// Source  docs/theory.md, exact gradients
template <class Model, class S, class Kind = VectorTargets, class Method = StoredHistory>
class BatchGradient {
  using P = LaneScalar<S>;
  using Sum = detail::GradientSum<Model, S, Method>;
  static constexpr Index features = Model::features;

 public:
  using Parameters = typename Model::template Parameters<P>;

  BatchGradient(const Model& model, Index windows, Index losses)
      : sum_(model, windows, losses),
        first_(model.template initial_state<S>()),
        states_(static_cast<std::size_t>(Sum::shares), first_) {}

  /// The loss; its gradient replaces what is in `gradient`.
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient) {
    return (*this)(parameters, batch, gradient, alone_, [](Index) {});
  }

  /// The same on a pool's threads. `draw(g)` is called before group g is read, on the thread that reads it: it may fill
  /// the batch's group g.
  template <class Draw>
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient, ThreadPool& pool,
               Draw&& draw) {
    const Model& model = sum_.model();
    expect_equal("BatchGradient", "the number of features of a token", batch.groups().front().tokens.rows(),
                 model.feature_count());
    expect_equal("BatchGradient", "the number of rows of the targets", batch.target_height(), model.output_count());
    const P scale = P(1) / (P(batch.loss_count()) * P(Loss<S, Kind>::averaged_over(model.output_count())));
    return sum_(parameters, static_cast<Index>(batch.groups().size()), gradient, pool,
                [&](Index g, Index s, typename Sum::Share& share) {
                  draw(g);
                  return group_gradient(batch, batch.groups()[static_cast<std::size_t>(g)], scale,
                                        states_[static_cast<std::size_t>(s)], share);
                });
  }

 private:
  P group_gradient(const Batch<S>& batch, const LaneGroup<S>& group, P scale, typename Model::template State<S>& state,
                   typename Sum::Share& share) const {
    const Model& model = sum_.model();
    const auto& c = sum_.coefficients();
    Loss<S, Kind> loss(group.targets.view(), scale, group.present.view());
    const Sequence<S, features> sequence{group.tokens.view(),
                                         batch.ragged() ? group.mask.view() : View<const S>::absent()};
    if constexpr (requires { model.vjp(c, sequence, Index(1), loss, share.coefficients_bar, share.workspace); }) {
      model.vjp(c, sequence, batch.losses(), loss, share.coefficients_bar, share.workspace);
    } else {
      state = first_;
      model.vjp(c, sequence, state, batch.losses(), loss, share.coefficients_bar, share.workspace);
    }
    return sum_lanes(loss.value());
  }

  Sum sum_;
  typename Model::template State<S> first_;
  std::vector<typename Model::template State<S>> states_;
  ThreadPool alone_;
};

}  // namespace gdssm
