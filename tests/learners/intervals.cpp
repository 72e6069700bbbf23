// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/intervals.hpp"

#include <cmath>
#include <limits>
#include <string>

#include <Eigen/Dense>

#include "gdssm/core/random.hpp"
#include "io/support.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

using Eigen::VectorXd;
using test::message_of;

TEST_CASE("Theorem: half widths are those of (17), row by row", "[theorem]") {
  const Intervals<>::Settings settings{.miss = 0.2, .rate = 0.1, .decay = 0.9, .multiple = 1.5, .start = 4};
  Intervals<> intervals(1, settings);
  test::Random random(1);
  double A = 0, W = 0, log_q = std::log(1.5);
  for (int t = 0; t < 200; ++t) {
    CAPTURE(t);
    const double h = std::exp(log_q) * (A / W) * std::sqrt(1 + 3 / W + 18 / std::pow(W, 4));
    if (W == 0)
      CHECK(intervals.half_widths()[0] == std::numeric_limits<double>::infinity());
    else
      CHECK(intervals.half_widths()[0] == Approx(h).epsilon(1e-14));
    const double prediction = random(), e = random() * (t % 50 < 25 ? 1 : 10);
    intervals.observe(VectorXd::Constant(1, prediction), VectorXd::Constant(1, prediction + e));
    if (t == 0) continue;  // the first error does not count
    if (t >= 4) log_q += 0.1 * ((std::abs(e) > h ? 1 : 0) - 0.2);
    A = 0.9 * A + std::abs(e);
    W = 0.9 * W + 1;
  }
}

TEST_CASE("From the first interval on, 95 % of normal errors are inside, and no row claims what it cannot know",
          "[theorem]") {
  constexpr int streams = 4000, rows = 12;
  int inside[rows] = {};
  RandomStream<> random(5);
  for (int stream = 0; stream < streams; ++stream) {
    Intervals<> intervals(1);
    for (int t = 0; t < rows; ++t) {
      const double e = random.normal(), h = intervals.half_widths()[0];
      CHECK((t < 2) == std::isinf(h));  // the first error does not count: that prediction was made without data
      inside[t] += std::abs(e) <= h;
      intervals.observe(VectorXd::Zero(1), VectorXd::Constant(1, e));
    }
  }
  for (int t = 2; t < rows; ++t) {
    CAPTURE(t);
    CHECK(std::abs(inside[t] / static_cast<double>(streams) - 0.957) < 0.017);  // five standard errors
  }
}

TEST_CASE("Merged, recent errors are those of the later stream, unless it has none", "[theorem]") {
  const VectorXd zero = VectorXd::Zero(1);
  const auto of = [&](int rows, double error) {
    Intervals<> intervals(1, {.start = 1});
    for (int t = 0; t < rows; ++t) intervals.observe(zero, VectorXd::Constant(1, error * (t + 1)));
    return intervals;
  };
  Intervals<> one = of(20, 2);
  const double h = one.half_widths()[0];
  one.merge(of(0, 0).state());
  CHECK(one.half_widths()[0] == h);
  one.merge(of(1, 5).state());  // whose only error does not count
  CHECK(one.half_widths()[0] == h);
  CHECK(one.state().rows[0] == 21);
  one.merge(of(2, 5).state());
  CHECK(one.half_widths()[0] == of(2, 5).half_widths()[0]);
  CHECK(one.half_widths()[0] != h);
  CHECK(one.state().rows[0] == 23);
}

TEST_CASE("Theorem: the share of misses follows from where q began and ended, on any errors", "[theorem]") {
  for (const int kind : {0, 1, 2}) {
    Intervals<> intervals(1);
    test::Random random(8);
    const double start = intervals.state().log_multiple[0];
    int misses = 0, rows = 0;
    for (int t = 0; t < 5000; ++t) {
      const double u = random(), scale = kind == 1 && t > 2500 ? 50 : 1;
      const double e = kind == 2 ? 0.1 / (u * u + 1e-4) : scale * u;
      const double h = intervals.half_widths()[0];
      if (t >= 10) {
        misses += std::abs(e) > h;
        ++rows;
      }
      intervals.observe(VectorXd::Zero(1), VectorXd::Constant(1, e));
    }
    const double moved = intervals.state().log_multiple[0] - start;
    CHECK(static_cast<double>(misses) / rows - 0.05 == Approx(moved / (0.05 * rows)).margin(1e-13));
    CHECK(std::abs(static_cast<double>(misses) / rows - 0.05) < 0.01);
  }
}

TEST_CASE("In float too, intervals weigh an error more after 2^24 of them", "[regression]") {
  const float many = 16777216;
  Intervals<float> intervals(1, {.decay = 1});
  auto state = intervals.state();
  state.rows[0] = many;
  state.weight[0] = state.errors[0] = many;
  intervals.set_state(state);
  for (int t = 0; t < 100; ++t) intervals.observe(Eigen::VectorXf::Zero(1), Eigen::VectorXf::Ones(1));
  CHECK(static_cast<double>(intervals.state().weight[0]) == many + 100.0);
  CHECK(static_cast<double>(intervals.state().errors[0]) == many + 100.0);

  state.errors[0] = std::numeric_limits<float>::max();
  CHECK(message_of([&] { intervals.set_state(state); }) ==
        "Intervals: set_state: errors has an entry of magnitude 3.40282e+38, expected at most 1e+38");
}

TEST_CASE("After a million exact predictions, intervals still widen until they cover errors again", "[regression]") {
  Intervals<> intervals(1, {.decay = 1});
  const VectorXd zero = VectorXd::Zero(1), one = VectorXd::Ones(1);
  intervals.observe(zero, one);
  intervals.observe(zero, one);
  for (int t = 0; t < 1'000'000; ++t) intervals.observe(zero, zero);
  CHECK(intervals.half_widths()[0] > 0);
  int misses = 0;
  for (; intervals.half_widths()[0] < 1 && misses < 10'000; ++misses) intervals.observe(zero, one);
  CHECK(misses < 10'000);
}

TEST_CASE("Intervals refuse what is no prediction or no target, and stay as they are", "[misuse]") {
  Intervals<> intervals(2);
  const VectorXd good{{1, 2}};
  for (int rows = 0; rows < 2; ++rows) {  // the first error does not count, which is no excuse
    const auto state = intervals.state();
    for (const double bad : {1.1e100, -std::numeric_limits<double>::infinity(), std::nan("")}) {
      CAPTURE(rows, bad);
      const VectorXd other{{1, bad}};
      const std::string of_prediction = message_of([&] { intervals.observe(other, good); });
      CHECK(of_prediction.starts_with("Intervals: observe: the prediction entry 1 is "));
      const std::string of_target = message_of([&] { intervals.observe(good, other); });
      CHECK(of_target.starts_with("Intervals: observe: the target entry 1 is "));
      CHECK(intervals.state() == state);
    }
    const VectorXd wide = VectorXd::Zero(3);
    CHECK(message_of([&] { intervals.observe(wide, good); }) ==
          "Intervals: observe: the prediction has 3 entries, expected 2");
    CHECK(message_of([&] { intervals.observe(good, wide); }) ==
          "Intervals: observe: the target has 3 entries, expected 2");
    CHECK(intervals.state() == state);
    intervals.observe(good, VectorXd::Constant(2, 1e100));
  }
  CHECK(intervals.half_widths().allFinite());

  auto state = intervals.state();
  state.log_multiple[1] = -231;
  for (const auto& message :
       {message_of([&] { intervals.set_state(state); }), message_of([&] { intervals.merge(state); })})
    CHECK(message == "Intervals: set_state: log_multiple entry 1 is -231, expected of magnitude at most 230.259");
}

}  // namespace
}  // namespace gdssm
