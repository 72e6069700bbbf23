// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/dense.hpp"

#include <cmath>
#include <numbers>

#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/concepts.hpp"
#include "gdssm/blocks/gated_unit.hpp"

namespace gdssm {
namespace {

using gdssm::bundle;
using test::expect_vjp;

static_assert(Block<Dense<2, 3>> && Block<Dense<>>);
static_assert(Block<GatedUnit<4>> && Block<GatedUnit<>>);

/// Coefficients and an input -> the output. The pull-back adds to its result, so it is half of the result of two calls.
template <class Block>
struct DenseStep {
  Block dense;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "x"}, dense.template coefficients<T>(),
                  Array<T, Block::inputs, 1>(dense.input_count(), 1));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, x] = in.parts;
    Array<T, Block::outputs, 1> y(dense.output_count(), 1);
    dense.step(c, x.view(), y.view());
    return bundle({"y"}, y);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, x] = in.parts;
    const auto& y_bar = std::get<0>(out_bar.parts);
    auto in_bar = input<T>();
    auto& [c_bar, x_bar] = in_bar.parts;
    for (int pass = 0; pass < 2; ++pass) dense.step_vjp(c, x.view(), y_bar.view(), c_bar, x_bar.view());
    visit(
        [](const Name&, auto& twice) {
          for (Index i = 0; i < twice.size(); ++i) twice.data()[i] *= T(1) / T(2);
        },
        in_bar);
    return in_bar;
  }
};

/// The same for a gated unit, which overwrites its input's cotangent.
template <class Block>
struct UnitStep {
  Block unit;

  template <class T>
  auto input() const {
    return bundle({"coefficients", "h"}, unit.template coefficients<T>(), Array<T, Block::size, 1>(unit.length(), 1));
  }
  template <class T>
  auto output(const auto& in) const {
    const auto& [c, h] = in.parts;
    auto ws = unit.template workspace<T>();
    auto n = h;
    unit.step(c, h.view(), n.view(), ws);
    return bundle({"n"}, n);
  }
  template <class T>
  auto pull_back(const auto& in, const auto& out_bar) const {
    const auto& [c, h] = in.parts;
    auto in_bar = input<T>();
    auto& [c_bar, h_bar] = in_bar.parts;
    auto ws = unit.template workspace<T>();
    auto n = h;
    unit.step(c, h.view(), n.view(), ws);
    h_bar.fill(T(7));
    unit.step_vjp(c, h.view(), std::get<0>(out_bar.parts).view(), c_bar, h_bar.view(), ws);
    return in_bar;
  }
};

TEST_CASE("a dense layer pulls back to its kernel, its bias and its input", "[vjp]") {
  expect_vjp(Dense<2, 3>());
  expect_vjp(Dense<>(3, 1));
  expect_vjp(DenseStep<Dense<1, 1>>{});
  expect_vjp(DenseStep<Dense<1, 4>>{});
  expect_vjp(DenseStep<Dense<3, 2>>{});
  expect_vjp(DenseStep<Dense<>>{Dense<>(4, 3)});
}

TEST_CASE("a gated unit pulls back to its kernel, its bias and its input", "[vjp]") {
  expect_vjp(UnitStep<GatedUnit<1>>{});
  expect_vjp(UnitStep<GatedUnit<3>>{});
  expect_vjp(UnitStep<GatedUnit<>>{GatedUnit<>(4)});
}

TEST_CASE("a dense layer is K^T x + b, and a gated unit h times the logistic function of one of gelu(h)",
          "[definition]") {
  test::Random random(1);
  const Dense<> dense(3, 2);
  auto p = dense.parameters<double>();
  random.fill(p);
  auto c = dense.coefficients<double>();
  dense.prepare(p, c);
  Array<double, Dynamic, 1> x(3, 1), y(2, 1);
  random.fill(x);
  dense.step(c, View<const double, Dynamic, 1>(x.view()), y.view());
  CHECK((y.matrix() - p.kernel.transpose() * x.matrix() - p.bias).norm() < 1e-15);

  const GatedUnit<> unit(3);
  auto q = unit.parameters<double>();
  random.fill(q);
  auto d = unit.coefficients<double>();
  unit.prepare(q, d);
  auto ws = unit.workspace<double>();
  Array<double, Dynamic, 1> n(3, 1);
  unit.step(d, View<const double, Dynamic, 1>(x.view()), n.view(), ws);
  const Eigen::Vector3d h = x.matrix();
  Eigen::Vector3d activated;
  for (Index i = 0; i < 3; ++i)
    activated[i] = h[i] / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (h[i] + 0.044715 * h[i] * h[i] * h[i])));
  const Eigen::Vector3d opening = q.kernel.transpose() * activated + q.bias;
  const Eigen::Vector3d expected = h.array() / (1 + (-opening.array()).exp());
  CHECK((n.matrix() - expected).norm() < 1e-14);
}

TEST_CASE("a dense layer and a gated unit refuse sizes below one and sizes other than the type's", "[misuse]") {
  CHECK_THROWS_WITH(Dense<>(0, 2), "Dense: the number of inputs is 0, expected at least 1");
  CHECK_THROWS_WITH(Dense<>(2, 0), "Dense: the number of outputs is 0, expected at least 1");
  CHECK_THROWS_WITH((Dense<1, 4>(2, 4)), "Dense: the number of inputs is 2, expected 1");
  CHECK_THROWS_WITH(GatedUnit<>(0), "Dense: the number of inputs is 0, expected at least 1");
}

}  // namespace
}  // namespace gdssm
