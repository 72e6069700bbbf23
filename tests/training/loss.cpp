// SPDX-License-Identifier: Apache-2.0
#include "gdssm/training/loss.hpp"

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

}  // namespace
}  // namespace gdssm
