// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>

#include "support/vjp.hpp"

#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/models/augmented_ssm.hpp"

namespace gdssm::test {

/// A layer's coefficients and a sequence -> its output. The pull-back adds to its result, so it is half of the result
/// of two calls.
template <class Layer>
struct LayerCase {
  Layer layer;
  Index length;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "X"}, layer.template coefficients<T>(), Array<T>(layer.width(), length));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, X] = in.parts;
    auto ws = layer.template workspace<T>(length);
    Array<T> Y(layer.width(), length);
    layer.forward(c, X, Y, ws);
    return bundle({"Y"}, Y);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, X] = in.parts;
    const auto& Y_bar = std::get<0>(out_bar.parts);
    auto in_bar = input<T>();
    auto& [c_bar, X_bar] = in_bar.parts;
    auto ws = layer.template workspace<T>(length);
    auto Y = X;
    for (int pass = 0; pass < 2; ++pass) {
      layer.forward(c, X, Y, ws);
      layer.vjp(c, X, Y_bar, X_bar, c_bar, ws);
    }
    visit(
        [](const Name&, auto& twice) {
          for (Index i = 0; i < twice.size(); ++i) twice.data()[i] *= T(1) / T(2);
        },
        in_bar);
    return in_bar;
  }
};

/// A whole model's parameters -> its predictions at the last k windows of given tokens.
template <class Model>
struct ModelCase {
  Model model;
  Eigen::MatrixXd tokens;
  Index k;

  template <class T>
  auto input() const {
    return bundle({"parameters"}, model.template parameters<T>());
  }
  template <class T>
  auto output(const auto& in) const {
    auto ws = model.template workspace<T>();
    typename Model::template State<T> state;
    Array<T> predictions(model.output_count(), k);
    const Array<T> x = sequence<T>();
    model.forward(model.prepare(std::get<0>(in.parts)), Sequence<T>{x.view()}, state, predictions.view(), ws);
    return bundle({"predictions"}, predictions);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& p = std::get<0>(in.parts);
    const auto& g = std::get<0>(out_bar.parts);
    auto in_bar = input<T>();
    const auto c = model.prepare(p);
    auto c_bar = model.template coefficients<T>();
    auto ws = model.template gradient_workspace<T>((tokens.cols() - 1) / 2, k);
    const Array<T> x = sequence<T>();
    auto state = model.template initial_state<T>();
    model.vjp(
        c, Sequence<T>{x.view()}, state, k,
        [&g](Index j, View<const T, Dynamic, 1>, View<T, Dynamic, 1> y_bar) {
          for (Index i = 0; i < y_bar.size(); ++i) y_bar[i] = g(i, j);
        },
        c_bar, ws);
    model.prepare_vjp(p, c, c_bar, std::get<0>(in_bar.parts));
    return in_bar;
  }

 private:
  template <class T>
  Array<T> sequence() const {
    Array<T> x(tokens.rows(), tokens.cols());
    for (Index i = 0; i < x.size(); ++i) x[i] = gdssm::detail::constant<T>(tokens.data()[i]);
    return x;
  }
};

/// A random matrix, the same for the same seed.
inline Eigen::MatrixXd random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Eigen::MatrixXd matrix(rows, cols);
  Random(seed).fill(matrix);
  return matrix;
}

/// The output of a layer for a sequence.
template <class Layer, class Coefficients>
Eigen::MatrixXd applied(const Layer& layer, const Coefficients& c, const Eigen::MatrixXd& X) {
  Array<double> x(X.rows(), X.cols()), y = x;
  x.matrix() = X;
  auto ws = layer.template workspace<double>(X.cols());
  layer.forward(c, x, y, ws);
  return y.matrix();
}

}  // namespace gdssm::test
