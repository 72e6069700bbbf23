// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

namespace detail {

/// The short form that every model offers as `predict`: one sequence from the first state, every window, checked.
template <class P, class Model, class Parameters, class Derived>
Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predict_every_window(const Model& model, const Parameters& parameters,
                                                                      const Eigen::MatrixBase<Derived>& tokens) {
  expect_equal("predict", "the number of features of a token", tokens.rows(), model.feature_count());
  expect_shapes("predict", model.template parameters<P>(), parameters);
  const Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> dense = tokens;
  expect_finite("predict", "token", dense);
  auto state = model.template initial_state<P>();
  auto ws = model.template workspace<P>();
  const auto& window = model.window();
  Eigen::Matrix<P, Eigen::Dynamic, Eigen::Dynamic> predictions(
      model.output_count(), window.windows(dense.cols(), window.template initial_state<P>()));
  model.template forward<P, P>(model.prepare(parameters), {view_of(dense)}, state, view_of(predictions), ws);
  return predictions;
}

}  // namespace detail
}  // namespace gdssm
