// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/tokens.hpp"

#include "support/catch.hpp"

namespace gdssm {
namespace {

TEST_CASE("interleave lays pairs out one token a column, the query last", "[tokens]") {
  Eigen::Matrix<double, 2, 3> x;
  x << 1, 2, 3,  //
      4, 5, 6;
  Eigen::MatrixXd y(2, 2);
  y << 7, 8,  //
      9, 10;
  Eigen::MatrixXd expected(2, 5);
  expected << 1, 7, 2, 8, 3,  //
      4, 9, 5, 10, 6;
  const auto tokens = interleave(x, y);
  CHECK(tokens == expected);
  static_assert(decltype(tokens)::RowsAtCompileTime == 2);
}

TEST_CASE("shorter targets fill a token's last coordinates, zeros above them", "[tokens]") {
  Eigen::MatrixXf x(3, 2), one(1, 1), two(2, 1), expected_one(3, 3), expected_two(3, 3);
  x << 1, 2, 3, 4, 5, 6;
  one << 7;
  two << 8, 9;
  expected_one << 1, 0, 2,  //
      3, 0, 4,              //
      5, 7, 6;
  expected_two << 1, 0, 2,  //
      3, 8, 4,              //
      5, 9, 6;
  CHECK(interleave(x, one) == expected_one);
  CHECK(interleave(x, two) == expected_two);
}

TEST_CASE("interleave takes a query without pairs, and expressions", "[tokens]") {
  const Eigen::MatrixXd x = Eigen::MatrixXd::Constant(2, 4, 3);
  CHECK(interleave(x.leftCols(1), x.leftCols(0)) == x.leftCols(1));
  CHECK(interleave(2 * x, x.leftCols(3) + x.leftCols(3)) == Eigen::MatrixXd::Constant(2, 7, 6));
}

TEST_CASE("interleave refuses inputs and targets that don't fit", "[tokens][misuse]") {
  const Eigen::MatrixXd x = Eigen::MatrixXd::Zero(2, 4);
  CHECK_THROWS_WITH(interleave(x, Eigen::MatrixXd::Zero(2, 4)), "interleave: the number of inputs is 4, expected 5");
  CHECK_THROWS_WITH(interleave(x, Eigen::MatrixXd::Zero(3, 3)),
                    "interleave: targets have 3 coordinates, expected at most 2, those of the inputs");
}

TEST_CASE("constructed tokens hold the input times its label, then the next input", "[tokens]") {
  Eigen::MatrixXd x(2, 3), y(1, 2), expected(4, 2);
  x << 1, 2, 3,  //
      4, 5, 6;
  y << 10, -1;
  expected << 10, -2,  //
      40, -5,          //
      2, 3,            //
      5, 6;
  CHECK(constructed_tokens(x, y) == expected);
}

TEST_CASE("constructed tokens need scalar targets, one less than inputs", "[tokens][misuse]") {
  const Eigen::MatrixXd x = Eigen::MatrixXd::Zero(2, 4);
  CHECK_THROWS_WITH(constructed_tokens(x, Eigen::MatrixXd::Zero(2, 3)),
                    "constructed_tokens: the number of target coordinates is 2, expected 1");
  CHECK_THROWS_WITH(constructed_tokens(x, Eigen::MatrixXd::Zero(1, 4)),
                    "constructed_tokens: the number of inputs is 4, expected 5");
}

TEST_CASE("residual tokens are those of the targets less what the start predicts", "[tokens]") {
  Eigen::MatrixXd x(2, 3), y(2, 2), W_0(2, 2);
  x << 1, 2, 3,  //
      4, 5, 6;
  y << 7, 8,  //
      9, 10;
  W_0 << 2, -1,  //
      0, 3;
  CHECK(residual_tokens(interleave(x, y), W_0) == interleave(x, y - W_0 * x.leftCols(2)));
  CHECK(residual_tokens(interleave(x, y), Eigen::MatrixXd::Zero(2, 2)) == interleave(x, y));
  CHECK(residual_tokens(x.leftCols(1), W_0) == x.leftCols(1));
}

TEST_CASE("residual tokens refuse sizes that don't fit", "[tokens][misuse]") {
  const Eigen::MatrixXd tokens = Eigen::MatrixXd::Zero(2, 5);
  CHECK_THROWS_WITH(residual_tokens(tokens, Eigen::MatrixXd::Zero(1, 2)),
                    "residual_tokens: the number of rows of W_0 is 1, expected 2");
  CHECK_THROWS_WITH(residual_tokens(tokens, Eigen::MatrixXd::Zero(2, 3)),
                    "residual_tokens: the number of columns of W_0 is 3, expected 2");
  CHECK_THROWS_WITH(residual_tokens(tokens.leftCols(4), Eigen::MatrixXd::Zero(2, 2)),
                    "residual_tokens: the sequence has 4 tokens, expected an odd number");
}

}  // namespace
}  // namespace gdssm
