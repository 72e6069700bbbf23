// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/kernels.hpp"

#include <Eigen/Dense>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

template <class T, Index Rows, Index Cols>
View<const T, Rows, Cols> read(const Array<T, Rows, Cols>& array) {
  return array.view();
}

template <Index Rows, Index Cols>
Array<double, Rows, Cols> random(Index rows, Index cols, test::Random& engine) {
  Array<double, Rows, Cols> array(rows, cols);
  engine.fill(array);
  return array;
}

template <Index Rows, Index Cols, Index Rank>
void check_outer_sum(Index rows, Index cols) {
  CAPTURE(rows, cols);
  test::Random engine(2);
  const auto decay = random<Cols, Rows>(cols, rows, engine), before = random<Cols, Rows>(cols, rows, engine);
  const auto left = random<Rows, Rank>(rows, Rank, engine);
  const auto right = random<Cols, Rank>(cols, Rank, engine);

  // M <- L * M + sum_a right_a left_a^T
  auto memory = before;
  kernels::decayed_outer_sum(read(decay), read(left), read(right), memory.view());
  const Eigen::MatrixXd expected =
      decay.matrix().cwiseProduct(before.matrix()) + right.matrix() * left.matrix().transpose();
  CHECK((memory.matrix() - expected).norm() < 1e-14);

  // right_bar = R left, left_bar = R^T right, L_bar += R * M, R <- L * R
  const auto R = random<Cols, Rows>(cols, rows, engine);
  auto cotangent = R;
  Array<double, Cols, Rows> decay_bar(cols, rows);
  Array<double, Rows, Rank> left_bar(rows, Rank);
  Array<double, Cols, Rank> right_bar(cols, Rank);
  decay_bar.fill(1);
  left_bar.fill(1);
  right_bar.fill(1);
  kernels::decayed_outer_sum_vjp(read(decay), read(left), read(right), read(before), cotangent.view(), decay_bar.view(),
                                 left_bar.view(), right_bar.view());
  CHECK((right_bar.matrix() - R.matrix() * left.matrix()).norm() < 1e-14);
  CHECK((left_bar.matrix() - R.matrix().transpose() * right.matrix()).norm() < 1e-14);
  CHECK((decay_bar.matrix().array() - 1 - R.matrix().array() * before.matrix().array()).matrix().norm() < 1e-14);
  CHECK((cotangent.matrix() - decay.matrix().cwiseProduct(R.matrix())).norm() < 1e-15);

  // Absent results do not change the others.
  auto again = R;
  Array<double, Cols, Rank> right_again(cols, Rank);
  kernels::decayed_outer_sum_vjp(read(decay), read(left), read(right), View<const double, Cols, Rows>::absent(),
                                 again.view(), View<double, Cols, Rows>::absent(), View<double, Rows, Rank>::absent(),
                                 right_again.view());
  CHECK(again == cotangent);
  CHECK(right_again == right_bar);

  // Y <- L * Y + M
  auto sensitivity = R;
  kernels::decayed_sum(read(decay), read(before), sensitivity.view());
  CHECK((sensitivity.matrix() - decay.matrix().cwiseProduct(R.matrix()) - before.matrix()).norm() < 1e-15);
}

TEST_CASE("decay, then add an outer product: the kernel, its pull-back and its sensitivity", "[definition]") {
  check_outer_sum<1, 1, 1>(1, 1);
  check_outer_sum<3, 2, 3>(3, 2);
  check_outer_sum<5, 5, 5>(5, 5);
  for (const Index rows : {1, 2, 7, 17}) check_outer_sum<Dynamic, Dynamic, 3>(rows, 4);
}

TEST_CASE("matrix times vector, its transpose, and an outer product", "[definition]") {
  test::Random engine(3);
  const auto A = random<Dynamic, Dynamic>(4, 3, engine);
  const auto x = random<Dynamic, 1>(3, 1, engine);
  const auto z = random<Dynamic, 1>(4, 1, engine);
  Array<double, Dynamic, 1> y(4, 1), w(3, 1);
  y.fill(9);
  w.fill(9);
  kernels::multiply(read(A), read(x), y.view());
  kernels::multiply_transposed(read(A), read(z), w.view());
  CHECK((y.matrix() - A.matrix() * x.matrix()).norm() < 1e-15);
  CHECK((w.matrix() - A.matrix().transpose() * z.matrix()).norm() < 1e-15);
  auto sum = A;
  kernels::add_outer(read(z), read(x), sum.view());
  CHECK((sum.matrix() - A.matrix() - z.matrix() * x.matrix().transpose()).norm() < 1e-15);
}

TEST_CASE("coefficients may be numbers where the data are lanes, and every lane is the plain kernel's", "[lanes]") {
  using S = Lanes<float>;
  test::Random engine(4);
  Array<float, 3, 3> decay;
  Array<S, 3, 3> memory;
  Array<S, 3, 2> left, right;
  engine.fill(decay);
  engine.fill(memory);
  engine.fill(left);
  engine.fill(right);
  auto after = memory;
  kernels::decayed_outer_sum(read(decay), read(left), read(right), after.view());
  for (Index k = 0; k < S::count; ++k) {
    Array<float, 3, 3> plain;
    Array<float, 3, 2> plain_left, plain_right;
    for (Index i = 0; i < 9; ++i) plain[i] = memory[i][k];
    for (Index i = 0; i < 6; ++i) plain_left[i] = left[i][k], plain_right[i] = right[i][k];
    kernels::decayed_outer_sum(read(decay), read(plain_left), read(plain_right), plain.view());
    bool same = true;
    for (Index i = 0; i < 9; ++i) same = same && plain[i] == after[i][k];
    CHECK(same);
  }
}

}  // namespace
}  // namespace gdssm
