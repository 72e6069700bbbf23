// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/loss.hpp"

#include <cmath>
#include <cstdint>
#include <utility>

#include "gdssm/core/random.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

/// Predictions (2 x 2) and targets whose errors are (1, -2) and (3, 0.5).
const Eigen::Matrix2d predictions = (Eigen::Matrix2d() << 1, 4, 2, 1).finished();
const Eigen::Matrix2d targets = (Eigen::Matrix2d() << 0, 1, 4, 0.5).finished();

template <class S, class Kind>
struct Result {
  S value;
  Array<S> gradient{2, 2};
};

template <class S, class Kind>
Result<S, Kind> evaluate(const Array<S>& y, LaneScalar<S> scale, View<const S> present = View<const S>::absent()) {
  SquaredError<S, Kind> error(y.view(), scale, present);
  Result<S, Kind> result;
  for (Index j = 0; j < 2; ++j) {
    Array<S, Dynamic, 1> prediction(2, 1), g(2, 1);
    for (Index i = 0; i < 2; ++i) prediction[i] = S(static_cast<LaneScalar<S>>(predictions(i, j)));
    g.fill(S(7));
    error(j, View<const S, Dynamic, 1>(prediction.view()), g.view());
    for (Index i = 0; i < 2; ++i) result.gradient(i, j) = g[i];
  }
  result.value = error.value();
  return result;
}

template <class S>
Array<S> array_of(const Eigen::MatrixXd& matrix) {
  Array<S> array(matrix.rows(), matrix.cols());
  for (Index i = 0; i < array.size(); ++i) array[i] = S(static_cast<LaneScalar<S>>(matrix.data()[i]));
  return array;
}

TEST_CASE("for vector targets the loss is half the squared error of every coordinate, times the scale", "[loss]") {
  const auto [value, gradient] = evaluate<double, VectorTargets>(array_of<double>(targets), 0.25);
  CHECK(value == 0.25 * 0.5 * (1 + 4 + 9 + 0.25));
  CHECK(gradient.matrix() == 0.25 * (predictions - targets));
}

TEST_CASE("for scalar targets only the last coordinate counts", "[loss]") {
  const auto [value, gradient] = evaluate<double, ScalarTargets>(array_of<double>(targets), 0.5);
  CHECK(value == 0.5 * 0.5 * (4 + 0.25));
  Eigen::Matrix2d expected = 0.5 * (predictions - targets);
  expected.row(0).setZero();
  CHECK(gradient.matrix() == expected);
}

TEST_CASE("windows and lanes that bear no loss add nothing, and pull nothing back", "[loss]") {
  using S = Lanes<float>;
  Array<S> present(1, 2);
  for (Index l = 0; l < S::count; ++l) {
    set_lane(present[0], l, l % 2 == 0 ? 1.0f : 0.0f);
    set_lane(present[1], l, l % 3 == 0 ? 1.0f : 0.0f);
  }
  const auto [value, gradient] = evaluate<S, VectorTargets>(array_of<S>(targets), 1, present.view());
  for (Index l = 0; l < S::count; ++l) {
    CAPTURE(l);
    const bool first = l % 2 == 0, second = l % 3 == 0;
    CHECK(lane(value, l) == (first ? 2.5f : 0.0f) + (second ? 4.625f : 0.0f));
    CHECK(lane(gradient(0, 0), l) == (first ? 1.0f : 0.0f));
    CHECK(lane(gradient(1, 0), l) == (first ? -2.0f : 0.0f));
    CHECK(lane(gradient(0, 1), l) == (second ? 3.0f : 0.0f));
    CHECK(lane(gradient(1, 1), l) == (second ? 0.5f : 0.0f));
  }
}

/// Logits of two windows, with three classes and a row that does not count; probabilities of the classes.
const Eigen::MatrixXd logits = (Eigen::MatrixXd(4, 2) << 0.5, -2, 1, 3, -1, 0.25, 9, -9).finished();
const Eigen::MatrixXd labels = (Eigen::MatrixXd(4, 2) << 0, 0.5, 1, 0.25, 0, 0.25, 5, 5).finished();

template <class S>
std::pair<S, Array<S>> cross_entropy_of(const Eigen::MatrixXd& of, LaneScalar<S> scale,
                                        View<const S> present = View<const S>::absent()) {
  const Array<S> y = array_of<S>(labels), yhat = array_of<S>(of);
  CrossEntropy<S, 3> loss(y.view(), scale, present);
  Array<S> gradient(4, 2);
  gradient.fill(S(7));
  for (Index j = 0; j < 2; ++j) loss(j, View<const S, Dynamic, 1>(yhat.view().column(j)), gradient.view().column(j));
  return {loss.value(), gradient};
}

TEST_CASE("the cross-entropy (13a) and its gradient are those of the definition", "[loss]") {
  const auto plain = [](const Eigen::MatrixXd& of) {
    double sum = 0;
    for (Index j = 0; j < 2; ++j)
      sum += std::log(of.col(j).head(3).array().exp().sum()) - labels.col(j).head(3).dot(of.col(j).head(3));
    return 0.25 * sum;
  };
  const auto [value, gradient] = cross_entropy_of<double>(logits, 0.25);
  CHECK(std::abs(value - plain(logits)) < 1e-14);
  for (Index i = 0; i < 8; ++i) {
    CAPTURE(i);
    Eigen::MatrixXd above = logits, below = logits;
    above.data()[i] += 1e-5;
    below.data()[i] -= 1e-5;
    CHECK(std::abs(gradient[i] - (plain(above) - plain(below)) / 2e-5) < 1e-9);
  }
  CHECK(gradient(3, 0) == 0);
}

TEST_CASE("lanes have the cross-entropy that each has alone, and absent ones none", "[loss]") {
  using S = Lanes<float>;
  Array<S> present(1, 2);
  for (Index l = 0; l < S::count; ++l) set_lane(present[0], l, l % 2 == 0 ? 1.0f : 0.0f);
  const auto [value, gradient] = cross_entropy_of<S>(logits, 0.5f, present.view());
  const Array<double> expected_gradient = cross_entropy_of<double>(logits, 0.5).second;
  const double first = 0.5 * (std::log(logits.col(0).head(3).array().exp().sum()) - logits(1, 0));
  for (Index l = 0; l < S::count; ++l) {
    CHECK(std::abs(static_cast<double>(lane(value, l)) - (l % 2 == 0 ? first : 0)) < 1e-6);
    for (Index k = 0; k < 4; ++k) {
      CHECK(std::abs(static_cast<double>(lane(gradient(k, 0), l)) - (l % 2 == 0 ? expected_gradient(k, 0) : 0)) < 1e-6);
      CHECK(lane(gradient(k, 1), l) == 0);
    }
  }
}

TEST_CASE("large logits do not overflow the cross-entropy", "[loss]") {
  const auto [value, gradient] = cross_entropy_of<float>(1000 * logits, 1);
  // 1000 (1 - 1) and 1000 (3 - (0.5 (-2) + 0.25 * 3 + 0.25 * 0.25))
  CHECK(value == Approx(1000 * (3 - (-1 + 0.75 + 0.0625))));
  CHECK(gradient.matrix().allFinite());
}

template <class S>
void check_confident_logits() {
  constexpr Index classes = 32;
  for (std::uint64_t trial = 0; trial < 2000; ++trial) {
    CAPTURE(trial);
    RandomStream<> random(1, trial);
    Eigen::VectorXd of(classes);
    for (Index k = 0; k < classes; ++k) of[k] = 10 * random.normal();
    Index sure = 0;
    of.maxCoeff(&sure);
    of[sure] += 20;
    const Array<S> target = array_of<S>(Eigen::VectorXd::Unit(classes, sure)), yhat = array_of<S>(of);
    Array<S> g(classes, 1);
    CrossEntropy<S, classes> loss(target.view(), 1);
    loss(0, View<const S, Dynamic, 1>(yhat.view().column(0)), g.view().column(0));
    CHECK(lane(loss.value(), 0) >= 0);
    CHECK(lane(loss.value(), 0) < 1e-4f);
    CHECK(lane(g[sure], 0) <= 0);
    for (Index k = 0; k < classes; ++k)
      if (k != sure) CHECK(lane(g[k], 0) >= 0);
  }
}

TEST_CASE("the cross-entropy of confident logits is at least zero, and pulls towards their class",
          "[loss][regression]") {
  check_confident_logits<float>();
  check_confident_logits<double>();
  check_confident_logits<Lanes<float>>();
}

TEST_CASE("targets with fewer rows than classes are refused", "[misuse]") {
  const Array<double> two(2, 1);
  CHECK_THROWS_WITH((CrossEntropy<double, 3>(two.view(), 1.0)),
                    "Loss: predictions have 2 coordinates, expected at least 3");
}

}  // namespace
}  // namespace gdssm
