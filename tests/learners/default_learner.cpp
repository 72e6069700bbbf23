// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/default_learner.hpp"

#include <cmath>

#include <Eigen/Dense>

#include "gdssm/learners/widen.hpp"
#include "learners/streams.hpp"
#include "support/catch.hpp"
#include "support/no_heap.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::difference;
using test::linear_stream;
using test::predictions_of;
using test::Stream;

MatrixXd default_predictions(const Stream& stream) {
  auto learner = default_learner(stream.x.rows(), stream.y.rows());
  return predictions_of(learner, stream);
}

double mean_square(const MatrixXd& errors) {
  return errors.rightCols(errors.cols() - 100).squaredNorm() / static_cast<double>(errors.cols() - 100);
}

TEST_CASE("The default is as good as the right learner, whichever of them it is", "[theorem]") {
  const Stream stationary = linear_stream(5, 1, 1500, 1, 0.5);
  auto ridge = RidgeLearner<>(5, 1);
  CHECK(mean_square(default_predictions(stationary) - stationary.y) <
        1.04 * mean_square(predictions_of(ridge, stationary) - stationary.y));

  Stream walk = stationary;  // a random walk that no input explains
  for (Index t = 1; t < walk.rows(); ++t) walk.y(0, t) = walk.y(0, t - 1) + stationary.y(0, t);
  auto last = LastValue<>(5, 1);
  Stream drift = stationary;  // a relation that turns round and round
  for (Index t = 0; t < drift.rows(); ++t)
    drift.y(0, t) = 3 * std::sin(0.01 * static_cast<double>(t)) * drift.x(0, t) + 0.1 * stationary.y(0, t);
  auto forgetting = RidgeLearner<>(5, 1, {.ridge = 1, .decay = 0.93});
  CHECK(mean_square(default_predictions(walk) - walk.y) < 1.04 * mean_square(predictions_of(last, walk) - walk.y));
  CHECK(mean_square(default_predictions(drift) - drift.y) <
        1.04 * mean_square(predictions_of(forgetting, drift) - drift.y));
  CHECK(mean_square(default_predictions(drift) - drift.y) < 0.5 * mean_square(predictions_of(ridge, drift) - drift.y));
}

TEST_CASE("Of relations that switch or multiply, the default explains what ridge regression cannot", "[theorem]") {
  const Stream stream = linear_stream(3, 1, 700, 4, 0.1);
  for (const bool switches : {false, true}) {
    Stream other = stream;
    for (Index t = 0; t < other.rows(); ++t) {
      const auto x = stream.x.col(t);
      other.y(0, t) = (switches ? (x[0] > 0.1 ? 4 * x[1] : 2 - 4 * x[1]) : 4 * x[0] * x[1]) + 0.05 * stream.y(0, t);
    }
    auto ridge = RidgeLearner<>(3, 1);
    CHECK(mean_square(default_predictions(other) - other.y) <
          0.25 * mean_square(predictions_of(ridge, other) - other.y));
  }
}

TEST_CASE("A default learner of many inputs is widened from one that began with few", "[theorem]") {
  auto narrow = default_learner(120, 1, 120), wide = default_learner(140, 1, 120);
  const Stream stream = linear_stream(120, 1, 3, 5);
  predictions_of(narrow, stream);
  widen(wide, narrow);
  VectorXd x = VectorXd::Zero(140);
  x.head(120) = stream.x.col(0);
  CHECK(wide.predict(x)[0] == Approx(narrow.predict(stream.x.col(0))[0]).epsilon(1e-9));
}

TEST_CASE("Shifting or rescaling columns changes the default's predictions by rounding alone", "[theorem]") {
  const Stream stream = linear_stream(3, 1, 120, 2);
  // Mixing resolves losses to a millionth of the largest, and so magnifies rounding.
  const MatrixXd predictions = default_predictions(stream);
  Stream other = stream;
  other.x.row(0) *= 1e6;
  other.x.row(1) *= -3.7e-5;
  other.x.row(2).array() += 20;
  CHECK(difference(default_predictions(other), predictions) < 1e-8);
  other = stream;
  other.y *= 1e3;
  CHECK(difference(default_predictions(other), 1e3 * predictions) < 1e-8);
}

TEST_CASE("The default takes vectors, and allocates nothing", "[no_heap]") {
  const Stream stream = linear_stream(3, 2, 8, 3);
  auto learner = default_learner(3, 2);
  CHECK(test::allocations_of([&] {
          for (Index t = 0; t < 8; ++t) {
            learner.predict(stream.x.col(t));
            learner.observe(stream.x.col(t), stream.y.col(t));
          }
        }) == 0);
  CHECK(learner.predict(stream.x.col(0)).allFinite());
}

}  // namespace
}  // namespace gdssm
