// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// Normal tokens, the layout of the paper's main setting: x_1, y_1, x_2, y_2, ..., x_N, y_N, x_{N+1}, one a column.
/// Targets shorter than the inputs fill a token's last coordinates, with zeros above.
/// Shapes  inputs (f x (N+1)), the query last; targets (m x N), m <= f  ->  (f x (2N+1))
/// Errors  std::invalid_argument: a number of targets other than the number of inputs minus one, m > f
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
template <class Inputs, class Targets>
Eigen::Matrix<typename Inputs::Scalar, Inputs::RowsAtCompileTime, Eigen::Dynamic> interleave(
    const Eigen::MatrixBase<Inputs>& inputs, const Eigen::MatrixBase<Targets>& targets) {
  const Index f = inputs.rows(), m = targets.rows(), pairs = targets.cols();
  expect_equal("interleave", "the number of inputs", inputs.cols(), pairs + 1);
  if (m > f) refuse("interleave", "targets have ", m, " coordinates, expected at most ", f, ", those of the inputs");
  Eigen::Matrix<typename Inputs::Scalar, Inputs::RowsAtCompileTime, Eigen::Dynamic> tokens(f, 2 * pairs + 1);
  for (Index t = 0; t < pairs; ++t) {
    tokens.col(2 * t) = inputs.col(t);
    tokens.col(2 * t + 1).head(f - m).setConstant(typename Inputs::Scalar(0));
    tokens.col(2 * t + 1).tail(m) = targets.col(t);
  }
  tokens.col(2 * pairs) = inputs.col(pairs);
  return tokens;
}

/// Constructed tokens c_t = [x_t * y_t; x_{t+1}] of a scalar target, the control that requires no attention.
/// Shapes  inputs (f x (N+1)), the query last; targets (1 x N)  ->  (2f x N)
/// Errors  std::invalid_argument: targets other than one fewer than inputs, or not scalar
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
template <class Inputs, class Targets>
Eigen::Matrix<typename Inputs::Scalar, Eigen::Dynamic, Eigen::Dynamic> constructed_tokens(
    const Eigen::MatrixBase<Inputs>& inputs, const Eigen::MatrixBase<Targets>& targets) {
  const Index f = inputs.rows(), pairs = targets.cols();
  expect_equal("constructed_tokens", "the number of target coordinates", targets.rows(), Index(1));
  expect_equal("constructed_tokens", "the number of inputs", inputs.cols(), pairs + 1);
  Eigen::Matrix<typename Inputs::Scalar, Eigen::Dynamic, Eigen::Dynamic> tokens(2 * f, pairs);
  for (Index t = 0; t < pairs; ++t) {
    tokens.col(t).head(f) = inputs.col(t) * targets(0, t);
    tokens.col(t).tail(f) = inputs.col(t + 1);
  }
  return tokens;
}

/// Normal tokens with every target y_t replaced by y_t - W_0 x_t. A step from zero on them is one from W_0, less W_0 x.
/// Shapes  tokens (f x (2N+1)), W_0 (f x f)
/// Errors  std::invalid_argument: sizes that do not fit, an even number of tokens
template <class Tokens, class Start>
Eigen::Matrix<typename Tokens::Scalar, Tokens::RowsAtCompileTime, Eigen::Dynamic> residual_tokens(
    const Eigen::MatrixBase<Tokens>& tokens, const Eigen::MatrixBase<Start>& W_0) {
  expect_equal("residual_tokens", "the number of rows of W_0", W_0.rows(), tokens.rows());
  expect_equal("residual_tokens", "the number of columns of W_0", W_0.cols(), tokens.rows());
  if (tokens.cols() % 2 == 0)
    refuse("residual_tokens", "the sequence has ", tokens.cols(), " tokens, expected an odd number");
  Eigen::Matrix<typename Tokens::Scalar, Tokens::RowsAtCompileTime, Eigen::Dynamic> shifted = tokens;
  for (Index t = 0; t + 1 < tokens.cols(); t += 2) shifted.col(t + 1) -= W_0 * tokens.col(t);
  return shifted;
}

}  // namespace gdssm
