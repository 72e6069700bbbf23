// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "models/pass.hpp"
#include "models/runs.hpp"
#include "support/catch.hpp"
#include "support/no_heap.hpp"
#include "support/vjp.hpp"

// What every model that reads a token at a time has to show, layers of other papers and stacks of them.
namespace gdssm::test {

/// The output of a layer for a sequence, of which the last column is a query if it `asks`.
template <class Layer, class Coefficients>
Eigen::MatrixXd applied(const Layer& layer, const Coefficients& c, const Eigen::MatrixXd& X, bool asks = false) {
  Array<double> x(X.rows(), X.cols()), mask(1, X.cols());
  x.matrix() = X;
  mask.fill(1);
  if (asks) mask[X.cols() - 1] = 0;
  auto state = layer.template initial_state<double>();
  return run<double>(layer, c, {std::as_const(x).view(), std::as_const(mask).view()}, state, X.cols()).matrix();
}

/// A random state in the middle of a stream, with no token of a window.
template <class S, class Model>
auto anywhere(const Model& model, Random& random) {
  auto state = model.template initial_state<S>();
  random.fill(state);
  return state;
}

/// `step` is `forward` bit for bit, and neither allocates; a sequence cut anywhere is the whole, bit for bit, and so is
/// the cotangent of its first state; a masked window leaves the state as it was.
template <class S, class Model>
void expect_stream(const Model& model) {
  Random random(7);
  const Index windows = 4, stride = Model::Window::stride;
  const auto c = random_coefficients<LaneScalar<S>>(model, random);
  const auto tokens = random_tokens<S>(model, windows, random);
  const auto first = anywhere<S>(model, random);
  auto last = first;
  const auto whole = run<S>(model, c, {tokens.view()}, last, windows);

  auto state = first;
  auto ws = model.template workspace<S>();
  Array<S> prediction(model.output_count(), 1);
  Index t = 0;
  bool same = true;
  const std::size_t allocated = allocations_of([&] {
    for (Index i = 0; i < tokens.cols(); ++i)
      if (model.step(c, tokens.view().column(i), state, prediction.view().column(0), ws)) {
        for (Index o = 0; o < prediction.size(); ++o) same = same && prediction[o] == whole(o, t);
        ++t;
      }
  });
  CHECK(same);
  CHECK(t == windows);
  CHECK(state == last);
  CHECK(allocated == 0);

  const auto g = random_array(Array<S>(model.output_count(), windows), random);
  const auto last_bar = anywhere<S>(model, random);
  const auto whole_bar = pull_back<StoredHistory>(model, c, {tokens.view()}, first, g, last_bar);
  for (Index cut = 1; cut < windows; ++cut) {
    CAPTURE(cut);
    const Index length = Model::Window::width + stride * (cut - 1);
    const Sequence<S> head{tokens.view().columns(0, length)};
    const Sequence<S> tail{tokens.view().columns(length, tokens.cols() - length)};
    auto between = first;
    const auto front = run<S>(model, c, head, between, cut);
    state = between;
    const auto back = run<S>(model, c, tail, state, windows - cut);
    CHECK(std::equal(front.data(), front.data() + front.size(), whole.data()));
    CHECK(std::equal(back.data(), back.data() + back.size(), whole.data() + front.size()));
    CHECK(state == last);

    Array<S> front_g(g.rows(), cut), back_g(g.rows(), windows - cut);
    std::copy_n(g.data(), front_g.size(), front_g.data());
    std::copy_n(g.data() + front_g.size(), back_g.size(), back_g.data());
    auto back_bar = pull_back<StoredHistory>(model, c, tail, between, back_g, last_bar);
    const auto front_bar = pull_back<StoredHistory>(model, c, head, first, front_g, back_bar.state);
    visit(
        [](const Name&, auto& sum, const auto& more) {
          for (Index i = 0; i < sum.size(); ++i) sum.data()[i] += more.data()[i];
        },
        back_bar.coefficients, front_bar.coefficients);
    CHECK(roundings(whole_bar.coefficients, back_bar.coefficients) < 100);
    CHECK(roundings(whole_bar.state, front_bar.state) < 100);
  }

  Array<S> mask(1, windows);
  mask.fill(S(1));
  mask[windows - 1] = S(0);
  state = first;
  run<S>(model, c, {tokens.view().columns(0, tokens.cols() - stride)}, state, 0);
  auto masked = first;
  run<S>(model, c, {tokens.view(), mask.view()}, masked, 1);
  if constexpr (requires { state.window; }) state.window = masked.window;
  CHECK(state == masked);
}

/// All of this in plain numbers and in lanes, and the derivative by weights, tokens and state, with masks and without.
template <class Model>
void expect_model(const Model& model) {
  expect_stream<double>(model);
  expect_stream<Lanes<float>>(model);
  expect_vjp(Pass<Model>{model, 3, 2});
  expect_vjp(Pass<Model>{model, 3, 3, 0, {1, 0, 1}});
}

}  // namespace gdssm::test
