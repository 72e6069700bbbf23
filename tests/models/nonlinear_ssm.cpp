// SPDX-License-Identifier: Apache-2.0
#include "gdssm/models/nonlinear_ssm.hpp"

#include "models/pass.hpp"
#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Pass;
using test::Random;

template <Index Features>
using Model = NonlinearSsm<PaperLayer<Features>>;

TEST_CASE("the nonlinear model pulls back to parameters, tokens and first state", "[vjp]") {
  for (const Index k : {0, 1, 3}) {
    CAPTURE(k);
    expect_vjp(Pass<Model<2>>{{}, 3, k});
    expect_vjp(Pass<Model<2>, ForwardSensitivity>{{}, 3, k});
    expect_vjp(Pass<Model<Dynamic>>{Model<Dynamic>(PaperLayer<>(3)), 3, k});
  }
  expect_vjp(Pass<Model<1>>{{}, 1, 1});
  expect_vjp(Pass<Model<2>>{{}, 3, 2, 1});
  expect_vjp(Pass<Model<2>>{{}, 3, 2, 0, {1, 0, 1}});
}

/// The model with random weights on a random sequence.
struct Example {
  Model<Dynamic> model{PaperLayer<>(4)};
  Model<Dynamic>::Parameters<double> parameters = model.parameters<double>();
  Eigen::MatrixXd tokens{1, 11};

  explicit Example(std::uint64_t seed) {
    Random random(seed);
    random.fill(parameters);
    random.fill(tokens);
  }
};

TEST_CASE("the nonlinear model is its layer on embedded tokens, and what (19) and (20) make of its answers",
          "[definition]") {
  const Example e(1);
  const auto& p = e.parameters;
  const Eigen::MatrixXd embedded = (p.embedding.kernel.transpose() * e.tokens).colwise() + p.embedding.bias;
  const Eigen::MatrixXd h = -e.model.layer().predict(p.layer, embedded);
  const Eigen::ArrayXXd gelu = h.unaryExpr([](double x) { return gdssm::gelu(x); });
  const Eigen::MatrixXd opening = (p.unit.kernel.transpose() * gelu.matrix()).colwise() + p.unit.bias;
  const Eigen::MatrixXd n = h.array() / (1 + (-opening.array()).exp());
  const Eigen::MatrixXd expected = -((p.output.kernel.transpose() * n).array() + p.output.bias[0]);
  const Eigen::MatrixXd predictions = e.model.predict(p, e.tokens);
  REQUIRE(predictions.cols() == 5);
  CHECK((predictions - expected).norm() <= 1e-14);
}

TEST_CASE("the nonlinear model gives the same bits a token at a time, in two parts and at once", "[state]") {
  const Example e(2);
  const auto c = e.model.prepare(e.parameters);
  const Eigen::MatrixXd whole = e.model.predict(e.parameters, e.tokens);
  auto ws = e.model.workspace<double>();

  auto state = e.model.initial_state<double>();
  Index t = 0;
  for (Index i = 0; i < e.tokens.cols(); ++i) {
    double prediction = 0;
    if (e.model.step(c, View<const double, 1, 1>(view_of(e.tokens).column(i)), state,
                     View<double, 1, 1>(&prediction, 1, 1), ws))
      CHECK(prediction == whole(0, t++));
  }
  CHECK(t == whole.cols());

  auto split = e.model.initial_state<double>();
  Eigen::MatrixXd first(1, 2), second(1, 3);
  e.model.forward(c, Sequence<double, 1>{view_of(e.tokens).columns(0, 5)}, split, View<double, 1>(view_of(first)), ws);
  e.model.forward(c, Sequence<double, 1>{view_of(e.tokens).columns(5, 6)}, split, View<double, 1>(view_of(second)), ws);
  CHECK(first == whole.leftCols(2));
  CHECK(second == whole.rightCols(3));
  CHECK(split == state);
}

TEST_CASE("the nonlinear model refuses tokens that are no numbers and sequences without an end", "[misuse]") {
  const Example e(3);
  CHECK_THROWS_WITH(e.model.predict(e.parameters, Eigen::MatrixXd::Zero(2, 11)),
                    "predict: the number of features of a token is 2, expected 1");
  CHECK_THROWS_WITH(e.model.predict(e.parameters, Eigen::MatrixXd::Zero(1, 10)),
                    "tokens: the sequence has 10 tokens, expected 3 + 2 k, so that it ends with a window");
  auto ws = e.model.gradient_workspace<double>(4, 1);
  auto state = e.model.initial_state<double>();
  auto c_bar = e.model.coefficients<double>();
  const auto zero = [](Index, View<const double, 1, 1>, View<double, 1, 1> g) { g.fill(0); };
  CHECK_THROWS_WITH(
      e.model.vjp(e.model.prepare(e.parameters), Sequence<double, 1>{view_of(e.tokens)}, state, 1, zero, c_bar, ws),
      "NonlinearSsm::vjp: the sequence has 11 tokens, the workspace room for 9");
}

}  // namespace
}  // namespace gdssm
