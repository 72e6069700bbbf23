// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/analysis/check_vjp.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/training/gradient.hpp"

// A check of a model's gradients on every path that training takes.

namespace gdssm {

namespace detail {

/// Sets to zero what no prediction depends on: tokens that a state does not hold, decays kept for `merge`.
template <class State>
void forget(State& state) {
  if constexpr (requires { state.window.tokens; }) {
    auto& tokens = state.window.tokens;
    for (Index i = state.window.held * tokens.rows(); i < tokens.size(); ++i) tokens[i] = 0;
  }
  if constexpr (requires { state.retained; }) state.retained.fill(0);
  if constexpr (requires { state.recurrence; }) forget(state.recurrence);
  if constexpr (requires { state.layers; })
    for (auto& layer : state.layers) forget(layer);
}

/// Parameters, tokens and first state -> the last k predictions and the last state.
template <class Model, class Method = StoredHistory>
struct ModelPass {
  using Window = typename Model::Window;

  const Model& model;
  Index windows;
  Index k;
  Index held = 0;              ///< tokens that the first state holds
  std::vector<int> mask = {};  ///< empty, or a number for each window

  template <class T>
  auto input() const {
    const Index first = Window::width - held;
    auto start = model.template initial_state<T>();
    if constexpr (requires { start.window.held; }) start.window.held = held;
    return bundle({"parameters", "tokens", "state"}, model.template parameters<T>(),
                  Array<T, Model::features>(model.feature_count(), first + Window::stride * (windows - 1)),
                  std::move(start));
  }

  template <class T>
  auto output(const auto& in) const {
    const auto& [p, tokens, first_state] = in.parts;
    const Array<T> mask_row = masks<T>();
    auto state = first_state;
    auto ws = model.template workspace<T>();
    Array<T, Model::outputs> predictions(model.output_count(), k);
    model.forward(model.prepare(p), {tokens.view(), mask_row.size() > 0 ? mask_row.view() : View<const T>::absent()},
                  state, predictions.view(), ws);
    forget(state);
    return bundle({"predictions", "state"}, predictions, std::move(state));
  }

  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [p, tokens, first_state] = in.parts;
    const auto& g = std::get<0>(out_bar.parts);
    auto in_bar = input<T>();
    auto& [p_bar, tokens_bar, state_bar] = in_bar.parts;
    const Array<T> mask_row = masks<T>();
    auto state = first_state;
    state_bar = std::get<1>(out_bar.parts);
    forget(state_bar);
    const auto c = model.prepare(p);
    auto c_bar = model.template coefficients<T>();
    auto ws = model.template gradient_workspace<T, Method>(windows, k);
    model.vjp(
        c, {tokens.view(), mask_row.size() > 0 ? mask_row.view() : View<const T>::absent()}, state, k,
        [&g](Index j, View<const T, Model::outputs, 1>, View<T, Model::outputs, 1> y_bar) {
          for (Index i = 0; i < y_bar.size(); ++i) y_bar[i] = g(i, j);
        },
        c_bar, state_bar, tokens_bar.view(), ws);
    model.prepare_vjp(p, c, c_bar, p_bar);
    return in_bar;
  }

 private:
  template <class T>
  Array<T> masks() const {
    Array<T> row(1, static_cast<Index>(mask.size()));
    for (std::size_t t = 0; t < mask.size(); ++t) row[static_cast<Index>(t)] = mask[t] != 0 ? T(1) : T(0);
    return row;
  }
};

/// The gradient that training computes, in any scalar type and by any method, for parameters in double.
template <class Parameters>
using TrainingGradient = std::function<void(const Parameters&, Parameters&)>;

template <class S, class Method, class Model>
auto training_gradient(const Model& model, const std::vector<Context<double>>& contexts, Index windows, Index losses) {
  using P = LaneScalar<S>;
  using Parameters = typename Model::template Parameters<double>;
  std::vector<Context<P>> converted;
  for (const auto& [tokens, targets] : contexts)
    converted.push_back({tokens.template cast<P>(), targets.rightCols(losses).template cast<P>()});
  const Batch<S> batch(model.window(), converted);
  auto gradient = std::make_shared<BatchGradient<Model, S, VectorTargets, Method>>(model, windows, losses);
  auto own = model.template parameters<P>(), pulled = own;
  const auto convert = [](const Name&, const auto& from, auto& to) {
    using To = typename std::remove_cvref_t<decltype(to)>::Scalar;
    for (Index i = 0; i < to.size(); ++i) to.data()[i] = static_cast<To>(from.data()[i]);
  };
  return TrainingGradient<Parameters>([=](const Parameters& parameters, Parameters& found) mutable {
    visit(convert, parameters, own);
    (*gradient)(own, batch, pulled);
    visit(convert, pulled, found);
  });
}

/// Compares two ways of computing gradients. Weights change from call to call.
template <class Parameters>
VjpReport compare_gradients(const TrainingGradient<Parameters>& gradient, const TrainingGradient<Parameters>& reference,
                            Parameters parameters, double tolerance, RandomStream<>& stream) {
  Parameters found = parameters, expected = parameters;
  const std::vector<Place> where = places(parameters);
  VjpReport report;
  for (const char* const when : {"at first", "after the weights have changed", "after they have changed twice"}) {
    fill_uniform(parameters, 1, stream);
    gradient(parameters, found);
    reference(parameters, expected);
    const std::vector<double> a = entries<double>(found), b = entries<double>(expected);
    DerivativeComparison<double> comparison(std::string("the gradient of training ") + when);
    for (std::size_t i = 0; i < a.size(); ++i) {
      double scale = 0;
      for (auto k = where[i].begin; k < where[i].end; ++k)
        scale = (std::max)(scale, std::abs(b[static_cast<std::size_t>(k)]));
      comparison.compare(where[i].name, a[i], b[i], tolerance * scale);
    }
    report.add(comparison.report());
  }
  return report;
}

}  // namespace detail

/// Checks the gradients of a model on every path that training takes.
///     `vjp`           by weights, tokens and state, as `check_vjp`: with a loss at the last window and at all windows,
///                     from a state that holds tokens, and with masks
///     `BatchGradient` by stored history in plain numbers, and against it every other way: in lanes, by sensitivity, in
///                     runs of windows if the slots allow, for contexts of one and of several lengths. Weights change
///                     from call to call.
///     if (const auto report = check_gradient(layer); !report) std::cerr << report.message << "\n";
template <class Model>
VjpReport check_gradient(const Model& model, std::uint64_t seed = 1) {
  constexpr Index windows = 4;
  VjpReport report;
  const auto check_pass = [&]<class Method>(Method, Index k, Index held, const std::vector<int>& mask) {
    report.add(check_vjp(detail::ModelPass<Model, Method>{model, windows, k, held, mask}, seed),
               "vjp of the last " + std::to_string(k) + " of 4 windows");
  };
  const auto check_passes = [&](auto method) {
    check_pass(method, 1, 0, {});
    check_pass(method, windows, Model::Window::width - 1, {1, 0, 1, 1});
  };
  check_passes(StoredHistory());
  if constexpr (Model::sensitive) check_passes(ForwardSensitivity());

  RandomStream<> stream(seed, 2);
  using Lane = Lanes<float>;
  const Index f = model.feature_count(), m = model.output_count();
  for (const bool ragged : {false, true}) {
    std::vector<Context<double>> contexts;
    for (Index b = 0; b < 2 * lane_count<Lane> + 1; ++b) {
      const Index n = ragged ? windows - b % 2 : windows;
      Context<double> context{Eigen::MatrixXd(f, Model::Window::width + Model::Window::stride * (n - 1)),
                              Eigen::MatrixXd(m, n)};
      for (auto* const matrix : {&context.tokens, &context.targets})
        for (Index i = 0; i < matrix->size(); ++i) matrix->data()[i] = stream.uniform() - 0.5;
      contexts.push_back(std::move(context));
    }
    for (const Index losses : {Index(1), windows - 1}) {
      const auto start = model.template parameters<double>();
      const std::string where = std::string(ragged ? "contexts of two lengths, " : "contexts of one length, ") +
                                std::to_string(losses) + " losses";
      const auto reference = detail::training_gradient<double, StoredHistory>(model, contexts, windows, losses);
      const auto compare = [&](const auto& gradient, double tolerance, const char* what) {
        report.add(detail::compare_gradients<typename Model::template Parameters<double>>(gradient, reference, start,
                                                                                          tolerance, stream),
                   where + ", " + what);
      };
      compare(detail::training_gradient<Lane, StoredHistory>(model, contexts, windows, losses), 1e-4,
              "lanes of float, stored history");
      if constexpr (Model::sensitive) {
        compare(detail::training_gradient<double, ForwardSensitivity>(model, contexts, windows, losses), 1e-11,
                "double, forward sensitivity");
        compare(detail::training_gradient<Lane, ForwardSensitivity>(model, contexts, windows, losses), 1e-4,
                "lanes of float, forward sensitivity");
      }
    }
  }
  return report;
}

}  // namespace gdssm
