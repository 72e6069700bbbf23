// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/two_step_stack.hpp"

#include <limits>

#include "models/runs.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::Random;
using test::random_tokens;

/// Tokens of so many windows that are the same for every scalar, dual numbers included.
template <class T, class Stack>
Array<T, Stack::features> constant_tokens(const Stack& stack, Index windows) {
  Random random(81);
  const auto numbers = random_tokens<double>(stack.without_residual(), windows, random);
  Array<T, Stack::features> tokens(numbers.rows(), numbers.cols());
  for (Index i = 0; i < tokens.size(); ++i) {
    if constexpr (requires { T().derivative; })
      tokens[i] = T(static_cast<decltype(T().value)>(numbers[i]));
    else
      tokens[i] = static_cast<T>(numbers[i]);
  }
  return tokens;
}

/// Parameters -> the last row, on given tokens.
template <class Layer, class Method>
struct LastRow {
  using Stack = TwoStepStack<Layer>;

  Stack stack;
  Index windows;

  template <class T>
  auto input() const {
    return bundle({"parameters"}, stack.template parameters<T>());
  }

  template <class T>
  auto output(const auto& in) const {
    const auto& [p] = in.parts;
    const auto tokens = constant_tokens<T>(stack, windows);
    auto ws = stack.template workspace<T>();
    Array<T, Stack::outputs> rows(stack.output_count(), tokens.cols());
    stack.forward(stack.prepare(p), Sequence<T, Stack::features>{tokens.view()}, stack.template initial_state<T>(),
                  rows.view(), ws);
    Array<T, Stack::outputs, 1> last(rows.rows(), 1);
    for (Index i = 0; i < last.size(); ++i) last[i] = rows(i, rows.cols() - 1);
    return bundle({"last row"}, last);
  }

  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [p] = in.parts;
    const auto& [last_bar] = out_bar.parts;
    auto in_bar = input<T>();
    auto& [p_bar] = in_bar.parts;
    const auto expected = output<T>(in);
    const auto& [last] = expected.parts;

    const auto tokens = constant_tokens<T>(stack, windows);
    const auto c = stack.prepare(p);
    auto c_bar = stack.template coefficients<T>();
    auto state = stack.template initial_state<T>();
    auto ws = stack.template gradient_workspace<T, Method>(windows, 1);
    const auto &g = last_bar, &y = last;
    stack.vjp(
        c, Sequence<T, Stack::features>{tokens.view()}, state, 1,
        [&](Index, View<const T, Stack::outputs, 1> prediction, View<T, Stack::outputs, 1> prediction_bar) {
          for (Index i = 0; i < g.size(); ++i) {
            CHECK(std::abs(prediction[i] - y[i]) <= 16 * std::numeric_limits<T>::epsilon());
            prediction_bar[i] = g[i];
          }
        },
        c_bar, ws);
    stack.prepare_vjp(p, c, c_bar, p_bar);
    return in_bar;
  }
};

TEST_CASE("the two-step stack pulls its last row back to the parameters", "[vjp]") {
  for (const Index windows : {1, 4}) {
    CAPTURE(windows);
    test::expect_vjp(LastRow<PaperLayer<>, StoredHistory>{TwoStepStack<>(PaperLayer<>(3)), windows});
    test::expect_vjp(LastRow<PaperLayer<>, ForwardSensitivity>{TwoStepStack<>(PaperLayer<>(3)), windows});
    test::expect_vjp(LastRow<PaperLayer<2>, StoredHistory>{TwoStepStack<PaperLayer<2>>(PaperLayer<2>()), windows});
  }
}

TEST_CASE("the two-step stack's last row is the Horner stack's prediction less the query", "[state]") {
  Random random(82);
  const TwoStepStack<> stack(PaperLayer<>(4));
  auto p = stack.parameters<double>();
  random.fill(p);
  const Eigen::MatrixXd tokens = random_tokens<double>(stack.without_residual(), 5, random).matrix();
  const Eigen::MatrixXd rows = stack.predict(p, tokens);
  const Eigen::VectorXd expected = stack.without_residual().predict(p, tokens).rightCols(1) - tokens.rightCols(1);
  CHECK((rows.rightCols(1) - expected).norm() <= 1e-14);
  CHECK(rows.leftCols(6) == -tokens.leftCols(6));

  // Asked for one row, the stack gives the last.
  const auto c = stack.without_residual().prepare(p);
  auto ws = stack.workspace<double>();
  Eigen::MatrixXd last(4, 1);
  stack.forward<double, double>(c, {view_of(tokens)}, stack.initial_state<double>(), view_of(last), ws);
  CHECK((last - expected).norm() <= 1e-14);
}

TEST_CASE("rows of the two-step stack before the last see the future, those of the Horner stack don't", "[state]") {
  Random random(83);
  const TwoStepStack<> stack(PaperLayer<>(3));
  auto p = stack.parameters<double>();
  random.fill(p);
  Eigen::MatrixXd tokens = random_tokens<double>(stack.without_residual(), 4, random).matrix();
  const Eigen::MatrixXd rows = stack.predict(p, tokens), causal = stack.without_residual().predict(p, tokens);
  tokens.col(7).setConstant(2);
  const Eigen::MatrixXd moved = stack.predict(p, tokens), same = stack.without_residual().predict(p, tokens);
  CHECK(moved.leftCols(5) == rows.leftCols(5));
  for (Index t = 1; t <= 3; ++t) CHECK((moved.col(4 + t) - rows.col(4 + t)).norm() > 1e-6);
  CHECK(same.leftCols(3) == causal.leftCols(3));
}

TEST_CASE("the two-step stack refuses losses elsewhere, sizes that don't fit, and tokens that don't end with a query",
          "[misuse]") {
  const TwoStepStack<> stack(PaperLayer<>(3));
  const auto p = stack.parameters<double>();
  CHECK_THROWS_WITH(stack.predict(p, Eigen::MatrixXd::Zero(3, 4)),
                    "tokens: the sequence has 4 tokens, expected 3 + 2 k, so that it ends with a window");
  CHECK_THROWS_AS(stack.predict(p, Eigen::MatrixXd::Zero(4, 5)), std::invalid_argument);
  CHECK_THROWS_AS(stack.predict(p, Eigen::MatrixXd::Constant(3, 5, std::numeric_limits<double>::infinity())),
                  std::invalid_argument);
  auto one_missing = p;
  one_missing.layers.pop_back();
  CHECK_THROWS_WITH(stack.predict(one_missing, Eigen::MatrixXd::Zero(3, 5)),
                    "visit: the number of layers is 2, expected 3");

  const auto c = stack.prepare(p);
  const Array<double> tokens(3, 5);
  const Sequence<double> sequence{tokens.view()};
  auto state = stack.initial_state<double>();
  auto ws = stack.workspace<double>();
  Array<double> rows(3, 2);
  CHECK_THROWS_WITH(stack.forward(c, sequence, state, rows.view(), ws),
                    "TwoStepStack::forward: the number of columns of the predictions is 2, expected 5");
  Array<double> high(4, 5);
  CHECK_THROWS_WITH(stack.forward(c, sequence, state, high.view(), ws),
                    "TwoStepStack::forward: the number of rows of the predictions is 4, expected 3");
  auto c_bar = c;
  auto gradient_ws = stack.gradient_workspace<double>(2, 2);
  const auto zero = [](Index, View<const double, Dynamic, 1>, View<double, Dynamic, 1> g) { g.fill(0); };
  CHECK_THROWS_WITH(stack.vjp(c, sequence, state, 2, zero, c_bar, gradient_ws),
                    "TwoStepStack::vjp: the number of rows with a loss is 2, expected 1");
  CHECK_THROWS_WITH(stack.vjp(c, sequence, state, 0, zero, c_bar, gradient_ws),
                    "TwoStepStack::vjp: the number of rows with a loss is 0, expected 1");
}

}  // namespace
}  // namespace gdssm
