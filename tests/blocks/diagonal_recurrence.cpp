// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/diagonal_recurrence.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "support/vjp.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Random;

TEST_CASE("the diagonal recurrence pulls back to weights, factors and state, in every discretisation", "[vjp]") {
  expect_vjp(DiagonalRecurrence<3, 2, ZeroOrderHold>());
  expect_vjp(DiagonalRecurrence<3, 2, Bilinear>());
  expect_vjp(DiagonalRecurrence<3, 2, GivenDecay>());
  expect_vjp(DiagonalRecurrence<1, 1, Bilinear>());
  expect_vjp(DiagonalRecurrence<5>());
  expect_vjp(DiagonalRecurrence<>(2, 5));
}

TEST_CASE("decays of exactly one and exactly zero pull back", "[vjp]") {
  const DiagonalRecurrence<3, 2> recurrence;
  const gdssm::detail::RecurrenceFunction<DiagonalRecurrence<3, 2>> step{recurrence};
  for (const double decay : {1.0, 0.0}) {
    CAPTURE(decay);
    auto point = step.input<double>();
    Random(7).fill(point);
    std::get<0>(point.parts).decay.fill(decay);
    test::expect_vjp_at(step, point);
  }
}

TEST_CASE("the decay is exp(Lambda Delta), or Tustin's fraction, or as given", "[definition]") {
  Random random(3);
  const auto check = [&](auto recurrence, auto&& expected) {
    auto p = recurrence.template parameters<double>();
    random.fill(p);
    auto c = recurrence.template coefficients<double>();
    recurrence.prepare(p, c);
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 2; ++j) CHECK(std::abs(c.decay(j, i) - expected(p, i, j)) < 1e-15);
  };
  check(DiagonalRecurrence<3, 2, ZeroOrderHold>(),
        [](const auto& p, Index i, Index j) { return std::exp(p.Lambda(i, j) * std::exp(p.log_step[j])); });
  check(DiagonalRecurrence<3, 2, Bilinear>(), [](const auto& p, Index i, Index j) {
    const double z = p.Lambda(i, j) * std::exp(p.log_step[j]) / 2;
    return (1 + z) / (1 - z);
  });
  check(DiagonalRecurrence<3, 2, GivenDecay>(), [](const auto& p, Index i, Index j) { return p.Lambda(i, j); });
}

TEST_CASE("Lambda = 0 is a decay of exactly one, and Lambda Delta = -2 Tustin's exact zero", "[definition]") {
  const auto decay = [](auto recurrence, double Lambda) {
    auto p = recurrence.template parameters<double>();
    p.Lambda.setConstant(Lambda);
    p.log_step.setConstant(Lambda == 0 ? std::log(0.01) : 0);
    auto c = recurrence.template coefficients<double>();
    recurrence.prepare(p, c);
    return c.decay[0];
  };
  CHECK(decay(DiagonalRecurrence<1>(), 0) == 1);
  CHECK(decay(DiagonalRecurrence<1, 1, Bilinear>(), 0) == 1);
  CHECK(decay(DiagonalRecurrence<1, 1, Bilinear>(), -2) == 0);
}

/// Z_n by the definition, and its sensitivity to the decay, from dense matrices.
template <class Block>
void check_definition(const Block& recurrence, double decay) {
  Random random(4);
  const Index rows = recurrence.row_count(), cols = recurrence.col_count();
  auto c = recurrence.template coefficients<double>();
  random.fill(c);
  if (decay >= 0) c.decay.fill(decay);
  auto state = recurrence.template initial_state<double>();
  random.fill(state.memory);
  auto ws = recurrence.template workspace<double>();
  auto sensitivity = recurrence.template initial_state<double>().memory;

  const Eigen::ArrayXXd L = c.decay.matrix().transpose();
  Eigen::ArrayXXd Z = state.memory.matrix().transpose(), Y = Eigen::ArrayXXd::Zero(rows, cols);
  for (Index t = 1; t <= 4; ++t) {
    Array<double, Block::rows, 3> left(rows, 3);
    Array<double, Block::cols, 3> right(cols, 3);
    random.fill(left);
    random.fill(right);
    const Factors<const double, Block::rows, Block::cols, 3> G{left.view(), right.view()};
    recurrence.sensitivity_step(c, state, static_cast<const double*>(nullptr), sensitivity.view(), ws);
    recurrence.step(c, G, static_cast<const double*>(nullptr), state, ws);
    Y = L * Y + Z;
    Z = L * Z + (left.matrix() * right.matrix().transpose()).array();
    CHECK((state.memory.matrix().transpose().array() - Z).matrix().norm() < 1e-14);
    CHECK((sensitivity.matrix().transpose().array() - Y).matrix().norm() < 1e-14);
    CHECK(state.windows[0] == t);
  }
}

TEST_CASE("a step is Z = L * Z + G and its sensitivity Y = L * Y + Z, whatever the decay", "[definition]") {
  for (const double decay : {-1.0, 1.0, 0.0}) {
    CAPTURE(decay);
    check_definition(DiagonalRecurrence<3, 2>(), decay);
    check_definition(DiagonalRecurrence<>(4), decay);
  }
}

TEST_CASE("masks choose lane by lane", "[lanes]") {
  using S = Lanes<float>;
  Random random(5);
  const DiagonalRecurrence<3, 2> recurrence;
  auto c = recurrence.coefficients<float>();
  auto state = recurrence.initial_state<S>();
  Array<S, 3, 1> left;
  Array<S, 2, 1> right;
  S mask;
  random.fill(c);
  random.fill(state.memory);
  random.fill(left);
  random.fill(right);
  for (Index k = 0; k < S::count; ++k) mask.set(k, k % 3 == 0 ? 0.0F : 1.0F);
  const Factors<const S, 3, 2, 1> G{left.view(), right.view()};
  auto ws = recurrence.workspace<S>();
  auto masked = state, moved = state;
  recurrence.step(c, G, &mask, masked, ws);
  recurrence.step(c, G, static_cast<const S*>(nullptr), moved, ws);
  for (Index k = 0; k < S::count; ++k) {
    CAPTURE(k);
    const auto& expected = k % 3 == 0 ? state : moved;
    for (Index i = 0; i < 6; ++i) CHECK(masked.memory[i][k] == expected.memory[i][k]);
    CHECK(masked.windows[static_cast<std::size_t>(k)] == (k % 3 == 0 ? 0 : 1));
  }
}

TEST_CASE("merging multiplies by the decay once for every window absorbed", "[definition]") {
  const DiagonalRecurrence<1, 3> recurrence;
  auto c = recurrence.coefficients<double>();
  c.decay[0] = 0.5;
  c.decay[1] = 1;
  c.decay[2] = 0;
  auto first = recurrence.initial_state<double>(), second = first;
  first.memory.fill(64);
  first.windows[0] = 2;
  second.memory.fill(3);
  for (const Index n : {0, 1, 5}) {
    CAPTURE(n);
    second.windows[0] = n;
    const auto merged = recurrence.merge(c, first, second);
    CHECK(merged.memory[0] == 64 * std::pow(0.5, n) + 3);
    CHECK(merged.memory[1] == 67);
    CHECK(merged.memory[2] == (n == 0 ? 67 : 3));
    CHECK(merged.windows[0] == 2 + n);
  }
}

}  // namespace
}  // namespace gdssm
