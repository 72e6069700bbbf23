// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "gdssm/core/named_weights.hpp"
#include "gdssm/models/predictor.hpp"
#include "gdssm/models/query_derivative.hpp"
#include "gdssm/training/gradient.hpp"
#include "gdssm/training/initialization.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm {

/// Any model as a run-time value: the names and shapes of its weights, the gradient over a batch, predictions and their
/// derivative by the query. The model's own code is compiled where its `AnyModel` is made. Code that trains and
/// measures models is compiled once for all of them. The cost is one virtual call for each batch.
///     const AnyModel<Lanes<float>> model(PaperLayer<>(10));
///     const TaskSource<Lanes<float>> source(tasks, model.window(), 1);
///     auto run = begin_run(optimizer, model.draw(1));
///     train(model, source, source.targets(), optimizer, schedule, options, run, pool);
/// Copies share the model.
///     `S`  the type of tokens and predictions, a scalar or lanes; the weights have its scalar type
template <class S>
class AnyModel {
  using P = LaneScalar<S>;

 public:
  using Weights = NamedWeights<P>;

  /// Keeps a copy of the model. Gradients are by forward sensitivity if the model has it, else by stored history.
  template <class Model>
  requires(!std::is_same_v<Model, AnyModel>) explicit AnyModel(Model model)
      : model_(std::make_shared<const Of<Model>>(std::move(model))) {}

  Index feature_count() const { return model_->features; }      ///< entries of a token
  Index output_count() const { return model_->outputs; }        ///< entries of a prediction
  const WindowSizes& window() const { return model_->window; }  ///< which tokens are neighbours
  const Weights& weights() const { return model_->zeros; }      ///< zeros, with names and shapes
  /// Random weights, as `reference_initialization`.
  Weights draw(std::uint64_t seed) const { return model_->draw(seed); }

  /// The loss and its gradient, as `loss_and_gradient`.
  LossAndGradient<S> gradient(Index windows, Index losses, const Targets& targets,
                              const Division& division = {}) const {
    return model_->gradient(windows, losses, targets, division);
  }
  /// A predictor; the model must outlive it.        Errors  std::invalid_argument: weights of another shape
  Predictor<S> predictor(const Weights& weights) const { return model_->predictor(weights); }
  /// The derivative by the query; the model must outlive it.
  /// Errors  std::invalid_argument: weights of another shape, a model without `DifferentiatesInputs`
  QueryDerivative<S> query_derivative(const Weights& weights) const { return model_->query_derivative(weights); }

 private:
  struct Interface {
    Index features, outputs;
    WindowSizes window;
    Weights zeros;

    virtual ~Interface() = default;
    virtual Weights draw(std::uint64_t seed) const = 0;
    virtual LossAndGradient<S> gradient(Index windows, Index losses, const Targets& targets,
                                        const Division& division) const = 0;
    virtual Predictor<S> predictor(const Weights& weights) const = 0;
    virtual QueryDerivative<S> query_derivative(const Weights& weights) const = 0;

   protected:
    Interface(Index features_, Index outputs_, const WindowSizes& window_, Weights zeros_)
        : features(features_), outputs(outputs_), window(window_), zeros(std::move(zeros_)) {}
  };

  template <class Model>
  struct Of final : Interface {
    explicit Of(Model model)
        : Interface(model.feature_count(), model.output_count(), model.window(),
                    Weights(model.template parameters<P>())),
          model_(std::move(model)) {}

    Weights draw(std::uint64_t seed) const override { return Weights(reference_initialization<P>(model_, seed)); }
    LossAndGradient<S> gradient(Index windows, Index losses, const Targets& targets,
                                const Division& division) const override {
      return loss_and_gradient<S, detail::BestMethod<Model>>(model_, windows, losses, targets, division);
    }
    Predictor<S> predictor(const Weights& weights) const override { return {model_, typed(weights)}; }
    QueryDerivative<S> query_derivative(const Weights& weights) const override {
      if constexpr (DifferentiatesInputs<Model, S>)
        return {model_, typed(weights)};
      else
        refuse("AnyModel", "the vjp of this model gives no gradient of its tokens, expected one that does");
    }

   private:
    auto typed(const Weights& weights) const {
      auto p = model_.template parameters<P>();
      weights.copy_to(p);
      return p;
    }

    Model model_;
  };

  std::shared_ptr<const Interface> model_;
};

/// The training loop of `train` for an `AnyModel`. `stops` is called after each update; it ends the run by returning
/// true.        Errors  as the long form of `train`
template <class S, class Optimizer>
TrainingResult train(const AnyModel<S>& model, const TaskSource<S>& tasks, const Targets& kind,
                     const Optimizer& optimizer, const std::function<double(Index)>& schedule,
                     const TrainingOptions& options, TrainingRun<NamedWeights<LaneScalar<S>>, Optimizer>& run,
                     ThreadPool& pool,
                     const std::function<bool(const TrainingProgress<NamedWeights<LaneScalar<S>>>&)>& stops = {}) {
  const std::function<LossAndGradient<S>(Index)> gradient = [&](Index windows) {
    return model.gradient(windows, options.losses, kind, options.division);
  };
  return detail::TrainingLoop<S, Optimizer>{
      model.window(), model.output_count(), gradient, tasks, optimizer, schedule, options, pool, stops}(run);
}

}  // namespace gdssm
