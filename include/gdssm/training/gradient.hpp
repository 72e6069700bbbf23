// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/models/run_gradient.hpp"
#include "gdssm/training/batch.hpp"
#include "gdssm/training/loss.hpp"

namespace gdssm {

namespace detail {

/// A sum over lane groups and its gradient. Groups are divided among a fixed number of shares, threads process the
/// shares, and the shares' sums are added in order. The same input therefore gives the same bits on any number of
/// threads.
template <class Model, class S, class Method>
class GradientSum {
  using P = LaneScalar<S>;

  // A model pulls a loss back window by window, or in runs of windows if its slots allow.
  struct ByWindows {
    struct Workspace {
      typename Model::template GradientWorkspace<S, Method> layer;
      typename Model::template State<S> state;
    };
    const Model& model;
    Index windows;

    Workspace workspace(Index losses) const {
      return {model.template gradient_workspace<S, Method>(windows, losses), model.template initial_state<S>()};
    }
    void prepare(const typename Model::template Coefficients<P>&) {}
  };
  static constexpr bool in_runs = std::is_same_v<Method, ForwardSensitivity> && TakesRuns<Model, S>;
  template <bool InRuns, class>
  struct PassOf {
    using Type = ByWindows;
  };
  template <class Layer>
  struct PassOf<true, Layer> {
    using Type = RunGradient<Layer, S>;
  };
  using Pass = typename PassOf<in_runs, Model>::Type;

 public:
  using Parameters = typename Model::template Parameters<P>;
  using Coefficients = typename Model::template Coefficients<P>;
  static constexpr Index shares = 4;

  struct Share {
    typename Model::template Coefficients<S> coefficients_bar;
    typename Pass::Workspace workspace;
  };

  GradientSum(const Model& model, Index windows, Index losses)
      : model_(model),
        first_(model.template initial_state<S>()),
        like_(model.template parameters<P>()),
        coefficients_(model.template coefficients<P>()),
        coefficients_bar_(model.template coefficients<P>()),
        pass_{model_, windows} {
    for (auto& share : share_) share.reset(new Share{model.template coefficients<S>(), pass_.workspace(losses)});
  }
  GradientSum(const GradientSum&) = delete;  // pass_ refers to model_

  const Model& model() const { return model_; }

  /// Adds to a share the gradient of a loss at the last k windows of sequences from the initial state.
  template <class Loss>
  void pull(const Sequence<S, Model::features>& sequence, Index k, Loss& loss, Share& share) const {
    if constexpr (in_runs)
      if (k == 1 && !sequence.mask.present()) {
        constexpr Index stride = Model::Window::stride, width = Model::Window::width;
        const Index n = model_.window().windows(sequence.tokens.cols(), first_.window);
        return pull_runs(
            n, [&](Index t, Index count) { return sequence.tokens.columns(t * stride, (count - 1) * stride + width); },
            loss, share);
      }
    share.workspace.state = first_;
    model_.vjp(coefficients_, sequence, share.workspace.state, k, loss, share.coefficients_bar, share.workspace.layer);
  }
  /// The same for a loss at the end of n windows; run(t, count) returns their tokens, as for `RunGradient`.
  template <class Run, class Loss>
  void pull_runs(Index n, const Run& run, Loss& loss, Share& share) const {
    pass_(coefficients_, n, run, loss, share.coefficients_bar, share.workspace);
  }

  /// `of_group(g, s, share)` adds group g's gradient to the share's, number s, and returns its loss.
  template <class OfGroup>
  P operator()(const Parameters& parameters, Index groups, Parameters& gradient, ThreadPool& pool, OfGroup&& of_group) {
    const Index used = (std::min)(groups, shares);
    expect_shapes("the gradient's weights", like_, parameters);
    expect_shapes("the gradient", like_, gradient);
    model_.prepare(parameters, coefficients_);
    pass_.prepare(coefficients_);
    P losses[shares] = {};
    pool.run(used, [&](Index s) {
      Share& share = *share_[s];
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
  // Adds up the used shares, then the lanes, in order.
  template <std::size_t... s>
  void reduce(Index used, std::index_sequence<s...>) {
    visit(
        [&](const Name&, auto& sum, const auto&... parts) {
          const S* const all[] = {parts.data()...};
          sum_lanes(all, used, sum.size(), sum.data());
        },
        coefficients_bar_, std::as_const(share_[s]->coefficients_bar)...);
  }

  Model model_;
  typename Model::template State<S> first_;
  Parameters like_;
  Coefficients coefficients_, coefficients_bar_;
  Pass pass_;
  std::unique_ptr<Share> share_[shares];
};

}  // namespace detail

/// The mean loss of a model over a batch, and its gradient. The loss of numbers is 1/2 |yhat - y|^2 divided by the
/// number of losses and, for vector targets, of outputs. The loss of classes is the cross-entropy divided by the number
/// of losses. The same input gives the same bits on any number of threads. Only the constructor allocates.
///     `Kind`    which coordinates of a prediction have a loss: VectorTargets, ScalarTargets, ClassTargets, or Targets,
///               which says so at run time
///     `Method`  StoredHistory or ForwardSensitivity
/// Errors  std::invalid_argument: a batch with more windows or losses than there is room for, tokens or targets of
///         another height, weights or a gradient of other sizes
/// Source  docs/theory.md, exact gradients
template <class Model, class S, class Kind = VectorTargets, class Method = StoredHistory>
class BatchGradient {
  using P = LaneScalar<S>;
  using Sum = detail::GradientSum<Model, S, Method>;

 public:
  using Parameters = typename Model::template Parameters<P>;

  /// For contexts of up to `windows` windows and `losses` losses.
  BatchGradient(const Model& model, Index windows, Index losses, const Kind& targets = {})
      : sum_(model, windows, losses), targets_(targets) {}

  /// Returns the loss and writes its gradient to `gradient`.
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient) {
    return (*this)(parameters, batch, gradient, alone_, [](Index) {});
  }

  /// The same on a pool's threads. Calls `draw(g)` before it reads group g, on the same thread; `draw` may fill group
  /// g.
  template <class Draw>
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient, ThreadPool& pool,
               Draw&& draw) {
    const Model& model = sum_.model();
    expect_equal("BatchGradient", "the number of features of a token", batch.groups().front().tokens.rows(),
                 model.feature_count());
    expect_equal("BatchGradient", "the number of rows of the targets", batch.target_height(), model.output_count());
    const P scale = P(1) / (P(batch.loss_count()) * P(Loss<S>::averaged_over(targets_, model.output_count())));
    return sum_(parameters, static_cast<Index>(batch.groups().size()), gradient, pool,
                [&](Index g, Index, typename Sum::Share& share) {
                  draw(g);
                  const LaneGroup<S>& group = batch.groups()[static_cast<std::size_t>(g)];
                  Loss<S> loss(targets_, group.targets.view(), scale, group.present.view());
                  sum_.pull({group.tokens.view(), batch.ragged() ? group.mask.view() : View<const S>::absent()},
                            batch.losses(), loss, share);
                  return sum_lanes(loss.value());
                });
  }

 private:
  Sum sum_;
  Targets targets_;
  ThreadPool alone_;
};

/// A `BatchGradient` of any model: loss(weights, batch, gradient, pool, draw).
template <class S>
using LossAndGradient = std::function<LaneScalar<S>(const NamedWeights<LaneScalar<S>>& weights, const Batch<S>& batch,
                                                    NamedWeights<LaneScalar<S>>& gradient, ThreadPool& pool,
                                                    const std::function<void(Index)>& draw)>;

/// The `BatchGradient` of a model, for contexts of up to `windows` windows and `losses` losses.
///     `Method`  StoredHistory or ForwardSensitivity
template <class S, class Method, class Model>
LossAndGradient<S> loss_and_gradient(const Model& model, Index windows, Index losses, const Targets& targets) {
  using Weights = NamedWeights<LaneScalar<S>>;
  struct Typed {
    BatchGradient<Model, S, Targets, Method> of_batch;
    typename Model::template Parameters<LaneScalar<S>> weights, gradient;

    Typed(const Model& model, Index windows, Index losses, const Targets& targets)
        : of_batch(model, windows, losses, targets),
          weights(model.template parameters<LaneScalar<S>>()),
          gradient(weights) {}
  };
  return [typed = std::make_shared<Typed>(model, windows, losses, targets)](
             const Weights& weights, const Batch<S>& batch, Weights& gradient, ThreadPool& pool,
             const std::function<void(Index)>& draw) {
    weights.copy_to(typed->weights);
    const LaneScalar<S> loss = typed->of_batch(typed->weights, batch, typed->gradient, pool, draw);
    gradient.assign(typed->gradient);
    return loss;
  };
}

}  // namespace gdssm
