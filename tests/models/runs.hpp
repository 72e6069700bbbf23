// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/random.hpp"

#include "gdssm/models/augmented_ssm.hpp"

// Short forms of the passes; they allocate their results.
namespace gdssm::test {

template <class P, class Model>
typename Model::template Coefficients<P> random_coefficients(const Model& model, Random& random) {
  auto p = model.template parameters<P>();
  random.fill(p);
  return model.prepare(p);
}

template <class T, Index Rows, Index Cols>
Array<T, Rows, Cols> random_array(Array<T, Rows, Cols> array, Random& random) {
  random.fill(array);
  return array;
}

/// Tokens of this many windows, from the beginning of the first.
template <class S, class Model>
Array<S, Model::features> random_tokens(const Model& model, Index windows, Random& random) {
  const Index length = Model::Window::width + Model::Window::stride * (windows - 1);
  return random_array(Array<S, Model::features>(model.feature_count(), length), random);
}

/// A state in the middle of a stream: no stored token, random memory.
template <class S, class Model>
typename Model::template State<S> random_state(const Model& model, Random& random) {
  auto state = model.template initial_state<S>();
  random.fill(state.recurrence.memory);
  return state;
}

/// The predictions at the last k windows; `state` moves on.
template <class S, class Model, class P>
Array<S, Model::outputs> run(const Model& model, const P& c, const Sequence<S, Model::features>& sequence,
                             typename Model::template State<S>& state, Index k) {
  Array<S, Model::outputs> predictions(model.output_count(), k);
  auto ws = model.template workspace<S>();
  model.forward(c, sequence, state, predictions.view(), ws);
  return predictions;
}

template <class Model, class S>
struct Gradient {
  typename Model::template Coefficients<S> coefficients;
  Array<S, Model::features> tokens;
  typename Model::template State<S> state;  ///< of the first state
};

/// The gradient for the cotangents g (Outputs x k) of the last k predictions and `state_bar` of the last state.
template <class Method, class Model, class P, class S>
Gradient<Model, S> pull_back(const Model& model, const P& c, const Sequence<S, Model::features>& sequence,
                             typename Model::template State<S> state, const Array<S, Model::outputs>& g,
                             const typename Model::template State<S>& state_bar) {
  Gradient<Model, S> gradient{model.template coefficients<S>(),
                              Array<S, Model::features>(sequence.tokens.rows(), sequence.tokens.cols()), state_bar};
  auto ws = model.template gradient_workspace<S, Method>(sequence.tokens.cols(), g.cols());
  model.vjp(
      c, sequence, state, g.cols(),
      [&](Index j, View<const S, Model::outputs, 1>, View<S, Model::outputs, 1> y_bar) {
        for (Index i = 0; i < y_bar.size(); ++i) y_bar[i] = g(i, j);
      },
      gradient.coefficients, gradient.state, gradient.tokens.view(), ws);
  return gradient;
}

/// Lane k of an array.
template <class S, Index Rows, Index Cols>
Array<LaneScalar<S>, Rows, Cols> lane_of(const Array<S, Rows, Cols>& array, Index k) {
  Array<LaneScalar<S>, Rows, Cols> out(array.rows(), array.cols());
  for (Index i = 0; i < array.size(); ++i) out[i] = lane(array[i], k);
  return out;
}

/// The largest difference between entries of two arrays or aggregates, relative to the largest entry, in roundings.
template <class A>
double roundings(const A& a, const A& b) {
  double difference = 0, largest = 0, epsilon = 1;
  const auto compare = [&](const auto& x, const auto& y) {
    using S = std::remove_cvref_t<decltype(x.data()[0])>;
    epsilon = std::numeric_limits<LaneScalar<S>>::epsilon();
    if (x.rows() != y.rows() || x.cols() != y.cols()) difference = std::numeric_limits<double>::infinity();
    for (Index i = 0; i < std::min<Index>(x.size(), y.size()); ++i)
      for (Index k = 0; k < lane_count<S>; ++k) {
        const double u = lane(x.data()[i], k), v = lane(y.data()[i], k);
        if (!(std::abs(u - v) <= difference)) difference = std::abs(u - v);
        largest = std::max(largest, std::abs(u));
      }
  };
  if constexpr (requires { a.data(); })
    compare(a, b);
  else
    visit([&](const Name&, const auto& x, const auto& y) { compare(x, y); }, a, b);
  return difference == 0 ? 0 : difference / (epsilon * largest);
}

}  // namespace gdssm::test
