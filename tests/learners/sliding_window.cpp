// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/sliding_window.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Core>

#include "learners/streams.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

using Eigen::VectorXd;
using test::linear_stream;
using test::Stream;

TEST_CASE("Theorem: a window's sums are those of its rows whatever has left it, within c n^2 epsilon, (62)",
          "[theorem]") {
  const Index window = 30;
  const double bound = 10 * window * window * std::numeric_limits<double>::epsilon();
  test::Random random(6);
  Stream stream = linear_stream(3, 2, 400, 5);
  for (Index t = 0; t < stream.rows(); ++t)  // rows of all sizes, and columns that fall silent
    for (double* entry : {&stream.x(1, t), &stream.y(1, t)})
      *entry = t % 100 < 40 ? 0.3 : *entry * std::pow(10.0, std::round(8 * random()));
  SlidingWindowLearner<> learner(3, 2, window, 2);
  for (Index t = 0; t < stream.rows(); ++t) {
    CAPTURE(t);
    learner.observe(stream.x.col(t), stream.y.col(t));
    const Index n = std::min(t + 1, window), first = t + 1 - n;
    RidgeLearner<> direct(3, 2, {.ridge = 2});
    predictions_of(direct, Stream{stream.x.middleCols(first, n), stream.y.middleCols(first, n)});
    const auto sums = learner.state().window;
    const auto& expected = direct.state();
    for (Index j = 0; j < 3; ++j) {
      REQUIRE(std::abs(sums.S(j, j) - expected.S(j, j)) <= bound * expected.S(j, j));
      for (Index i = 0; i < 2; ++i) {
        const Eigen::ArrayXd targets = stream.y.row(i).segment(first, n).array();
        const double squares = (targets - targets.mean()).square().sum();
        REQUIRE(std::abs(sums.M(i, j) - expected.M(i, j)) <= bound * std::sqrt(expected.S(j, j) * squares));
      }
    }
  }
}

TEST_CASE("A flag that has left the window counts as constant", "[regression]") {
  for (const Index window : {8, 100}) {
    SlidingWindowLearner<> learner(1, 1, window);
    test::Random random(3);
    VectorXd x(1), y(1);
    for (Index t = 0; t < 4 * window; ++t) {
      x[0] = t == window / 2 ? 1 : 0;
      y[0] = 2 + random();
      if (t > 0) REQUIRE(std::abs(learner.predict(x)[0] - 2) < 8);
      learner.observe(x, y);
    }
    CHECK(learner.state().window.S(0, 0) == 0);
  }
}

}  // namespace
}  // namespace gdssm
