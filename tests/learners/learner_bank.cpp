// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/learner_bank.hpp"

#include <vector>

#include <Eigen/Dense>

#include "gdssm/learners/adaptors.hpp"
#include "gdssm/learners/any_learner.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "gdssm/learners/regression.hpp"
#include "gdssm/learners/scaling.hpp"
#include "io/support.hpp"
#include "learners/probe.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using Eigen::VectorXd;
using test::linear_stream;
using test::message_of;
using test::predictions_of;
using test::Probe;
using test::Seen;
using test::Stream;

TEST_CASE("Asked the same again, a bank answers from what it has observed, taken or merged since", "[theorem]") {
  const Stream first = linear_stream(3, 2, 20, 1), second = linear_stream(3, 2, 20, 2);
  const VectorXd q = VectorXd::LinSpaced(3, -1, 1), y{{3, -4}};
  const auto fresh = [] { return Bank(AdaHedge<>(0.01), RidgeLearner<>(3, 2), RunningMean<>(3, 2)); };
  const auto of = [&](const auto& state) {  // a bank that has not been asked
    auto bank = fresh();
    bank.set_state(state);
    return bank;
  };
  auto one = fresh(), other = fresh();
  predictions_of(one, first);
  predictions_of(other, second);
  const auto states = std::vector{one.state(), other.state()};

  VectorXd before = one.predict(q);
  one.observe(q, y);
  CHECK(one.predict(q) == of(one.state()).predict(q));
  CHECK(one.predict(q) != before);

  before = one.predict(q);
  one.set_state(states[1]);
  CHECK(one.predict(q) == of(states[1]).predict(q));
  CHECK(one.predict(q) != before);

  before = one.predict(q);
  one.merge(states[0]);
  auto merged = of(states[1]);
  merged.merge(states[0]);
  CHECK(one.predict(q) == merged.predict(q));
  CHECK(one.predict(q) != before);
}

TEST_CASE("A bank asks its members once a row, and once more for another query", "[theorem]") {
  Seen seen;
  Bank bank(AdaHedge<>(), Probe(2, 1, &seen, 1), Probe(2, 1, &seen, 2));
  const VectorXd x{{1, 2}}, other{{1, 3}}, y{{4}};
  bank.predict(x);
  bank.observe(x, y);
  CHECK(seen.queries == std::vector{x, x});
  bank.predict(x);
  bank.predict(other);
  bank.observe(x, y);
  CHECK(seen.queries == std::vector{x, x, x, x, other, other, x, x});
  CHECK(seen.inputs == std::vector{x, x, x, x});
}

TEST_CASE("A bank checks a row once, and what is inside it takes the row as checked", "[theorem]") {
  Seen seen;
  const Probe probe(2, 1, &seen);
  const VectorXd x{{1, 2}}, y{{4}}, wide{{1, 2, 3}};
  std::vector<AnyLearner<>> chosen{AnyLearner(probe), AnyLearner(WithScaling(probe))};
  Bank bank{AdaHedge<>(), WithinRange(probe), FromLastValue(probe), chosen, Bank(AdaHedge<>(), probe)};
  for (int t = 0; t < 3; ++t) {
    bank.predict(x);
    bank.observe(x, y);
  }
  CHECK(seen.inputs.size() == 14);  // FromLastValue begins with the second pair
  CHECK(seen.checked == 0);
  CHECK(message_of([&] { bank.predict(wide); }) == "Bank: predict: the input has 3 entries, expected 2");
  CHECK(message_of([&] { bank.observe(x, wide); }) == "Bank: observe: the target has 3 entries, expected 1");

  // What a design of the user's own has made is checked again.
  WithPast past(2, 1, RecentTargets{1}, [&](Index f, Index m) { return Probe(f, m, &seen); });
  past.predict(x);
  CHECK(seen.checked == 1);
}

}  // namespace
}  // namespace gdssm
