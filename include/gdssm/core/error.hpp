// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

/// Throws `std::invalid_argument` with the message `where: ` followed by the other arguments, streamed. `where` names
/// the place (a function, a file and its line, a tensor); the rest says what was found and what was expected. Out of
/// line and cold, so that a check costs its caller one comparison.
template <class... Message>
[[noreturn, gnu::cold, gnu::noinline]] void refuse(const std::string& where, const Message&... message) {
  std::ostringstream text;
  text << where << ": ";
  (text << ... << message);
  throw std::invalid_argument(std::move(text).str());
}

/// Refuses a size other than the expected one: "where: what is 3, expected 4".
template <class Got, class Expected>
void expect_equal(const char* where, const char* what, const Got& got, const Expected& expected) {
  if (!(got == expected)) refuse(where, what, " is ", got, ", expected ", expected);
}

/// Refuses a matrix with an entry that is NaN or infinite, naming its row and column from 0. Types in which `x - x` is
/// always zero (exact rationals) pass.
template <class Matrix>
void expect_finite(const char* where, const char* what, const Matrix& matrix) {
  for (auto j = matrix.cols() - matrix.cols(); j < matrix.cols(); ++j)
    for (auto i = j - j; i < matrix.rows(); ++i)
      if (!(matrix(i, j) - matrix(i, j) == typename Matrix::Scalar(0)))
        refuse(where, what, " ", j, ", entry ", i, " is ", matrix(i, j), ", expected a finite number");
}

}  // namespace gdssm
