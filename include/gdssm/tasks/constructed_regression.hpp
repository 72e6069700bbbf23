// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/core/error.hpp"
#include "gdssm/tasks/linear_regression.hpp"

namespace gdssm {

/// Scalar linear regression in constructed tokens c_t = [x_t * y_t; x_{t+1}]: the tasks of a `LinearRegression` with
/// one output, task for task, in the layout that requires no attention.
/// Source  arXiv:2410.11687v1; docs/theory.md, tokens
struct ConstructedRegression {
  LinearRegression regression{.outputs = 1};

  /// Throws std::invalid_argument where the regression does, and unless there is one output.
  void check() const {
    regression.check();
    expect_equal("ConstructedRegression", "the number of outputs", regression.outputs, Index(1));
  }

  /// The number of tokens in a sequence, N.
  Index length() const { return regression.context; }

  /// Task i of a seed for a model, with the targets of its predictions at the last `losses` windows.
  /// Shapes  tokens (2f x N), targets (1 x losses)
  /// Errors  as `check`; losses not in 1..N
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    check();
    detail::expect_losses("ConstructedRegression", losses, length());
    TokenSequence drawn{Eigen::MatrixXd(2 * regression.features, length()), Eigen::MatrixXd(1, losses)};
    auto scratch = workspace<double>();
    sequence(seed, index, view_of(drawn.tokens), view_of(drawn.targets), scratch);
    return drawn;
  }

  /// Scratch of `sequence`, sized once.
  template <class S>
  struct Workspace {
    LinearRegression::Workspace<S> regression;
    Array<S> tokens, targets;  ///< the same in normal tokens
  };
  template <class S>
  Workspace<S> workspace() const {
    const Index f = regression.features;
    return {regression.workspace<S>(), Array<S>(f, regression.length()), Array<S>(f, regression.context)};
  }

  /// The same into the caller's memory, for as many tasks as S has lanes.
  /// Errors  as before; views of other sizes, the workspace of other tasks
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    check();
    const Index f = regression.features, last = f - 1, losses = targets.cols();
    expect_equal("ConstructedRegression", "the number of rows of the tokens", tokens.rows(), 2 * f);
    expect_equal("ConstructedRegression", "the number of tokens", tokens.cols(), length());
    expect_equal("ConstructedRegression", "the number of rows of the targets", targets.rows(), Index(1));
    detail::expect_losses("ConstructedRegression", losses, length());
    expect_equal("ConstructedRegression", "the number of targets that the workspace has room for", ws.targets.cols(),
                 length());
    const View<S> normal = ws.tokens.view(), expected = ws.targets.view().columns(0, losses);
    regression.sequence(seed, index, normal, expected, ws.regression);
    for (Index t = 0; t < length(); ++t)
      for (Index i = 0; i < f; ++i) {
        tokens(i, t) = normal(i, 2 * t) * normal(last, 2 * t + 1);
        tokens(f + i, t) = normal(i, 2 * t + 2);
      }
    for (Index j = 0; j < losses; ++j) targets[j] = expected(last, j);
  }
};

}  // namespace gdssm
