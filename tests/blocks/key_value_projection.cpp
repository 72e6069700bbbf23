// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/key_value_projection.hpp"

#include <utility>

#include "support/catch.hpp"
#include "support/vjp.hpp"

#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/learning_recurrence.hpp"

namespace gdssm {
namespace {

using test::expect_vjp;
using Rule = recurrences::DeltaRule<>;
using Ruled = LearningRecurrence<Rule, 2, GivenControls>;

static_assert(AttentionBlock<KeyValueProjection<>> && AttentionBlock<KeyValueProjection<2, 3, 2, 5>>);
static_assert(RecurrenceBlock<Ruled>);

TEST_CASE("keys, values and controls pull back to their maps and to the token", "[vjp]") {
  expect_vjp(KeyValueProjection<>(1, 1, 1));
  expect_vjp(KeyValueProjection<>(4, 3, 2));
  expect_vjp(KeyValueProjection<2>(4, 3, 2, 2));
  expect_vjp(KeyValueProjection<2, 3, 2, 4>(4, 3, 2));
}

TEST_CASE("a rule pulls back to controls that it is given", "[vjp]") {
  expect_vjp(Ruled(Rule(1, 1)));
  expect_vjp(Ruled(Rule(3, 2)));
}

TEST_CASE("a token's key and value are maps of it, and its controls stand behind the key", "[definition]") {
  test::Random random(3);
  const KeyValueProjection<2> projection(4, 3, 2, 2);
  auto c = projection.coefficients<double>();
  Array<double, Dynamic, 1> token(4, 1);
  random.fill(c);
  random.fill(token);
  auto ws = projection.workspace<double>();
  const auto G = projection.step(c, std::as_const(token).view(), ws);
  const Eigen::Map<const Eigen::MatrixXd> left(G.left.data(), 3, 2), right(G.right.data(), 2, 2);
  CHECK((left.col(0) - c.key.matrix() * token.matrix()).norm() < 1e-15);
  CHECK((left.col(1).head(2) - c.control.matrix() * token.matrix()).norm() < 1e-15);
  CHECK(left(2, 1) == 0);
  CHECK((right.col(0) - c.value.matrix() * token.matrix()).norm() < 1e-15);
  CHECK(right.col(1).isZero(0));
}

TEST_CASE("a rule's rate is the logistic function of its bias and of the control that it is given", "[definition]") {
  test::Random random(4);
  const Ruled block(Rule(3, 2));
  auto c = block.coefficients<double>();
  Array<double, Dynamic, 2> left(3, 2), right(2, 2);
  auto state = block.initial_state<double>();
  random.fill(c), random.fill(left), random.fill(right), random.fill(state);
  const Eigen::MatrixXd S = state.memory.matrix();
  const Eigen::VectorXd k = left.matrix().col(0), v = right.matrix().col(0);
  const double beta = 1 / (1 + std::exp(-(c.bias[0] + left(0, 1))));
  auto ws = block.workspace<double>();
  block.step(c, Factors<const double, Dynamic, Dynamic, 2>{left.view(), right.view()},
             static_cast<const double*>(nullptr), state, ws);
  CHECK((state.memory.matrix() - (S + beta * (v - S * k) * k.transpose())).norm() < 1e-15);
}

TEST_CASE("projections and rules say where controls find no room", "[misuse]") {
  CHECK_THROWS_WITH(KeyValueProjection<>(4, 0, 2),
                    "KeyValueProjection: keys and values have 0 and 2 entries, expected at least 1");
  CHECK_THROWS_WITH(KeyValueProjection<2>(4, 3, 2, 4), "KeyValueProjection: there are 4 controls, expected 1 to 3");
  CHECK_THROWS_WITH(KeyValueProjection<>(4, 3, 2, 1), "KeyValueProjection: there are 1 controls, expected 0 to 0");
  CHECK_THROWS_WITH((KeyValueProjection<1, 3>(4, 2, 2)), "KeyValueProjection: the size of a token is 4, expected 3");
  CHECK_THROWS_WITH((LearningRecurrence<Rule, 1, GivenControls>(Rule(3, 2))),
                    "LearningRecurrence: the left factors have room for 0 numbers behind the keys, expected at least "
                    "1, the controls of the rule");
}

}  // namespace
}  // namespace gdssm
