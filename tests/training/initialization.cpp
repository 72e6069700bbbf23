// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/initialization.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"

#include "gdssm/blocks/common_decay.hpp"
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/blocks/diagonal_readout.hpp"
#include "gdssm/blocks/gated_local_attention.hpp"
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/blocks/preconditioned_gate.hpp"
#include "gdssm/blocks/projected_attention.hpp"
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/blocks/softmax_local_attention.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/models/horner_stack.hpp"
#include "gdssm/models/nonlinear_ssm.hpp"

namespace gdssm {
namespace {

/// The entries of the weight with this name, for several seeds.
template <class Model>
std::vector<double> drawn(const Model& model, const std::string& name, std::uint64_t seeds = 300) {
  std::vector<double> entries;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto p = reference_initialization<double>(model, seed);
    visit(
        [&](const Name& at, const auto& matrix) {
          if (at.str() != name) return;
          for (Index i = 0; i < matrix.size(); ++i) entries.push_back(matrix.data()[i]);
        },
        p);
  }
  return entries;
}

/// Mean 0 and this deviation, within four standard errors of a normal law.
void expect_normal(const std::vector<double>& entries, double deviation) {
  REQUIRE(entries.size() >= 300);
  double sum = 0, squares = 0;
  for (const double x : entries) {
    sum += x;
    squares += x * x;
  }
  const auto n = static_cast<double>(entries.size());
  CHECK(std::abs(sum / n) < 4 * deviation / std::sqrt(n));
  CHECK(std::abs(squares / n / (deviation * deviation) - 1) < 4 * std::sqrt(2 / n));
}

void expect_constant(const std::vector<double>& entries, double value) {
  REQUIRE(!entries.empty());
  for (const double x : entries) CHECK(x == value);
}

/// Logarithms uniform from log 0.001 to log 0.1.
void expect_log_steps(const std::vector<double>& entries) {
  REQUIRE(entries.size() >= 300);
  const double low = std::log(0.001), width = std::log(100.0), rounding = 1e-13;
  double sum = 0, squares = 0;
  for (const double x : entries) {
    const double u = (x - low) / width;
    REQUIRE((u > -rounding && u < 1 + rounding));
    sum += u - 0.5;
    squares += (u - 0.5) * (u - 0.5);
  }
  const auto n = static_cast<double>(entries.size());
  CHECK(std::abs(sum / n) < 4 * std::sqrt(1. / 12 / n));
  CHECK(std::abs(squares / n - 1. / 12) < 4 * std::sqrt(1. / 180 / n));
}

TEST_CASE("A layer's random weights have the laws of the reference", "[definition]") {
  const PaperLayer<> layer(4);
  expect_normal(drawn(layer, "attention.A"), 0.1);
  expect_constant(drawn(layer, "recurrence.Lambda"), -0.5);
  expect_log_steps(drawn(layer, "recurrence.log_step"));
  expect_normal(drawn(layer, "readout.C"), 0.5);
  expect_normal(drawn(layer, "gate.d"), 1);
}

TEST_CASE("A decay that is given begins where a step of the reference would put it, one for a column", "[definition]") {
  const PaperLayer<Dynamic, GivenDecay> layer(4);
  std::vector<double> log_steps;
  for (const double decay : drawn(layer, "recurrence.Lambda")) log_steps.push_back(std::log(-2 * std::log(decay)));
  REQUIRE(log_steps.size() == 300 * 16);
  std::vector<double> of_columns;
  for (std::size_t k = 0; k < log_steps.size(); k += 4) {
    for (std::size_t i = 1; i < 4; ++i) REQUIRE(log_steps[k + i] == log_steps[k]);
    of_columns.push_back(log_steps[k]);
  }
  CHECK(of_columns[0] != of_columns[1]);
  expect_log_steps(of_columns);
}

TEST_CASE("Decays that depend on the token begin at the reference's steps for every token", "[definition]") {
  using Layer = AugmentedSsm<LocalAttention<2>, SelectiveRecurrence<2>, Readout<2>, OutputGate<2>>;
  expect_constant(drawn(Layer(), "recurrence.Lambda"), -0.5);
  std::vector<double> log_steps;
  for (const double bias : drawn(Layer(), "recurrence.step_bias"))
    log_steps.push_back(std::log(std::log1p(std::exp(bias))));
  expect_log_steps(log_steps);
}

TEST_CASE("Preconditioners begin at the identity, and maps of single tokens with variance 1 / columns",
          "[definition]") {
  const AugmentedSsm<LocalAttention<>, DiagonalRecurrence<>, Readout<>, PreconditionedGate<>> preconditioned(3);
  CHECK(reference_initialization<double>(preconditioned, 1).gate.P == Eigen::MatrixXd::Identity(3, 3));
  expect_normal(drawn(preconditioned, "gate.d"), 1);

  using Layer = AugmentedSsm<TokenProjection<3, 4>, DiagonalRecurrence<3, 1>, Readout<1>, ProjectionGate<3, 4>>;
  expect_normal(drawn(Layer(), "attention.B"), 0.5);
  expect_normal(drawn(Layer(), "gate.D"), 0.5);
}

template <class Attention, class Recurrence, class Readout, class Gate>
AugmentedSsm<Attention, Recurrence, Readout, Gate> composed(Attention a, Recurrence r, Readout c, Gate g) {
  return {a, r, c, g};
}

TEST_CASE("The controls have the laws of what they stand for", "[definition]") {
  const auto linear = composed(LinearInput<>(3), CommonDecay<>(3), DiagonalReadout<>(3), ConstantGate<>(3));
  expect_normal(drawn(linear, "attention.B"), 0.1);
  expect_constant(drawn(linear, "recurrence.Lambda"), -0.5);
  expect_log_steps(drawn(linear, "recurrence.log_step"));
  expect_normal(drawn(linear, "readout.c"), 1 / std::sqrt(3.));
  expect_normal(drawn(linear, "gate.d"), 1);

  const auto softmax = composed(SoftmaxLocalAttention<>(3), UnitDecay<>(3), TiedReadout<>(3), OutputGate<>(3));
  expect_normal(drawn(softmax, "attention.B"), 1);
  expect_constant(drawn(softmax, "attention.k"), 1);
  expect_normal(drawn(softmax, "attention.v"), 0.1);
  expect_normal(drawn(softmax, "readout.c"), 1 / std::sqrt(3.));

  const auto gated = composed(GatedLocalAttention<>(3), UnitDecay<>(3), Readout<>(3), OutputGate<>(3));
  expect_normal(drawn(gated, "attention.A"), 0.1);
  expect_normal(drawn(gated, "attention.d"), 1);

  const auto projected = composed(ProjectedAttention<>(3, 2), DiagonalRecurrence<>(2, 3), Readout<>(3),
                                  PreconditionedGate<Dynamic, 3, Dynamic>(3, 2));
  expect_normal(drawn(projected, "attention.A"), 0.1);
  const auto p = reference_initialization<double>(projected, 1);
  CHECK(p.attention.U == Eigen::MatrixXd::Identity(p.attention.U.rows(), p.attention.U.cols()));
}

TEST_CASE("Dense layers around a layer have kernels of variance 1 / inputs and biases of zero", "[definition]") {
  const NonlinearSsm<PaperLayer<>> model(PaperLayer<>(4));
  expect_normal(drawn(model, "embedding.kernel"), 1);
  expect_normal(drawn(model, "unit.kernel"), 0.5);
  expect_normal(drawn(model, "output.kernel"), 0.5);
  for (const char* bias : {"embedding.bias", "unit.bias", "output.bias"}) expect_constant(drawn(model, bias, 1), 0);
  const auto p = reference_initialization<double>(model, 5);
  CHECK(identical(p.layer, reference_initialization<double>(model.layer(), 5)));
}

TEST_CASE("Layers of a stack, and dense layers around one, have streams of their own", "[definition]") {
  const PaperLayer<> layer(4);
  const HornerStack<PaperLayer<>> stack(layer, 3);
  const auto p = reference_initialization<double>(stack, 5);
  for (std::size_t l = 0; l < 5; ++l) {
    auto alone = layer.parameters<double>();
    layer.draw(alone, 5, l);
    CHECK(identical(p.layers[l], alone));
  }
  CHECK(!identical(p.layers[0], p.layers[1]));
  CHECK(identical(p.layers[0], reference_initialization<double>(layer, 5)));
}

}  // namespace
}  // namespace gdssm
