// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/adaptors.hpp"

#include <algorithm>
#include <vector>

#include <Eigen/Dense>

#include "gdssm/learners/regression.hpp"
#include "gdssm/learners/scaling.hpp"
#include "learners/probe.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::difference;
using test::integer_stream;
using test::linear_stream;
using test::predictions_of;
using test::Probe;
using test::Seen;
using test::Stream;

TEST_CASE("A design is [x_t; x_t - x_{t-1}; y_{t-1}; y_{t-1} - y_{t-2}], and for targets before the first it stands",
          "[theorem]") {
  const Stream stream = integer_stream(2, 2, 5, 1);
  Seen seen;
  WithPast learner(2, 2, Beside(Levels{}, Changes{}, RecentTargets{2}),
                   [&](Index f, Index m) { return Probe(f, m, &seen); });
  predictions_of(learner, stream);
  for (Index t = 0; t < 5; ++t) {
    CAPTURE(t);
    const auto target = [&](Index i) { return VectorXd(stream.y.col(std::max<Index>(i, 0))); };
    VectorXd z(8);
    z << stream.x.col(t), stream.x.col(t) - stream.x.col(std::max<Index>(t - 1, 0)), target(t - 1),
        target(t - 1) - target(t - 2);
    const auto row = static_cast<std::size_t>(t);
    CHECK(seen.inputs[row] == z);
    if (t == 0) z.tail(4).setZero();  // no target is known when the first one is predicted
    CHECK(seen.queries[row] == z);
    CHECK(seen.targets[row] == stream.y.col(t));
  }
}

TEST_CASE("Merged, a past is that of the later stream, if it has one", "[theorem]") {
  const Stream stream = integer_stream(2, 1, 6, 2);
  const Stream first{stream.x.leftCols(4), stream.y.leftCols(4)}, second{stream.x.rightCols(2), stream.y.rightCols(2)};
  Seen seen;
  const WithPast fresh(2, 1, Beside(Changes{}, RecentTargets{2}), [&](Index f, Index m) { return Probe(f, m, &seen); });
  auto one = fresh, other = fresh;
  predictions_of(one, first);
  const auto before = one.state();
  one.merge(fresh.state());
  CHECK(one.state() == before);
  predictions_of(other, second);
  one.merge(other.state());
  CHECK(one.state().rows[0] == 6);
  CHECK(one.state().inner.rows[0] == 6);
  CHECK(one.state().input_before == other.state().input_before);
  CHECK(one.state().recent == other.state().recent);
  auto empty = fresh;
  empty.merge(before);
  CHECK(empty.state() == before);
}

TEST_CASE("From the last value, the inner learner sees changes from the second pair on", "[theorem]") {
  const Stream stream = integer_stream(2, 2, 4, 3);
  Seen seen;
  FromLastValue learner(Probe(2, 2, &seen, 0.5));
  const MatrixXd predictions = predictions_of(learner, stream);
  REQUIRE(seen.targets.size() == 3);
  CHECK(predictions.col(0) == VectorXd::Constant(2, 0.5));
  for (Index t = 1; t < 4; ++t) {
    CHECK(seen.inputs[static_cast<std::size_t>(t - 1)] == stream.x.col(t));
    CHECK(seen.targets[static_cast<std::size_t>(t - 1)] == stream.y.col(t) - stream.y.col(t - 1));
    CHECK(predictions.col(t) == VectorXd(stream.y.col(t - 1).array() + 0.5));
  }
}

TEST_CASE("Predictions stay within the range of the targets, widened by room times its length, merged too",
          "[theorem]") {
  Seen seen;
  const VectorXd x = VectorXd::Zero(1);
  for (const double answer : {-1e3, 1e3}) {
    WithinRange learner(Probe(1, 1, &seen, answer), 0.25), other = learner, fresh = learner;
    CHECK(learner.predict(x)[0] == 0);  // before the first target
    for (const double y : {6.0, 5.0, 9.0}) learner.observe(x, VectorXd::Constant(1, y));
    CHECK(learner.predict(x)[0] == (answer > 0 ? 10 : 4));
    other.merge(learner.state());
    CHECK(other.predict(x)[0] == (answer > 0 ? 10 : 4));  // 0 does not join
    learner.merge(fresh.state());
    CHECK(learner.predict(x)[0] == (answer > 0 ? 10 : 4));
    fresh.observe(x, VectorXd::Constant(1, 1));
    learner.merge(fresh.state());
    CHECK(learner.predict(x)[0] == (answer > 0 ? 11 : -1));
  }
}

TEST_CASE("Scaled pairs are z and the target less its mean before, and merging joins the moments", "[theorem]") {
  const double decay = 0.9;
  const Stream stream = linear_stream(2, 1, 20, 4);
  Seen seen;
  const WithScaling fresh(Probe(2, 1, &seen, 0.5), decay);
  auto learner = fresh;
  const MatrixXd predictions = predictions_of(learner, stream);
  Moments<double> inputs(2), targets(1);
  for (Index t = 0; t < 20; ++t) {
    VectorXd z = stream.x.col(t), e = stream.y.col(t), x = z, y = e;
    inputs.scale(z);
    targets.centre(e);
    const auto row = static_cast<std::size_t>(t);
    CHECK(seen.queries[row] == z);
    CHECK(seen.inputs[row] == z);
    CHECK(seen.targets[row] == e);
    CHECK(predictions(0, t) == targets.offset.first[0] + targets.offset.mean[0] + 0.5);
    inputs.absorb(x, decay);
    targets.absorb(y, decay);
  }
  auto first = fresh, second = fresh;
  predictions_of(first, Stream{stream.x.leftCols(12), stream.y.leftCols(12)});
  predictions_of(second, Stream{stream.x.rightCols(8), stream.y.rightCols(8)});
  first.merge(second.state());
  const auto of = [](const Moments<double>& m) { return VectorXd(m.offset.first + m.offset.mean); };
  CHECK(difference(first.state().inputs.squares, learner.state().inputs.squares) < 1e-14);
  CHECK(difference(first.state().targets.squares, learner.state().targets.squares) < 1e-14);
  CHECK(difference(of(first.state().inputs), of(learner.state().inputs)) < 1e-14);
  CHECK(difference(of(first.state().targets), of(learner.state().targets)) < 1e-14);
  CHECK(first.state().inner.rows[0] == 20);
}

TEST_CASE("Bent inputs are x and min(|z|, 3), and merging joins the moments", "[theorem]") {
  Stream stream = linear_stream(2, 1, 30, 5);
  stream.x(0, 29) = 1e3;
  Seen seen;
  const WithBends fresh(2, 1, [&](Index f, Index m) { return Probe(f, m, &seen); });
  auto learner = fresh;
  predictions_of(learner, stream);
  Moments<double> moments(2);
  for (Index t = 0; t < 30; ++t) {
    VectorXd z = stream.x.col(t), x = z, expected(4);
    moments.scale(z);
    expected << x, z.cwiseAbs().cwiseMin(3);
    CHECK(seen.queries[static_cast<std::size_t>(t)] == expected);
    CHECK(seen.inputs[static_cast<std::size_t>(t)] == expected);
    moments.absorb(x, 1);
  }
  CHECK(seen.inputs.back()[2] == 3);
  auto first = fresh, second = fresh;
  predictions_of(first, Stream{stream.x.leftCols(12), stream.y.leftCols(12)});
  predictions_of(second, Stream{stream.x.rightCols(18), stream.y.rightCols(18)});
  first.merge(second.state());
  CHECK(difference(first.state().inputs.squares, learner.state().inputs.squares) < 1e-14);
}

}  // namespace
}  // namespace gdssm
