// SPDX-License-Identifier: Apache-2.0
#include "gdssm/learners/stream_statistics.hpp"

#include <cmath>

#include <Eigen/Dense>

#include "learners/streams.hpp"
#include "support/catch.hpp"

namespace gdssm {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using test::difference;
using test::linear_stream;
using test::Rational;

/// Moments by their definitions: two passes over the columns of x, with weights L^(t-i).
struct Explicit {
  double weight;
  VectorXd mean, squares;

  Explicit(const MatrixXd& x, double L) {
    VectorXd c(x.cols());
    for (Index i = 0; i < x.cols(); ++i) c[i] = std::pow(L, static_cast<double>(x.cols() - 1 - i));
    weight = c.sum();
    mean = x * c / weight;
    squares = (x.colwise() - mean).cwiseAbs2() * c;
  }
};

Moments<double> moments_of(const MatrixXd& x, double L) {
  Moments<double> moments(x.rows());
  for (Index t = 0; t < x.cols(); ++t) {
    VectorXd row = x.col(t);
    moments.absorb(row, L);
  }
  return moments;
}

void check(const Moments<double>& moments, const MatrixXd& x, double L) {
  const Explicit expected(x, L);
  CHECK(moments.rows[0] == static_cast<double>(x.cols()));
  CHECK(std::abs(moments.weight[0] - expected.weight) < 1e-14 * expected.weight);
  CHECK(difference(moments.offset.first + moments.offset.mean, expected.mean) < 2e-15);
  CHECK(difference(moments.squares, expected.squares) < 1e-13);
}

/// Columns whose mean moves away from the first vector.
MatrixXd drifting(Index rows, Index count, std::uint64_t seed) {
  MatrixXd x = linear_stream(rows, 1, count, seed).x;
  for (Index t = 0; t < count; ++t) x.col(t).array() += static_cast<double>(t * t);
  return x;
}

TEST_CASE("Theorem: running moments are those of the definitions, and of two stretches merged those of all rows",
          "[theorem]") {
  for (const double L : {1.0, 0.9})
    for (const Index first : {0, 1, 13, 29, 30}) {
      CAPTURE(L, first);
      const MatrixXd x = drifting(3, 30, 1);
      check(moments_of(x, L), x, L);
      Moments<double> merged = moments_of(x.leftCols(first), L);
      merged.merge(moments_of(x.rightCols(30 - first), L), L);
      check(merged, x, L);
      // Later rows find a base that they can go on from.
      for (Index t = 0; t < 5; ++t) {
        VectorXd row = x.col(t);
        merged.absorb(row, L);
      }
      MatrixXd all(3, 35);
      all << x, x.leftCols(5);
      check(merged, all, L);
    }
}

TEST_CASE("Theorem: z is (x - mean) / deviation, with x itself in the deviation", "[theorem]") {
  for (const double L : {1.0, 0.9}) {
    const MatrixXd x = linear_stream(3, 1, 30, 2).x;
    Moments<double> moments(3);
    for (Index t = 0; t < 30; ++t) {
      VectorXd z = x.col(t);
      moments.scale(z);
      if (t == 0) {
        CHECK(z.isZero(0));
      } else {
        const Explicit before(x.leftCols(t), L);
        // The definition: the weighted variance of the rows before, decayed no further, and of x.
        const double w = before.weight;
        const VectorXd mean = (w * before.mean + x.col(t)) / (w + 1);
        const VectorXd squares = before.squares + w * (before.mean - mean).cwiseAbs2() + (x.col(t) - mean).cwiseAbs2();
        const VectorXd expected = (x.col(t) - before.mean).cwiseQuotient((squares / (w + 1)).cwiseSqrt());
        CHECK(difference(z, expected) < 1e-13);
        CHECK(z.cwiseAbs().maxCoeff() <= std::sqrt(w) + 1 / std::sqrt(w));
      }
      VectorXd row = x.col(t);
      moments.absorb(row, L);
    }
  }
  Moments<double> still(1);
  for (int t = 0; t < 5; ++t) {
    VectorXd row = VectorXd::Constant(1, 3);
    still.absorb(row, 1);
  }
  VectorXd z = VectorXd::Constant(1, 3);
  still.scale(z);
  CHECK(z[0] == 0);
}

TEST_CASE("Theorem: weights of merged rows are those of all rows, exactly", "[theorem]") {
  const Rational L = Rational(2) / 3;
  const auto of = [&](int rows) {
    RowWeights<Rational> weights;
    for (int t = 0; t < rows; ++t) weights.absorb(L);
    return weights;
  };
  for (const int first : {0, 1, 4}) {
    RowWeights<Rational> merged = of(first);
    const Rational later = of(5).weight[0];
    const auto joined = merged.merge(of(5), L);
    CHECK(merged.rows[0] == Rational(first + 5));
    CHECK(merged.weight[0] == of(first + 5).weight[0]);
    CHECK(joined.share == later / merged.weight[0]);
    CHECK(joined.before == merged.weight[0] - later);
    CHECK(merged.merge(of(0), L).share == Rational(0));
    CHECK(merged.weight[0] == of(first + 5).weight[0]);
  }
}

TEST_CASE("A range is that of the targets and of no others, merged too", "[theorem]") {
  const MatrixXd y{{5, 7, 6, 9}, {-3, -2, -4, -8}};
  const auto of = [&](Index first, Index count) {
    TargetRange<double> range{.least = VectorXd::Zero(2), .most = VectorXd::Zero(2)};
    for (Index t = first; t < first + count; ++t) range.absorb(y.col(t));
    return range;
  };
  for (const Index first : {0, 1, 3, 4}) {
    CAPTURE(first);
    TargetRange<double> range = of(0, first);
    range.merge(of(first, 4 - first));
    CHECK(range.rows[0] == 4);
    CHECK(range.least == VectorXd{{5, -8}});
    CHECK(range.most == VectorXd{{9, -2}});
    CHECK(range.clamped(20, 0, 0.5) == 11);
    CHECK(range.clamped(-20, 0, 0.5) == 3);
    CHECK(range.clamped(8, 0, 0.5) == 8);
    CHECK(range.clamped(0, 1, 0) == -2);
  }
}

TEST_CASE("The last target is that of the later rows, if there are any", "[theorem]") {
  LastTarget<double> one{.last = VectorXd::Zero(1)}, other = one;
  one.absorb(VectorXd::Constant(1, 5));
  one.merge(other);
  CHECK(one.last[0] == 5);
  CHECK(one.rows[0] == 1);
  other.absorb(VectorXd::Constant(1, 7));
  one.merge(other);
  CHECK(one.last[0] == 7);
  CHECK(one.rows[0] == 2);
}

}  // namespace
}  // namespace gdssm
