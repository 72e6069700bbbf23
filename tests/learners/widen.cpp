// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/widen.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <Eigen/Core>

#include "gdssm/learners/adaptors.hpp"
#include "gdssm/learners/any_learner.hpp"
#include "gdssm/learners/combined_rules.hpp"
#include "gdssm/learners/delta_rule.hpp"
#include "gdssm/learners/features.hpp"
#include "gdssm/learners/learner_bank.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "gdssm/learners/recursive_least_squares.hpp"
#include "gdssm/learners/regression.hpp"
#include "gdssm/learners/scaling.hpp"
#include "gdssm/learners/sliding_window.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::linear_stream;
using test::Stream;

/// Learns 30 rows with f inputs and 30 with F, and compares with F inputs that were 0 in the first 30.
template <class Make>
void expect_as_with_zeros(Make&& make) {
  const Index f = 3, F = 5;
  Stream stream = linear_stream(F, 1, 60, 1);
  stream.x.bottomLeftCorner(F - f, 30).setZero();
  auto narrow = make(f), wide = make(F), whole = make(F);
  for (Index t = 0; t < 60; ++t) {
    if (t == 30) widen(wide, narrow);
    const VectorXd x = stream.x.col(t), y = stream.y.col(t), first = x.head(f);
    const double expected = whole.predict(x)[0], got = t < 30 ? narrow.predict(first)[0] : wide.predict(x)[0];
    CAPTURE(t);
    REQUIRE(std::abs(got - expected) <= 1e-9 * (1 + std::abs(expected)));
    whole.observe(x, y);
    if (t < 30)
      narrow.observe(first, y);
    else
      wide.observe(x, y);
  }
}

TEST_CASE("A widened learner continues as if its new inputs had been 0 before", "[theorem]") {
  using Past = Beside<Levels, Changes, RecentTargets>;
  const Past design(Levels{}, Changes{}, RecentTargets{2});
  expect_as_with_zeros([](Index f) { return RidgeLearner<>(f, 1, {.ridge = 0.5, .decay = 0.97}); });
  expect_as_with_zeros([](Index f) { return GradientDescentLearner<>(f, 1); });
  expect_as_with_zeros([](Index f) { return RecursiveLeastSquares<>(f, 1, {.ridge = 1, .decay = 1}); });
  expect_as_with_zeros([](Index f) { return SlidingWindowLearner<>(f, 1, 20); });
  expect_as_with_zeros([](Index f) { return WithScaling(NlmsLearner<>(f, 1)); });
  expect_as_with_zeros([](Index f) { return WithBends<RidgeLearner<>>(f, 1); });
  expect_as_with_zeros([&](Index f) { return WithPast<RidgeLearner<>, Past>(f, 1, design); });
  expect_as_with_zeros([&](Index f) {
    return AnyLearner(Bank(AdaHedge<>(0.001), std::vector{RidgeLearner<>(f, 1), RidgeLearner<>(f, 1, {.ridge = 9})},
                           WithinRange(WithPast<FromLastValue<RidgeLearner<>>, Past>(f, 1, design)),
                           LastValue<>(f, 1)));
  });
  expect_as_with_zeros(
      [](Index f) { return WithFeatures<RidgeLearner<>, OfEnds<Polynomial<>>>(OfEnds(Polynomial<>(3, 2), f), 1); });
}

TEST_CASE("Widening by nothing changes nothing", "[theorem]") {
  const Stream stream = linear_stream(3, 1, 20, 2);
  RidgeLearner<> learner(3, 1), other(3, 1);
  test::predictions_of(learner, stream);
  widen(other, learner);
  CHECK(other.state() == learner.state());
}

TEST_CASE("What cannot be widened is refused", "[misuse]") {
  RidgeLearner<> small(2, 1), large(4, 1);
  CHECK_THROWS_WITH(widen(small, large), "widen: there are 2 inputs, expected at least the 4 that were learned");
  // A polynomial's features are no block of entries for each of the inputs.
  using Squares = WithFeatures<RidgeLearner<>, Polynomial<>>;
  Squares two(Polynomial<>(2, 2), 1), four(Polynomial<>(4, 2), 1);
  CHECK_THROWS_WITH(
      widen(four, two),
      "widen: a state has 5 entries for 2 inputs and 14 for 4, expected a block of entries for each of the "
      "inputs, and others after them");
}

TEST_CASE("Features of the first and the last inputs do not change when others come in between", "[theorem]") {
  const OfEnds narrow(Polynomial<>(3, 2), 3, 1), wide(Polynomial<>(3, 2), 5, 1);
  const Eigen::Vector3d ends(2, 3, 5);
  const VectorXd all = (VectorXd(5) << 2, 3, 100, 200, 5).finished();
  VectorXd phi(narrow.output_count()), more(wide.output_count()), plain(phi.size());
  narrow(ends, phi);
  wide(all, more);
  Polynomial<>(3, 2)(ends, plain);
  CHECK(phi == plain);
  CHECK(more.head(5) == all);
  CHECK(more.tail(more.size() - 5) == phi.tail(phi.size() - 3));
  CHECK_THROWS_WITH(OfEnds(Polynomial<>(3, 2), 2),
                    "OfEnds: there are 2 inputs and 0 last ones, expected at least the map's 3 and at most these");
}

TEST_CASE("A pair without its target keeps its place in the past, and nothing is learned from it", "[theorem]") {
  // y_t = y_{t-2} exactly; a learner that has seen it foresees it across a gap where the truth stands in.
  const auto make = [] {
    return WithPast<RidgeLearner<>>(1, 1, Beside(Levels{}, RecentTargets{2}), RidgeSettings<>{1e-9});
  };
  auto learner = AnyLearner(WithinRange(make()));
  const VectorXd x = VectorXd::Zero(1);
  const auto y = [](int t) { return VectorXd::Constant(1, t % 2 == 0 ? 3.0 : -1.0); };
  for (int t = 0; t < 30; ++t) learner.observe(x, y(t));
  const auto before = learner.state();
  auto skipped = learner, shifted = learner;
  skipped.skip(x, y(30));
  CHECK(skipped.predict(x)[0] == Approx(-1).margin(1e-6));
  CHECK(shifted.predict(x)[0] == Approx(3).margin(1e-6));
  // Only the past has moved on.
  for (std::size_t i = 0; i < before.names.size(); ++i) {
    CAPTURE(before.names[i]);
    const bool is_past = before.names[i].find("recent") != std::string::npos;
    CHECK((skipped.state().members[i] == before.members[i]) == !is_past);
  }
  RidgeLearner<> without_past(1, 1);
  const auto fresh = without_past.state();
  without_past.skip(x, y(0));
  CHECK(without_past.state() == fresh);
  CHECK_THROWS_WITH(without_past.skip(VectorXd(2), y(0)),
                    "RegressionLearner: skip: the input has 2 entries, expected 1");
}

TEST_CASE("After a gap, changes count from the guess that stands in", "[theorem]") {
  FromLastValue<RidgeLearner<>> learner(1, 1);
  const VectorXd x = VectorXd::Zero(1), y = VectorXd::Constant(1, 2.0), guess = VectorXd::Constant(1, 5.0);
  learner.observe(x, y);
  learner.skip(x, guess);
  CHECK(learner.predict(x)[0] == 5);
  CHECK(learner.state().rows[0] == 1);
}

}  // namespace
}  // namespace gdssm
