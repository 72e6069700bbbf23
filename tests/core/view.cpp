// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/view.hpp"

#include <type_traits>
#include <utility>

#include "support/catch.hpp"

namespace gdssm {
namespace {

// Sizes in the type take no memory.
static_assert(sizeof(View<float, 3, 2>) == sizeof(float*));
static_assert(std::is_trivially_copyable_v<View<float>> && std::is_trivially_copyable_v<View<float, 3, 3>>);

// Const may be added but not removed. Sizes may move to run time, and into the type, where they are checked; a number
// of columns only explicitly, so that no matrix becomes a vector unnoticed.
static_assert(std::is_convertible_v<View<float, 3, 2>, View<const float, 3, 2>>);
static_assert(!std::is_convertible_v<View<const float, 3, 2>, View<float, 3, 2>>);
static_assert(std::is_convertible_v<View<float, 3, 2>, View<float>>);
static_assert(std::is_convertible_v<View<float>, View<float, 3>>);
static_assert(!std::is_convertible_v<View<float>, View<float, 3, 2>> &&
              !std::is_convertible_v<View<float>, View<float, Dynamic, 1>>);
static_assert(std::is_constructible_v<View<float, 3, 2>, View<float>>);
static_assert(!std::is_convertible_v<View<float, 3, 2>, View<float, 2, 3>>);
static_assert(!std::is_convertible_v<View<float>, View<double>>);

TEST_CASE("a view of another size than the type's is refused, in release too", "[misuse][regression]") {
  double data[6] = {};
  const View<double> A(data, 2, 3);
  CHECK_THROWS_WITH((View<double, 3>(A)), "View: the number of rows is 2, expected 3");
  CHECK_THROWS_WITH((View<double, Dynamic, 1>(A)), "View: the number of columns is 3, expected 1");
  CHECK(View<double, 2, 3>(A).data() == data);
  CHECK_THROWS_WITH((View<double, 3>(data, 2, 3)), "View: the number of rows or columns is 2, expected 3");
}

TEST_CASE("an array of a negative size, or of another than the type's, is refused, in release too", "[misuse]") {
  CHECK_THROWS_WITH(Array<double>(-1, -2), "Array: the sizes are -1 x -2, expected any x any");
  CHECK_THROWS_WITH((Array<double, 3>(2, 1)), "Array: the sizes are 2 x 1, expected 3 x any");
  CHECK_THROWS_WITH((Array<double, 3, 1>(3, 2)), "Array: the sizes are 3 x 2, expected 3 x 1");
}

TEST_CASE("a view is column-major, and so are its columns", "[view]") {
  double data[] = {1, 2, 3, 4, 5, 6};
  const View<double> A(data, 2, 3);
  CHECK(A.size() == 6);
  CHECK(A(1, 2) == 6);
  CHECK(A[3] == 4);
  CHECK(A.column(1)[0] == 3);
  const auto tail = A.columns<2>(1);
  CHECK(std::is_same_v<decltype(tail), const View<double, Dynamic, 2>>);
  CHECK(tail.data() == data + 2);
  CHECK(A.columns(1, 1).size() == 2);
  A.columns(0, 2).fill(9);
  CHECK((data[3] == 9 && data[4] == 5));
}

TEST_CASE("a view of nothing is told apart", "[view]") {
  double number = 0;
  CHECK(!View<double>::absent().present());
  CHECK(View<double>::absent().size() == 0);
  CHECK(!View<double, 3, 2>::absent().present());
  CHECK(View<double, 1, 1>(&number, 1, 1).present());
}

TEST_CASE("an array is a value that begins at zero", "[view]") {
  Array<double, 2> a(2, 3);
  CHECK(a.size() == 6);
  for (Index i = 0; i < a.size(); ++i) CHECK(a[i] == 0);
  Array<double, 2> b = a;
  CHECK(a == b);
  b(1, 2) = 5;
  CHECK(b[5] == 5);
  CHECK(!(a == b));
  CHECK(!(a == Array<double, 2>(2, 2)));
  CHECK(Array<double>().size() == 0);
  CHECK(Array<double, 2, 3>().size() == 6);
  CHECK(b.matrix()(1, 2) == 5);
  b.matrix().setConstant(7);
  CHECK(b[0] == 7);
  CHECK(Array<double, 1>(1, 3).matrix().cols() == 3);
}

TEST_CASE("an Eigen matrix is viewed in place", "[view]") {
  Eigen::Matrix<float, 2, Eigen::Dynamic> A(2, 3);
  const auto view = view_of(A);
  CHECK(std::is_same_v<decltype(view), const View<float, 2, Dynamic>>);
  view(1, 2) = 4;
  CHECK(A(1, 2) == 4);
  CHECK(view_of(std::as_const(A)).data() == A.data());
  Eigen::RowVector3f row(1, 2, 3);
  CHECK(view_of(row)(0, 2) == 3);
}

TEST_CASE("copy and add go entry by entry", "[view]") {
  Array<double, 2, 2> a, b;
  a.fill(3);
  b.fill(4);
  const View<const double, 2, 2> from = a.view();
  detail::add(from, b.view());
  CHECK(b[3] == 7);
  detail::copy(from, b.view());
  CHECK(a == b);
}

TEST_CASE("arrays of nothing are equal when they have the same shape", "[view]") {
  CHECK(Array<double>(0, 3) == Array<double>(0, 3));
  CHECK(!(Array<double>(0, 2) == Array<double>(0, 3)));
  CHECK(!(Array<double>(2, 0) == Array<double>(3, 0)));
  CHECK(!(Array<double>(0, 3) == Array<double>(3, 0)));
}

}  // namespace
}  // namespace gdssm
