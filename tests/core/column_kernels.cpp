// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/column_kernels.hpp"

#include <tuple>
#include <utility>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

template <class S>
Array<S> random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Array<S> matrix(rows, cols);
  test::Random(seed).fill(matrix);
  return matrix;
}

template <class S>
void check_products(Index n, Index m, Index T) {
  CAPTURE(n, m, T, lane_count<S>);
  using P = LaneScalar<S>;
  const auto A = random_matrix<P>(n, m, 1);
  const auto X = random_matrix<S>(m, T, 2), G = random_matrix<S>(n, T, 3);
  Array<S> Y(n, T), expected_Y(n, T);
  auto Z = random_matrix<S>(n, T, 6), expected_Z = Z;
  auto X_bar = random_matrix<S>(m, T, 4), expected_X_bar = X_bar;
  auto A_bar = random_matrix<S>(n, m, 5), expected_A_bar = A_bar;
  kernels::multiply_columns(A.view(), X.view(), Y.view());
  kernels::add_columns(A.view(), X.view(), Z.view());
  kernels::add_transposed(A.view(), G.view(), X_bar.view());
  kernels::add_outer_products(G.view(), X.view(), A_bar.view());
  for (Index t = 0; t < T; ++t)
    for (Index j = 0; j < m; ++j)
      for (Index i = 0; i < n; ++i) {
        expected_Y(i, t) = multiply_add(S(A(i, j)), X(j, t), expected_Y(i, t));
        expected_Z(i, t) = multiply_add(S(A(i, j)), X(j, t), expected_Z(i, t));
        expected_X_bar(j, t) = multiply_add(S(A(i, j)), G(i, t), expected_X_bar(j, t));
        expected_A_bar(i, j) = multiply_add(G(i, t), X(j, t), expected_A_bar(i, j));
      }
  CHECK(Y == expected_Y);
  CHECK(Z == expected_Z);
  CHECK(X_bar == expected_X_bar);
  CHECK(A_bar == expected_A_bar);
}

TEMPLATE_TEST_CASE("products with the columns of a sequence and their derivatives are the sums, to the bit", "[lanes]",
                   float, double, Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {3, 2}, {10, 30}, {19, 7}, {16, 25}})
    for (const Index T : {1, 11}) check_products<TestType>(n, m, T);
  if constexpr (lane_count<TestType> == 1)  // products of several tiles, sums of several stretches
    for (const auto& [n, m, T] : {std::tuple<Index, Index, Index>{70, 300, 13}, {130, 9, 270}, {64, 64, 7}, {0, 3, 2}})
      check_products<TestType>(n, m, T);
}

}  // namespace
}  // namespace gdssm
