// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/learner.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/learners/adaptors.hpp"
#include "gdssm/learners/any_learner.hpp"
#include "gdssm/learners/combined_rules.hpp"
#include "gdssm/learners/delta_rule.hpp"
#include "gdssm/learners/features.hpp"
#include "gdssm/learners/intervals.hpp"
#include "gdssm/learners/learner_bank.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "gdssm/learners/recursive_least_squares.hpp"
#include "gdssm/learners/regression.hpp"
#include "gdssm/learners/scaling.hpp"
#include "gdssm/learners/sliding_window.hpp"
#include "io/support.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"
#include "support/no_heap.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::difference;
using test::linear_stream;
using test::message_of;
using test::predictions_of;
using test::Stream;

struct Named {
  std::string name;
  AnyLearner<> learner;
};

Bank<Blend<AdaHedge<>, AdaHedge<>, LogScore<>, Stacking<LogScore<>>>, std::vector<RidgeLearner<>>, LastValue<>>
small_bank(Index f, Index m) {
  std::vector<RidgeLearner<>> ridges;
  for (const double decay : {1.0, 0.9}) ridges.emplace_back(f, m, RidgeSettings<>{.ridge = 1, .decay = decay});
  return Bank(Blend(AdaHedge<>(0.01), AdaHedge<>(), LogScore<>(), Stacking<LogScore<>>()), ridges, LastValue<>(f, m));
}

/// All learners and adaptors, for f inputs and m targets.
std::vector<Named> all_learners(Index f, Index m) {
  std::vector<Named> all;
  const auto add = [&](const char* name, auto learner) { all.push_back({name, AnyLearner(std::move(learner))}); };
  add("ridge", RidgeLearner<>(f, m));
  add("ridge, forgetting", RidgeLearner<>(f, m, {.ridge = 0.5, .decay = 0.9}));
  add("ridge, scaled", RidgeLearner<double, Scaled>(f, m));
  add("chebyshev, as given", ChebyshevLearner<double, AsGiven>(f, m));
  add("recursive", RecursiveLeastSquares<>(f, m, {.ridge = 1, .decay = 0.95}));
  add("window", SlidingWindowLearner<>(f, m, 4));
  add("delta", DeltaLearner<>(f, m));
  add("longhorn, scaled", WithScaling(LonghornLearner<>(f, m), 0.99));
  add("nlms on features", WithFeatures<NlmsLearner<>, Polynomial<>>(Polynomial<>(f, 2), m));
  add("bends", WithBends<RidgeLearner<>>(f, m));
  using Design = Beside<Levels, Changes, RecentTargets>;
  add("past", WithPast<FromLastValue<WithinRange<RidgeLearner<>>>, Design>(
                  f, m, Design(Levels{}, Changes{}, RecentTargets{2})));
  add("mean", RunningMean<>(f, m, 0.9));
  add("last", LastValue<>(f, m));
  add("bank", small_bank(f, m));
  return all;
}

TEST_CASE("Every learner is a Learner", "[theorem]") {
  STATIC_REQUIRE(Learner<RidgeLearner<>>);
  STATIC_REQUIRE(Learner<RidgeLearner<float, Scaled>>);
  STATIC_REQUIRE(Learner<AnyLearner<>>);
  STATIC_REQUIRE(Learner<WithScaling<NlmsLearner<float>>>);
  STATIC_REQUIRE(Learner<decltype(small_bank(1, 1))>);
  STATIC_REQUIRE(!Learner<int>);
}

TEST_CASE("Theorem: no learner's prediction depends on what comes later, to the bit", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 40, 1);
  for (const Index k : {0, 1, 17}) {
    Stream changed = stream;
    changed.y.col(k).array() += 5;
    changed.x.rightCols(39 - k).array() *= 3;
    auto one = all_learners(3, 2), other = all_learners(3, 2);
    for (std::size_t i = 0; i < one.size(); ++i) {
      CAPTURE(one[i].name, k);
      const MatrixXd a = predictions_of(one[i].learner, stream), b = predictions_of(other[i].learner, changed);
      CHECK(a.leftCols(k + 1) == b.leftCols(k + 1));
      CHECK(a != b);
      CHECK(a.allFinite());
    }
  }
}

TEST_CASE("Every learner goes on from another's state, bit for bit, and predicting leaves it alone", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 40, 2);
  const Stream first{stream.x.leftCols(22), stream.y.leftCols(22)},
      second{stream.x.rightCols(18), stream.y.rightCols(18)};
  auto one = all_learners(3, 2), other = all_learners(3, 2);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CAPTURE(one[i].name);
    predictions_of(one[i].learner, first);
    const auto state = one[i].learner.state();
    CHECK_FALSE(other[i].learner.state() == state);
    other[i].learner.set_state(state);
    CHECK(other[i].learner.state() == state);
    other[i].learner.predict(VectorXd::Constant(3, 1e5));
    CHECK(other[i].learner.state() == state);
    CHECK(predictions_of(one[i].learner, second) == predictions_of(other[i].learner, second));
    CHECK(one[i].learner.state() == other[i].learner.state());
  }
}

TEST_CASE("A learner chosen at run time is empty once it was moved from, and refuses to be used", "[misuse]") {
  const VectorXd x = VectorXd::Constant(2, 1.0), y = VectorXd::Constant(1, 3.0);
  AnyLearner<> full(LastValue<>(2, 1));
  full.observe(x, y);
  AnyLearner<> empty = full;
  const AnyLearner<> taken = std::move(empty);
  const std::string sentence = "AnyLearner: it was moved from, expected one that holds a learner";
  AnyLearner<> copied = empty;
  for (AnyLearner<>* const learner : {&empty, &copied}) {
    CHECK(message_of([&] { learner->predict(VectorXd()); }) == sentence);
    CHECK(message_of([&] { learner->observe(VectorXd(), VectorXd()); }) == sentence);
    CHECK(message_of([&] { learner->state(); }) == sentence);
    CHECK(message_of([&] { learner->set_state(full.state()); }) == sentence);
    CHECK(message_of([&] { learner->merge(full.state()); }) == sentence);
    CHECK_THROWS_AS(learner->predict(x), std::invalid_argument);
    *learner = taken;
    CHECK(learner->predict(x) == y);
  }
}

TEST_CASE("A learner of floats chosen at run time goes on from its state, bit for bit", "[regression]") {
  test::Random random(13);
  AnyLearner<float> one(RunningMean<float>(1, 1)), other = one;
  const Eigen::VectorXf x = Eigen::VectorXf::Zero(1);
  for (int t = 0; t < 400; ++t) {
    const Eigen::VectorXf y = Eigen::VectorXf::Constant(1, static_cast<float>(random()));
    one.observe(x, y);
    if (t >= 100) other.observe(x, y);
    if (t == 99) other.set_state(one.state());
    if (t >= 99) REQUIRE(one.predict(x) == other.predict(x));
  }
}

TEST_CASE("Theorem: where sums are remembered, merged states are that of all rows", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 40, 3);
  const Stream first{stream.x.leftCols(22), stream.y.leftCols(22)},
      second{stream.x.rightCols(18), stream.y.rightCols(18)};
  const VectorXd q = VectorXd::LinSpaced(3, -1, 1);
  auto whole = all_learners(3, 2), one = all_learners(3, 2), other = all_learners(3, 2);
  for (std::size_t i = 0; i < one.size(); ++i) {
    const std::string& name = whole[i].name;
    CAPTURE(name);
    predictions_of(whole[i].learner, stream);
    predictions_of(one[i].learner, first);
    predictions_of(other[i].learner, second);
    const VectorXd before = one[i].learner.predict(q);
    one[i].learner.merge(all_learners(3, 2)[i].learner.state());  // nothing has come
    CHECK(difference(one[i].learner.predict(q), before) < 1e-9);
    one[i].learner.merge(other[i].learner.state());
    const VectorXd merged = one[i].learner.predict(q), expected = whole[i].learner.predict(q);
    CHECK(merged.allFinite());
    if (name.starts_with("ridge") || name.starts_with("cheb") || name == "window" || name == "mean" || name == "last")
      CHECK(difference(merged, expected) < 1e-12);
    if (name == "recursive") CHECK(difference(merged, expected) < 0.2);  // its penalty depends on the phase
  }
}

TEST_CASE("A learner that has seen nothing is after merging what the other is", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 22, 11);
  const VectorXd q = VectorXd::LinSpaced(3, -1, 1);
  auto fresh = all_learners(3, 2), other = all_learners(3, 2);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    CAPTURE(fresh[i].name);
    predictions_of(other[i].learner, stream);
    fresh[i].learner.merge(other[i].learner.state());
    CHECK(difference(fresh[i].learner.predict(q), other[i].learner.predict(q)) < 1e-9);
  }
}

TEST_CASE("A pair that is observed and removed leaves things as they were", "[theorem]") {
  const Stream stream = linear_stream(3, 2, 20, 4);
  const VectorXd q = VectorXd::LinSpaced(3, -1, 1), x{{5, -3, 2}}, y{{7, 1}};
  const auto check = [&](auto learner) {
    learner.observe(x, y);
    learner.remove(x, y);
    CHECK(learner.predict(q).isZero(0));
    predictions_of(learner, stream);
    const VectorXd before = learner.predict(q);
    learner.observe(x, y);
    CHECK(difference(learner.predict(q), before) > 1e-3);
    learner.remove(x, y);
    CHECK(difference(learner.predict(q), before) < 1e-12);
    learner.remove(stream.x.col(7), stream.y.col(7));
    MatrixXd rest_x(3, 19), rest_y(2, 19);
    rest_x << stream.x.leftCols(7), stream.x.rightCols(12);
    rest_y << stream.y.leftCols(7), stream.y.rightCols(12);
    decltype(learner) without(3, 2);
    predictions_of(without, Stream{rest_x, rest_y});
    CHECK(difference(learner.predict(q), without.predict(q)) < 1e-12);
  };
  check(RidgeLearner<>(3, 2));
  check(RidgeLearner<double, AsGiven>(3, 2));
  check(RidgeLearner<double, Scaled>(3, 2));
  RidgeLearner<> forgetting(3, 2, {.ridge = 1, .decay = 0.9});
  forgetting.observe(x, y);
  CHECK(message_of([&] { forgetting.remove(x, y); }) == "RegressionLearner: remove: decay is 0.9, expected 1");
  CHECK(message_of([&] { RidgeLearner<>(3, 2).remove(x, y); }).find("no pairs") != std::string::npos);
}

TEST_CASE("Theorem: a delta rule's error on the pair it has just seen is 1 - a_t |x|^2 times what it was",
          "[theorem]") {
  const VectorXd x{{0.6, -0.8, 1.2}}, y{{2, -1}}, before{{0.1, 0.2, 0.3}};
  const double norm = x.squaredNorm();
  const auto ratio_of = [&](auto learner) {
    learner.observe(before, y);
    const VectorXd error = learner.predict(x) - y;
    learner.observe(x, y);
    const VectorXd after = learner.predict(x) - y;
    CHECK((after - after[0] / error[0] * error).norm() < 1e-14 * error.norm());
    return after[0] / error[0];
  };
  CHECK(ratio_of(DeltaLearner<>(3, 2, {.a = 0.2})) == Approx(1 - 0.2 * norm));
  CHECK(std::abs(ratio_of(DeltaLearner<>(3, 2, {.a = 50}))) < 1e-14);
  CHECK(ratio_of(LonghornLearner<>(3, 2, {.a = 0.2})) == Approx(1 / (1 + 0.2 * norm)));
  CHECK(ratio_of(NlmsLearner<>(3, 2, {.a = 0.7})) == Approx(0.3));
  CHECK(ratio_of(NlmsLearner<>(3, 2, {.a = 1.5, .epsilon = 1})) == Approx(1 - 1.5 * norm / (1 + norm)));
}

TEST_CASE("Finite pairs have finite predictions, whatever the learner", "[theorem]") {
  const std::vector<double> extremes{0,     1,      -1,  1e100, -1e100, 1e99,   1e-100, 5e-324, 1e-50,
                                     -1e50, 1e-160, 1e6, -1e-3, 1e75,   -1e-75, 3,      1e15,   1e16};
  test::Engine engine(6);
  for (int seed = 0; seed < 30; ++seed) {
    Stream stream{MatrixXd(3, 14), MatrixXd(2, 14)};
    for (double& x : stream.x.reshaped()) x = extremes[engine() % extremes.size()];
    for (double& y : stream.y.reshaped()) y = extremes[engine() % extremes.size()];
    for (Named& one : all_learners(3, 2)) {
      CAPTURE(one.name, seed);
      REQUIRE(predictions_of(one.learner, stream).allFinite());
    }
  }
}

TEST_CASE("Nothing allocates between rows, whatever the learner", "[no_heap]") {
  for (const Index f : {1, 40}) {
    const Stream stream = linear_stream(f, 2, 6, 7);
    std::vector<VectorXd> x, y;
    for (Index t = 0; t < 6; ++t) {
      x.push_back(stream.x.col(t));
      y.push_back(stream.y.col(t));
    }
    for (Named& one : all_learners(f, 2)) {
      CAPTURE(one.name, f);
      CHECK(test::allocations_of([&] {
              for (std::size_t t = 0; t < 6; ++t) {
                one.learner.predict(x[t]);
                one.learner.observe(x[t], y[t]);
              }
            }) == 0);
    }
  }
}

TEST_CASE("Every learner refuses sizes, numbers and states that it can't take, and stays as it is", "[misuse]") {
  const VectorXd x{{1, 2, 3}}, y{{4, 5}};
  auto all = all_learners(3, 2), wider = all_learners(4, 2);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string& name = all[i].name;
    AnyLearner<>& learner = all[i].learner;
    CAPTURE(name);
    learner.observe(x, y);
    const auto state = learner.state();
    CHECK(message_of([&] { learner.predict(y); }).find("the input has 2 entries, expected 3") != std::string::npos);
    CHECK(message_of([&] { learner.observe(x, x); }).find("the target has 3 entries, expected 2") != std::string::npos);
    for (const double bad : {1.1e100, -std::numeric_limits<double>::infinity(), std::nan("")}) {
      const VectorXd bad_x{{1, bad, 2}}, bad_y{{1, bad}};
      CHECK(message_of([&] { learner.predict(bad_x); }).find("the input entry 1 is ") != std::string::npos);
      CHECK(message_of([&] { learner.observe(x, bad_y); }).find("the target entry 1 is ") != std::string::npos);
    }
    if (name != "last" && name != "mean")
      CHECK(message_of([&] { learner.set_state(wider[i].learner.state()); }).find(", expected ") != std::string::npos);
    auto broken = state;
    broken.members.back()(0, 0) = std::nan("");
    CHECK(message_of([&] { learner.set_state(broken); }).find("expected a finite number") != std::string::npos);
    broken = state;
    broken.names.back() = "other";
    CHECK(message_of([&] { learner.set_state(broken); }).find("expected ") != std::string::npos);
    CHECK(learner.state() == state);
  }
}

/// The largest magnitude of a member of a state: of a value in the data's units, or of sums of products.
double largest_of(const std::string& member) {
  const auto is_one_of = [&](const char* names) {
    return std::string(names).find(" " + member.substr(member.rfind('.') + 1) + " ") != std::string::npos;
  };
  if (is_one_of(" mean last first first_input mean_input first_target mean_target input_before recent least most "))
    return 4e100;
  if (member == "inputs" || member == "targets") return 1e100;  // the rows of a window, which are observed as they are
  return 1e214;
}

TEST_CASE("A state with a number larger than any that a stream leads to is refused and changes nothing", "[misuse]") {
  const Stream stream = linear_stream(3, 2, 6, 9);
  for (Named& one : all_learners(3, 2)) {
    AnyLearner<>& learner = one.learner;
    predictions_of(learner, stream);
    const auto state = learner.state();
    for (std::size_t i = 0; i < state.names.size(); ++i) {
      const double limit = largest_of(state.names[i]);
      CAPTURE(one.name, state.names[i], limit);
      auto changed = state;
      for (const double sign : {-1.0, 1.0}) {
        changed.members[i](0, 0) = sign * 1.1 * limit;
        const std::string message = message_of([&] { learner.set_state(changed); });
        CHECK(message.find("set_state: " + state.names[i] + " has an entry of magnitude ") != std::string::npos);
        CHECK(message_of([&] { learner.merge(changed); }) == message);
        CHECK(learner.state() == state);
      }
      if (limit == 1e214) continue;  // what only the sign or another member could forbid is not asked here
      changed.members[i](0, 0) = 0.9 * limit;
      learner.set_state(changed);
      CHECK(learner.state() == changed);
      learner.set_state(state);
    }
  }
}

TEST_CASE("A state with a count that no stream leads to is refused and changes nothing", "[misuse]") {
  const Stream stream = linear_stream(3, 2, 6, 9);
  Bank learner(AdaHedge<>(), RidgeLearner<>(3, 2), SlidingWindowLearner<>(3, 2, 4));
  predictions_of(learner, stream);
  const auto state = learner.state();
  const auto refused = [&](const auto& change, const std::string& sentence) {
    auto changed = state;
    change(std::get<0>(changed.members), std::get<1>(changed.members));
    std::get<0>(changed.members).S(0, 0) += 1;  // which the first member would take
    CHECK(message_of([&] { learner.set_state(changed); }) == sentence);
    CHECK(message_of([&] { learner.merge(changed); }) == sentence);
    CHECK(learner.state() == state);
  };
  refused([](auto& ridge, auto&) { ridge.rows[0] = -1; }, "Bank: set_state: 0.rows is -1, expected at least 0");
  refused([](auto&, auto& window) { window.window.weight[0] = -0.5; },
          "Bank: set_state: 1.window.weight is -0.5, expected at least 0");
  refused([](auto&, auto& window) { window.position[0] = 4; },
          "SlidingWindowLearner: set_state: position is 4, expected a whole number of at most 3");
  refused([](auto&, auto& window) { window.position[0] = 0.5; },
          "SlidingWindowLearner: set_state: position is 0.5, expected a whole number of at most 3");
  refused([](auto&, auto& window) { window.window.rows[0] = 5; },
          "SlidingWindowLearner: set_state: window.rows is 5, expected a whole number of at most 4");
}

TEST_CASE("A window that took a state takes the next pair, for rows up to the largest input and no larger",
          "[regression]") {
  const Stream stream = linear_stream(3, 2, 6, 12);
  SlidingWindowLearner<> learner(3, 2, 4);
  predictions_of(learner, stream);
  const auto state = learner.state();
  for (const double sign : {-1.0, 1.0}) {
    for (Index at = 0; at < 4; ++at) {
      CAPTURE(sign, at);
      auto changed = state;
      const auto refused = [&](const std::string& sentence) {
        CHECK(message_of([&] { learner.set_state(changed); }) == sentence);
        CHECK(message_of([&] { learner.merge(changed); }) == sentence);
        CHECK(learner.state() == state);
      };
      changed.inputs(2, at) = sign * 2e100;
      refused("SlidingWindowLearner: set_state: inputs has an entry of magnitude 2e+100, expected at most 1e+100");
      changed.inputs(2, at) = sign * 1e100;
      changed.targets(1, at) = sign * 3e100;
      refused("SlidingWindowLearner: set_state: targets has an entry of magnitude 3e+100, expected at most 1e+100");
      changed.targets(1, at) = sign * 1e100;
      SlidingWindowLearner<> other = learner;
      other.merge(changed);
      other.set_state(changed);
      predictions_of(other, stream);
      CHECK(other.state().position[0] == 0);
    }
  }
}

TEST_CASE("A learner chosen at run time refuses the state of another, though it holds all members of its own",
          "[misuse]") {
  const VectorXd x{{1, 2, 3}}, y{{4, 5}};
  AnyLearner last(LastValue<>(3, 2)), more(FromLastValue(RidgeLearner<>(3, 2)));
  last.observe(x, y);
  more.observe(x, 2 * y);
  const auto state = last.state();
  const auto refused = [&](const AnyLearner<>::State& other, const std::string& sentence) {
    CHECK(message_of([&] { last.set_state(other); }) == sentence);
    CHECK(message_of([&] { last.merge(other); }) == sentence);
    CHECK(last.state() == state);
  };
  const auto others = more.state();
  REQUIRE(others.names[0] == "rows");
  REQUIRE(others.names[1] == "last");
  refused(others, "AnyLearner: set_state: member 2 is " + others.names[2] + ", expected none");

  const std::string sentence = "AnyLearner: a state has 2 names and 1 members, expected as many members as names";
  auto shorter = state;
  shorter.members.pop_back();
  refused(shorter, sentence);
  CHECK(message_of([&] { count(shorter); }) == sentence);
  CHECK(message_of([&] { identical(state, shorter); }) == sentence);
  auto longer = state;
  longer.members.push_back(longer.members.back());
  refused(longer, "AnyLearner: a state has 2 names and 3 members, expected as many members as names");
}

TEST_CASE("What the largest inputs and targets lead to is a state that every learner takes", "[regression]") {
  test::Engine engine(10);
  const std::vector<double> extremes{1e100, -1e100, 1e60, -1e80, 0, 1};
  Stream stream{MatrixXd(3, 40), MatrixXd(2, 40)};
  for (double& x : stream.x.reshaped()) x = extremes[engine() % extremes.size()];
  for (double& y : stream.y.reshaped()) y = extremes[engine() % extremes.size()];
  auto fresh = all_learners(3, 2);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    AnyLearner<> learner = fresh[i].learner;
    CAPTURE(fresh[i].name);
    predictions_of(learner, stream);
    fresh[i].learner.set_state(learner.state());
    CHECK(fresh[i].learner.state() == learner.state());
  }
}

TEST_CASE("A mean of floats still moves after millions of rows", "[regression]") {
  RunningMean<float> mean(1, 1);
  auto state = mean.state();
  state.rows[0] = state.weight[0] = 4e6;
  state.mean[0] = 100;
  mean.set_state(state);
  const Eigen::VectorXf x = Eigen::VectorXf::Zero(1), y = Eigen::VectorXf::Constant(1, 101);
  CHECK(mean.predict(x)[0] == 100);
  for (int t = 0; t < 40'000; ++t) mean.observe(x, y);
  CHECK(static_cast<double>(mean.predict(x)[0]) == Approx(100 + 0.04 / 4.04).epsilon(1e-6));

  RunningMean<float> other(1, 1);  // which merging joins by the same weights
  other.set_state(state);
  RunningMean<float> few(1, 1);
  few.observe(x, y);
  for (int t = 0; t < 40'000; ++t) other.merge(few.state());
  CHECK(static_cast<double>(other.predict(x)[0]) == Approx(100 + 0.04 / 4.04).epsilon(1e-6));

  state.mean[0] = 5e12F;
  const std::string message = message_of([&] { mean.set_state(state); });
  CHECK(message == "RunningMean: set_state: mean has an entry of magnitude 5e+12, expected at most 4e+12");
  CHECK(message_of([&] { mean.merge(state); }) == message);
}

TEST_CASE("Sizes and settings that no learner can have are refused", "[misuse]") {
  const auto refused = [](auto make, const char* sentence) {
    CAPTURE(sentence);
    CHECK(message_of(make).find(sentence) != std::string::npos);
  };
  refused([] { RidgeLearner<>(0, 1); }, "there are 0 inputs and 1 targets, expected at least 1 and 1");
  refused([] { RidgeLearner<>(1, 1, {.ridge = -1}); }, "ridge is -1, expected a finite number of at least 0");
  refused([] { RidgeLearner<>(1, 1, {.decay = 1.5}); }, "decay is 1.5, expected above 0 and at most 1");
  refused([] { RecursiveLeastSquares<>(1, 1, {.ridge = 0}); }, "ridge is 0, expected at least 1e-100");
  refused([] { SlidingWindowLearner<>(1, 1, 0); }, "window is 0, expected at least 1");
  refused([] { NlmsLearner<>(1, 1, {.a = 2}); }, "a is 2, expected at least 0 and below 2");
  refused([] { WithPast<LastValue<>, RecentTargets>(1, 1, RecentTargets{-1}); }, "lags is -1, expected at least 0");
  refused([] { WithPast(2, 1, Levels{}, [](Index, Index m) { return LastValue<>(1, m); }); },
          "WithPast: the inner learner's number of inputs is 1, expected 2");
  refused([] { WithBends(2, 1, [](Index f, Index) { return LastValue<>(f, 3); }); },
          "WithBends: the inner learner's number of targets is 3, expected 1");
  refused([] { Identity<>(0); }, "Identity: there are 0 inputs, expected at least 1");
  refused([] { Polynomial<>(0, 2); }, "there are 0 inputs and the degree is 2, expected at least 1");
  refused([] { RandomFourier<>(1, 0); }, "there are 1 inputs and 0 features, expected at least 1");
  refused([] { RandomFourier<>(1, 1, 0); }, "width is 0, expected above 0");
  refused([] { LogScore<>({.share = 1}); }, "share is 1, expected at least 0 and below 1");
  refused([] { Intervals<>(0); }, "there are 0 targets, expected at least 1");
  refused([] { Intervals<>(1, {.miss = 1}); }, "miss is 1, expected between 0 and 1");
  refused([] { Intervals<>(1, {.rate = 0}); }, "rate is 0, expected above 0");
  refused([] { Intervals<>(1, {.multiple = 0}); }, "multiple is 0, expected from 1e-100 to 1e+100");
  refused([] { Intervals<>(1, {.multiple = 1e101}); }, "multiple is 1e+101, expected from 1e-100 to 1e+100");
}

TEST_CASE("Features are what their formulas say", "[theorem]") {
  const VectorXd x{{2, 3}};
  VectorXd phi(5);
  Polynomial<>(2, 2)(x, phi);
  CHECK(phi == VectorXd{{2, 3, 4, 6, 9}});
  CHECK(Polynomial<>(3, 3).output_count() == 19);
  const Index D = 20000;
  const RandomFourier<> map(2, D, 1.5, 7);
  const VectorXd other{{2.7, 2.1}};
  VectorXd a(D), b(D);
  map(x, a);
  map(other, b);
  CHECK(std::abs(a.dot(b) - std::exp(-(x - other).squaredNorm() / (2 * 1.5 * 1.5))) < 0.02);
  CHECK(message_of([] { Polynomial<>(100, 5); }).find("at most 10000 features") != std::string::npos);
}

TEST_CASE("A square is learned from polynomial features, exactly", "[theorem]") {
  const Stream line = linear_stream(2, 1, 80, 8);
  Stream stream = line;
  for (Index t = 0; t < 80; ++t) stream.y(0, t) = std::pow(line.x(0, t) - 2 * line.x(1, t), 2);
  WithFeatures<RidgeLearner<>, Polynomial<>> learner(Polynomial<>(2, 2), 1, RidgeSettings<>{.ridge = 1e-9});
  const MatrixXd predictions = predictions_of(learner, stream);
  CHECK((predictions - stream.y).rightCols(60).cwiseAbs().maxCoeff() < 1e-6);
}

}  // namespace
}  // namespace gdssm
