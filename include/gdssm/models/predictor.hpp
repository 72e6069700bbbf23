// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <type_traits>

#include "gdssm/blocks/sliding_window.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/models/sequence.hpp"

namespace gdssm {

namespace detail {

/// The scalar type of a model's parameters, float or double.
template <class Model, class Parameters>
using ScalarOf =
    std::conditional_t<std::is_same_v<Parameters, typename Model::template Parameters<float>>, float, double>;

/// The coefficients of a model's weights.        Errors  std::invalid_argument: weights of other sizes
template <class Model, class Parameters>
auto prepared(const char* where, const Model& model, const Parameters& parameters) {
  expect_shapes(where, model.template parameters<ScalarOf<Model, Parameters>>(), parameters);
  return model.prepare(parameters);
}

}  // namespace detail

/// A model with its weights as a run-time value. Code that measures predictions is then compiled once, not once for
/// each model. Copies share the weights but not the scratch: each thread needs its own copy. Keeps the model by
/// reference.
///     `S`  the type of tokens and predictions, a scalar or lanes; the weights have its scalar type
/// Errors  std::invalid_argument: weights of other sizes
template <class S>
class Predictor {
 public:
  template <class Model>
  Predictor(const Model& model, const typename Model::template Parameters<LaneScalar<S>>& parameters)
      : features_(model.feature_count()),
        outputs_(model.output_count()),
        window_(model.window()),
        start_([&model, c = std::make_shared<const typename Model::template Coefficients<LaneScalar<S>>>(
                            detail::prepared("Predictor", model, parameters))] {
          return Predict(
              [&model, c, first = model.template initial_state<S>(), state = model.template initial_state<S>(),
               ws = model.template workspace<S>()](const Sequence<S>& sequence, View<S> predictions) mutable {
                state = first;
                model.forward(*c, Sequence<S, Model::features>{sequence.tokens, sequence.mask}, state,
                              View<S, Model::outputs>(predictions), ws);
              });
        }),
        predict_(start_()) {}
  Predictor(const Predictor& other)
      : features_(other.features_),
        outputs_(other.outputs_),
        window_(other.window_),
        start_(other.start_),
        predict_(start_()) {}
  Predictor& operator=(const Predictor&) = delete;

  Index feature_count() const { return features_; }      ///< entries of a token
  Index output_count() const { return outputs_; }        ///< entries of a prediction
  const WindowSizes& window() const { return window_; }  ///< which tokens are neighbours

  /// Predicts at the last k windows of a sequence, from the initial state.
  /// Shapes  tokens (features x T), predictions (outputs x k)
  void operator()(const Sequence<S>& sequence, View<S> predictions) { predict_(sequence, predictions); }

 private:
  using Predict = std::function<void(const Sequence<S>&, View<S>)>;

  Index features_, outputs_;
  WindowSizes window_;
  std::function<Predict()> start_;
  Predict predict_;
};

}  // namespace gdssm
