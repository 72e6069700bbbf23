// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/tiled_kernels.hpp"

#include <cmath>
#include <utility>

#include "gdssm/core/kernels.hpp"
#include "gdssm/core/random.hpp"
#include "support/catch.hpp"

namespace gdssm::test {
namespace {

/// A matrix of random numbers in (-1/2, 1/2), or of decays in (1/2, 1).
template <class S>
Array<S> random_matrix(Index rows, Index cols, std::uint32_t part) {
  Array<S> matrix(rows, cols);
  RandomStream<S> stream(17, 0, part);
  for (Index i = 0; i < matrix.size(); ++i) matrix[i] = stream.uniform() - S(LaneScalar<S>(0.5));
  return matrix;
}
template <class P>
Array<P> random_decays(Index rows, Index cols) {
  Array<P> decays(rows, cols);
  RandomStream<P> stream(17, 0, 99);
  for (Index i = 0; i < decays.size(); ++i) decays[i] = 1 - stream.uniform() / 2;
  return decays;
}

template <class S>
double largest(const Array<S>& a, const Array<S>& b) {
  double most = 0;
  for (Index i = 0; i < a.size(); ++i)
    for (Index l = 0; l < lane_count<S>; ++l) most = std::max(most, std::abs(double(lane(a[i], l) - lane(b[i], l))));
  return most;
}

template <Index Rank, class S>
void expect_scan(Index rows, Index cols, Index n, Index stride) {
  CAPTURE(rows, cols, n, stride, Rank, lane_count<S>);
  using P = LaneScalar<S>;
  const auto decay = random_decays<P>(cols, rows);
  const auto lefts = random_matrix<S>(rows, (n - 1) * stride + Rank, 1), rights = random_matrix<S>(cols, Rank * n, 2);
  auto memory = random_matrix<S>(cols, rows, 3), sensitivity = random_matrix<S>(cols, rows, 4);
  auto tiled_memory = memory, tiled_sensitivity = sensitivity, alone = memory;
  auto fresh_memory = memory, fresh_sensitivity = sensitivity;
  for (const bool from_zero : {false, true}) {
    if (from_zero) {
      memory.fill(S(0));
      sensitivity.fill(S(0));
    }
    for (Index t = 0; t < n; ++t) {
      kernels::decayed_sum(decay.view(), std::as_const(memory).view(), sensitivity.view());
      kernels::decayed_outer_sum(decay.view(), lefts.view().template columns<Rank>(t * stride),
                                 rights.view().template columns<Rank>(t * Rank), memory.view());
    }
    if (from_zero) {
      kernels::decayed_outer_scan<Rank>(decay.view(), lefts.view(), stride, rights.view(), fresh_memory.view(),
                                        fresh_sensitivity.view(), kernels::ScanStart::zero);
      CHECK(fresh_memory == memory);
      CHECK(fresh_sensitivity == sensitivity);
    } else {
      kernels::decayed_outer_scan<Rank>(decay.view(), lefts.view(), stride, rights.view(), tiled_memory.view(),
                                        tiled_sensitivity.view());
      CHECK(tiled_memory == memory);
      CHECK(tiled_sensitivity == sensitivity);
      kernels::decayed_outer_scan<Rank>(decay.view(), lefts.view(), stride, rights.view(), alone.view(),
                                        View<S>::absent());
      CHECK(alone == memory);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("A tiled scan is its steps, bit for bit, at all sizes and remainders", "[definition]", float, double,
                   Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  for (const Index rows : {1, 2, 3, 5, 9, 10, 11, 23})
    for (const Index cols : {1, 2, 4, 7, 16, 37}) {
      expect_scan<3, TestType>(rows, cols, 4, 2);
      expect_scan<1, TestType>(rows, cols, 3, 1);
    }
  expect_scan<3, TestType>(10, 10, 1, 2);
  expect_scan<2, TestType>(4, 6, 5, 3);
  expect_scan<3, TestType>(10, 7, 1100, 2);  // in pieces
}

TEMPLATE_TEST_CASE("A tiled pull is the steps' VJP from last to first, to rounding", "[vjp]", float, double,
                   Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  using S = TestType;
  using P = LaneScalar<S>;
  constexpr Index rank = 3, stride = 2;
  const double tolerance = std::is_same_v<P, float> ? 2e-6 : 1e-14;
  for (const Index rows : {1, 2, 5, 10, 13})
    for (const Index cols : {1, 2, 3, 5, 8, 20, 33})
      for (const Index n : {1, 2, 6}) {
        CAPTURE(rows, cols, n);
        const auto decay = random_decays<P>(cols, rows);
        const auto lefts = random_matrix<S>(rows, (n - 1) * stride + rank, 1);
        const auto rights = random_matrix<S>(cols, rank * n, 2);
        const auto o = random_matrix<S>(rows, 1, 3), v = random_matrix<S>(cols, 1, 4);
        const auto column = [](const Array<S>& vector) { return vector.view().column(0); };

        Array<S> cotangent(cols, rows), expected(cols, rank * n), found(cols, rank * n);
        kernels::add_outer(column(v), column(o), cotangent.view());
        for (Index t = n - 1; t >= 0; --t)
          kernels::decayed_outer_sum_vjp(decay.view(), lefts.view().template columns<rank>(t * stride),
                                         rights.view().template columns<rank>(t * rank), View<const S>::absent(),
                                         cotangent.view(), View<S>::absent(), View<S, Dynamic, rank>::absent(),
                                         expected.view().template columns<rank>(t * rank));

        Array<P> powers(cols, rows * n);
        for (Index t = n - 1; t >= 0; --t)
          for (Index i = 0; i < decay.size(); ++i)
            powers[t * decay.size() + i] = t == n - 1 ? P(1) : powers[(t + 1) * decay.size() + i] * decay[i];
        Array<S> gated(rows, lefts.cols());
        kernels::scale_rows(lefts.view(), column(o), gated.view());
        for (const bool ends : {false, true}) {
          found.fill(S(7));
          kernels::decayed_outer_pull<rank>(std::as_const(powers).view(), std::as_const(gated).view(), stride,
                                            column(v), found.view(), ends);
          CHECK(largest(found, expected) < tolerance);
        }
      }
}

TEMPLATE_TEST_CASE("Mixed columns are their sums, gated ones their products, and the VJP is the inner products",
                   "[vjp]", float, double, Lanes<float>, Lanes<double>) {
  using S = TestType;
  using P = LaneScalar<S>;
  constexpr Index width = 3, stride = 2;
  for (const Index rows : {1, 3, 4, 10, 21})
    for (const Index n : {1, 5}) {
      CAPTURE(rows, n);
      Array<P, width, width> A;
      for (Index i = 0; i < A.size(); ++i) A[i] = P(0.1) * P(i) - P(0.3);
      const auto tokens = random_matrix<S>(rows, (n - 1) * stride + width, 1), gate = random_matrix<S>(rows, 1, 2);
      Array<S> rights(rows, width * n), gated(rows, tokens.cols()), expected = rights, expected_gated = gated;
      kernels::mix_columns<width, stride>(std::as_const(A).view(), tokens.view(), rights.view(), gate.view().column(0),
                                          gated.view());
      for (Index t = 0; t < n; ++t)
        for (Index a = 0; a < width; ++a)
          for (Index i = 0; i < rows; ++i) {
            S sum = S(A(a, 0)) * tokens(i, t * stride);
            for (Index b = 1; b < width; ++b) sum = multiply_add(S(A(a, b)), tokens(i, t * stride + b), sum);
            expected(i, t * width + a) = sum;
          }
      kernels::scale_rows(tokens.view(), gate.view().column(0), expected_gated.view());
      CHECK(rights == expected);
      CHECK(gated == expected_gated);

      const auto rights_bar = random_matrix<S>(rows, width * n, 3);
      Array<S, width, width> A_bar, expected_bar;
      A_bar.fill(S(1));
      expected_bar.fill(S(1));
      kernels::mix_columns_vjp<width>(tokens.view(), stride, rights_bar.view(), A_bar.view());
      for (Index t = 0; t < n; ++t)
        for (Index a = 0; a < width; ++a)
          for (Index b = 0; b < width; ++b)
            for (Index i = 0; i < rows; ++i)
              expected_bar(a, b) += rights_bar(i, t * width + a) * tokens(i, t * stride + b);
      for (Index i = 0; i < A_bar.size(); ++i)
        for (Index l = 0; l < lane_count<S>; ++l)
          CHECK(std::abs(double(lane(A_bar[i], l) - lane(expected_bar[i], l))) <
                (std::is_same_v<P, float> ? 1e-5 : 1e-13));
    }
}

TEMPLATE_TEST_CASE("A tiled product of matrix and vector is the plain sum, bit for bit", "[definition]", float, double,
                   Lanes<float>, Lanes<double>) {
  using S = TestType;
  using P = LaneScalar<S>;
  for (const Index rows : {1, 4, 10, 37})
    for (const Index cols : {1, 6}) {
      const auto matrix = random_matrix<S>(rows, cols, 1), x = random_matrix<S>(cols, 1, 2);
      const auto coefficients = random_decays<P>(rows, cols);
      Array<S, Dynamic, 1> found(rows, 1);
      const auto expect_sum = [&](const auto& A) {
        for (Index i = 0; i < rows; ++i) {
          S sum = S(0);
          for (Index j = 0; j < cols; ++j) sum = multiply_add(S(A(i, j)), x[j], sum);
          REQUIRE(found[i] == sum);
        }
      };
      kernels::multiply_tiled(matrix.view(), x.view().column(0), found.view());
      expect_sum(matrix);
      kernels::multiply_tiled(coefficients.view(), x.view().column(0), found.view());
      expect_sum(coefficients);
    }
}

TEMPLATE_TEST_CASE("Tiled transposed and outer products are the plain sums, bit for bit", "[definition]", Lanes<float>,
                   Lanes<double>, (Lanes<float, 32>)) {
  using S = TestType;
  using P = LaneScalar<S>;
  for (const Index rows : {1, 4, 10, 37})
    for (const Index cols : {1, 6, 23}) {
      const auto matrix = random_matrix<S>(rows, cols, 1), x = random_matrix<S>(rows, 1, 2),
                 y = random_matrix<S>(cols, 1, 3), start = random_matrix<S>(rows, cols, 4);
      const auto coefficients = random_decays<P>(rows, cols);
      const View<const S, Dynamic, 1> of_rows = x.view().column(0), of_cols = y.view().column(0);
      Array<S, Dynamic, 1> found(cols, 1);
      const auto expect_sum = [&](const auto& A) {
        for (Index j = 0; j < cols; ++j) {
          S sum = S(0);
          for (Index i = 0; i < rows; ++i) sum = multiply_add(S(A(i, j)), x[i], sum);
          REQUIRE(found[j] == sum);
        }
      };
      kernels::multiply_transposed_tiled(matrix.view(), of_rows, found.view());
      expect_sum(matrix);
      kernels::multiply_transposed_tiled(coefficients.view(), of_rows, found.view());
      expect_sum(coefficients);

      auto plain = start, weighted = start;
      kernels::add_outer_tiled(of_rows, of_cols, View<const S>::absent(), plain.view());
      kernels::add_outer_tiled(of_rows, of_cols, matrix.view(), weighted.view());
      for (Index j = 0; j < cols; ++j)
        for (Index i = 0; i < rows; ++i) {
          REQUIRE(plain(i, j) == multiply_add(x[i], y[j], start(i, j)));
          REQUIRE(weighted(i, j) == multiply_add(x[i] * y[j], matrix(i, j), start(i, j)));
        }
    }
}

}  // namespace gdssm::test
