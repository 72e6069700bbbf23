// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/models/run_gradient.hpp"
#include "gdssm/training/batch.hpp"
#include "gdssm/training/division.hpp"
#include "gdssm/training/loss.hpp"
#include "gdssm/training/sum_of_parts.hpp"

namespace gdssm {

namespace detail {

/// A sum over lane groups and its gradient. Groups are divided among shares, whose number is `Division::parts`. Threads
/// and processes compute the shares, and `fold_in_fours` determines the order in which the shares' sums are added. The
/// same input therefore gives the same bits on any number of threads and processes.
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
  static constexpr Index shares = Division{}.parts;  ///< unless the division says otherwise

  struct Share {
    typename Model::template Coefficients<S> coefficients_bar;
    typename Pass::Workspace workspace;
    PartOfSum<S> sum = {};
  };

  GradientSum(const Model& model, Index windows, Index losses, const Division& division = {})
      : model_(model),
        parts_(division.parts),
        losses_(losses),
        first_(model.template initial_state<S>()),
        like_(model.template parameters<P>()),
        coefficients_(model.template coefficients<P>()),
        coefficients_bar_(model.template coefficients<P>()),
        sums_(arrays_of<P>(coefficients_bar_)),
        pass_{model_, windows},
        share_(static_cast<std::size_t>((std::max)(division.parts, shares))),
        sum_of_parts_(division.processes) {
    if (division.parts < 1) refuse("Division", "the number of parts is ", division.parts, ", expected at least 1");
    for (Index s = 0; s < shares; ++s) share(s);
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
    const Index used = (std::min)(groups, parts_);
    expect_shapes("the gradient's weights", like_, parameters);
    expect_shapes("the gradient", like_, gradient);
    model_.prepare(parameters, coefficients_);
    pass_.prepare(coefficients_);
    const ItemRange mine = sum_of_parts_.mine(used);
    for (Index s = mine.first; s < mine.end(); ++s) share(s);
    pool.run(mine.count, [&](Index i) {
      const Index s = mine.first + i;
      Share& own = *share_[static_cast<std::size_t>(s)];
      fill(own.coefficients_bar, S(0));
      P loss = P(0);
      for (Index g = s; g < groups; g += used) loss += of_group(g, s, own);
      own.sum.loss = loss;
    });
    const P loss = sum_of_parts_(
        used, [&](Index s) -> PartOfSum<S>& { return share(s).sum; }, sums_);
    fill(gradient, P(0));
    model_.prepare_vjp(parameters, coefficients_, coefficients_bar_, gradient);
    return loss;
  }

 private:
  // The first are made in the beginning, others when they are needed.
  Share& share(Index s) {
    auto& place = share_[static_cast<std::size_t>(s)];
    if (!place) {
      place.reset(new Share{model_.template coefficients<S>(), pass_.workspace(losses_)});
      place->sum.arrays = arrays_of<S>(place->coefficients_bar);
    }
    return *place;
  }

  template <class T, class Aggregate>
  static std::vector<std::span<T>> arrays_of(Aggregate& aggregate) {
    std::vector<std::span<T>> arrays;
    visit([&](const Name&, auto& m) { arrays.emplace_back(m.data(), static_cast<std::size_t>(m.size())); }, aggregate);
    return arrays;
  }

  Model model_;
  Index parts_, losses_;
  typename Model::template State<S> first_;
  Parameters like_;
  Coefficients coefficients_, coefficients_bar_;
  std::vector<std::span<P>> sums_;
  Pass pass_;
  std::vector<std::unique_ptr<Share>> share_;
  SumOfParts<S> sum_of_parts_;
};

}  // namespace detail

/// The mean loss of a model over a batch, and its gradient. The loss of numbers is 1/2 |yhat - y|^2 divided by the
/// number of losses and, for vector targets, of outputs. The loss of classes is the cross-entropy divided by the number
/// of losses. The same input gives the same bits on any number of threads and processes. Only the constructor
/// allocates; where there are several processes or more than four parts, the first calls do too.
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
  BatchGradient(const Model& model, Index windows, Index losses, const Kind& targets = {},
                const Division& division = {})
      : sum_(model, windows, losses, division), targets_(targets) {}

  /// Returns the loss and writes its gradient to `gradient`.
  P operator()(const Parameters& parameters, const Batch<S>& batch, Parameters& gradient) {
    return (*this)(parameters, batch, gradient, alone_, [](Index) {});
  }

  /// The same on a pool's threads. Calls `draw(g)` before it reads group g, on the same thread; `draw` may fill group
  /// g. A process reads the groups of its parts alone.
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
LossAndGradient<S> loss_and_gradient(const Model& model, Index windows, Index losses, const Targets& targets,
                                     const Division& division = {}) {
  using Weights = NamedWeights<LaneScalar<S>>;
  struct Typed {
    BatchGradient<Model, S, Targets, Method> of_batch;
    typename Model::template Parameters<LaneScalar<S>> weights, gradient;

    Typed(const Model& model, Index windows, Index losses, const Targets& targets, const Division& division)
        : of_batch(model, windows, losses, targets, division),
          weights(model.template parameters<LaneScalar<S>>()),
          gradient(weights) {}
  };
  return [typed = std::make_shared<Typed>(model, windows, losses, targets, division)](
             const Weights& weights, const Batch<S>& batch, Weights& gradient, ThreadPool& pool,
             const std::function<void(Index)>& draw) {
    weights.copy_to(typed->weights);
    const LaneScalar<S> loss = typed->of_batch(typed->weights, batch, typed->gradient, pool, draw);
    gradient.assign(typed->gradient);
    return loss;
  };
}

}  // namespace gdssm
