// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/models/layer_checks.hpp"
#include "gdssm/models/predictor.hpp"

namespace gdssm {

/// A model that reads an endless stream of tokens. Holds the weights and the state; the state can be read, saved and
/// set.
///     Stream stream(layer, weights);
///     if (const auto answer = stream.step(token)) use(*answer);
///     save("stream.safetensors", stream.state());
/// Gives the same bits as `Model::forward`.
template <class Model, class P>
class Stream {
 public:
  using State = typename Model::template State<P>;
  using Prediction = detail::Matrix<P, Model::outputs, 1>;  ///< (outputs)

  /// Errors  std::invalid_argument: weights of other sizes than the model's
  Stream(Model model, const typename Model::template Parameters<P>& weights)
      : model_(std::move(model)),
        coefficients_(model_.template coefficients<P>()),
        state_(model_.template initial_state<P>()),
        workspace_(model_.template workspace<P>()),
        token_(model_.feature_count(), 1) {
    expect_shapes("Stream", model_.template parameters<P>(), weights);
    model_.prepare(weights, coefficients_);
  }

  /// Takes in one token. Returns the prediction if the token completes a window.
  /// Errors  std::invalid_argument: a token of another size, an entry that is not finite; the state does not change
  /// then
  template <class Derived>
  std::optional<Prediction> step(const Eigen::MatrixBase<Derived>& token) {
    expect_equal("Stream", "the number of columns of a token", token.cols(), Index(1));
    expect_equal("Stream", "the number of features of a token", token.rows(), model_.feature_count());
    token_.matrix() = token.template cast<P>();
    expect_finite("Stream", "token", token_.matrix());
    Prediction prediction = detail::zeros<P, Model::outputs, 1>(model_.output_count(), 1);
    const View<P, Model::outputs, 1> out(prediction.data(), prediction.rows(), 1);
    if (!model_.template step<P, P>(coefficients_, token_.view(), state_, out, workspace_)) return std::nullopt;
    return prediction;
  }

  const Model& model() const { return model_; }  ///< the model
  const State& state() const { return state_; }  ///< all that later predictions depend on

  /// Continues from a state that `state` returned, in this process or another.
  /// Errors  std::invalid_argument: a state of other sizes than the model's, or one that no stream leads to
  void set_state(State state) {
    expect_shapes("Stream", model_.template initial_state<P>(), state);
    if constexpr (requires { state.window.held; })
      detail::expect_counts<typename Model::Window>("Stream", state.window);
    state_ = std::move(state);
  }
  /// Returns to the initial state.
  void restart() { state_ = model_.template initial_state<P>(); }

 private:
  Model model_;
  typename Model::template Coefficients<P> coefficients_;
  State state_;
  typename Model::template Workspace<P> workspace_;
  Array<P, Model::features, 1> token_;
};

template <class Model, class Parameters>
Stream(Model, Parameters) -> Stream<Model, detail::ScalarOf<Model, Parameters>>;

}  // namespace gdssm
