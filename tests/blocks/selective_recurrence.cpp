// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/selective_recurrence.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/concepts.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using test::Random;

static_assert(RecurrenceBlock<SelectiveRecurrence<3>> && RecurrenceBlock<SelectiveRecurrence<>>);
static_assert(RecurrenceBlock<SelectiveRecurrence<3, 1, 1>> && RecurrenceBlock<SelectiveRecurrence<3, 2, 5>>);
static_assert(RecurrenceBlock<DiagonalRecurrence<3>> && SensitiveRecurrence<DiagonalRecurrence<3>> &&
              !SensitiveRecurrence<SelectiveRecurrence<3>>);

/// A bundle's views as one window's factors.
template <Index Rows, Index Cols, Index Rank, class T>
Factors<const T, Rows, Cols, Rank> factors(const Array<T, Rows, Rank>& left, const Array<T, Cols, Rank>& right) {
  return {left.view(), right.view()};
}

constexpr const double* no_mask = nullptr;

TEST_CASE("selective decays pull back to weights, factors and state", "[vjp]") {
  expect_vjp(SelectiveRecurrence<1>());
  expect_vjp(SelectiveRecurrence<3, 2>());
  expect_vjp(SelectiveRecurrence<3, 1, 1>());
  expect_vjp(SelectiveRecurrence<>(2, 3));
}

TEST_CASE("selective decays are exp(Lambda softplus(b + W vec(left))), the state's product with them", "[definition]") {
  Random random(4);
  const SelectiveRecurrence<3, 2> recurrence;
  auto c = recurrence.coefficients<double>();
  random.fill(c);
  auto state = recurrence.initial_state<double>();
  auto ws = recurrence.workspace<double>();
  Eigen::MatrixXd Z = Eigen::MatrixXd::Zero(3, 2);
  for (int t = 0; t < 4; ++t) {
    Array<double, 3, 3> left;
    Array<double, 2, 3> right;
    random.fill(left);
    random.fill(right);
    recurrence.step(c, factors(left, right), no_mask, state, ws);
    const Eigen::VectorXd raw = c.step_bias.matrix() + c.step_weight.matrix() * left.matrix().reshaped();
    const Eigen::MatrixXd G = left.matrix() * right.matrix().transpose();
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 2; ++j)
        Z(i, j) = std::exp(c.Lambda(j, i) * std::log(1 + std::exp(raw[j]))) * Z(i, j) + G(i, j);
    CHECK((state.memory.matrix().transpose() - Z).norm() < 1e-14);
  }
}

TEST_CASE("without token weights selective decays are those of the zero-order hold", "[theorem]") {
  Random random(5);
  const SelectiveRecurrence<3, 2> selective;
  const DiagonalRecurrence<3, 2> diagonal;
  auto p = selective.parameters<double>();
  random.fill(p);
  p.step_weight.setZero();
  auto q = diagonal.parameters<double>();
  q.Lambda = p.Lambda;
  for (Index j = 0; j < 2; ++j) q.log_step[j] = std::log(softplus(p.step_bias[j]));
  auto c = selective.coefficients<double>();
  auto d = diagonal.coefficients<double>();
  selective.prepare(p, c);
  diagonal.prepare(q, d);
  auto a = selective.initial_state<double>();
  auto b = diagonal.initial_state<double>();
  auto a_ws = selective.workspace<double>();
  auto b_ws = diagonal.workspace<double>();
  for (int t = 0; t < 5; ++t) {
    Array<double, 3, 3> left;
    Array<double, 2, 3> right;
    random.fill(left);
    random.fill(right);
    selective.step(c, factors(left, right), no_mask, a, a_ws);
    diagonal.step(d, factors(left, right), no_mask, b, b_ws);
    CHECK((a.memory.matrix() - b.memory.matrix()).norm() < 1e-14);
  }
}

TEST_CASE("states of selective decays merge to the whole sequence's, masked windows left out", "[theorem]") {
  Random random(6);
  const SelectiveRecurrence<3, 2> recurrence;
  auto c = recurrence.coefficients<double>();
  random.fill(c);
  auto ws = recurrence.workspace<double>();
  auto whole = recurrence.initial_state<double>(), first = whole, second = whole;
  for (int t = 0; t < 6; ++t) {
    Array<double, 3, 3> left;
    Array<double, 2, 3> right;
    random.fill(left);
    random.fill(right);
    const double mask = t == 1 || t == 4 ? 0 : 1;
    recurrence.step(c, factors(left, right), &mask, whole, ws);
    auto& part = t < 3 ? first : second;
    const auto before = part;
    recurrence.step(c, factors(left, right), &mask, part, ws);
    CHECK((part == before) == (mask == 0));
  }
  const auto merged = recurrence.merge(c, first, second);
  CHECK((merged.memory.matrix() - whole.memory.matrix()).norm() < 1e-15);
  CHECK((merged.retained.matrix() - whole.retained.matrix()).norm() < 1e-15);
  recurrence.restart(whole);
  CHECK(whole == recurrence.initial_state<double>());
}

TEST_CASE("masks of selective decays choose lane by lane, and lanes are what each would be alone", "[lanes]") {
  using S = Lanes<float>;
  Random random(7);
  const SelectiveRecurrence<3, 2> recurrence;
  auto c = recurrence.coefficients<float>();
  random.fill(c);
  auto state = recurrence.initial_state<S>();
  random.fill(state.memory);
  Array<S, 3, 3> left;
  Array<S, 2, 3> right;
  random.fill(left);
  random.fill(right);
  S mask;
  for (Index k = 0; k < S::count; ++k) mask.set(k, k % 3 == 0 ? 0.0F : 1.0F);
  auto ws = recurrence.workspace<S>();
  auto moved = state;
  recurrence.step(c, factors(left, right), &mask, moved, ws);
  for (Index k = 0; k < S::count; ++k) {
    CAPTURE(k);
    auto alone = recurrence.initial_state<float>();
    Array<float, 3, 3> one_left;
    Array<float, 2, 3> one_right;
    for (Index e = 0; e < 6; ++e) alone.memory[e] = state.memory[e][k];
    for (Index e = 0; e < 9; ++e) one_left[e] = left[e][k];
    for (Index e = 0; e < 6; ++e) one_right[e] = right[e][k];
    auto one_ws = recurrence.workspace<float>();
    if (k % 3 != 0) recurrence.step(c, factors(one_left, one_right), static_cast<const float*>(nullptr), alone, one_ws);
    for (Index e = 0; e < 6; ++e) {
      CHECK(std::abs(moved.memory[e][k] - alone.memory[e]) <= 2e-7F);
      CHECK(std::abs(moved.retained[e][k] - alone.retained[e]) <= 3e-7F);
      if (k % 3 == 0) CHECK(moved.memory[e][k] == state.memory[e][k]);
    }
  }
}

TEST_CASE("selective decays refuse an empty state, and sizes other than the type's", "[misuse]") {
  CHECK_THROWS_WITH(SelectiveRecurrence<>(0, 2), "SelectiveRecurrence: the state is 0 x 2, expected at least 1 x 1");
  CHECK_THROWS_WITH((SelectiveRecurrence<3, 2>(3, 4)), "SelectiveRecurrence: the number of columns is 4, expected 2");
}

}  // namespace
}  // namespace gdssm
