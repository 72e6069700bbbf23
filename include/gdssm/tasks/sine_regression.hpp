// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/tasks/token_sequence.hpp"

namespace gdssm {

/// The reference's nonlinear tasks, scalar functions of a scalar:
///     y = amplitude sin(x + phase),   amplitude ~ U(0.1, 0.5),   phase ~ U(0, pi),   x ~ U(-5, 5)
/// whose mean for a given x is not zero, (21). Task i of seed s is always the same.
/// Source  arXiv:2410.11687v1 (code); docs/theory.md, nonlinear regression
struct SineRegression {
  Index context = 10;                                  ///< N, pairs before the query
  double least_amplitude = 0.1, most_amplitude = 0.5;  ///< amplitudes are uniform between them
  double most_phase = std::numbers::pi;                ///< phases are uniform on [0, most]
  double reach = 5;                                    ///< inputs are uniform on [-reach, reach]

  /// One function of the distribution.
  struct Function {
    double amplitude, phase;  ///< of one task
    double operator()(double x) const { return amplitude * std::sin(x + phase); }
  };

  /// Throws std::invalid_argument on a context below 1, amplitudes without 0 <= least <= most, and a phase or a reach
  /// that is not finite and positive.
  void check() const {
    if (context < 1) refuse("SineRegression", "there are ", context, " pairs, expected at least 1");
    if (!(least_amplitude >= 0 && least_amplitude <= most_amplitude && std::isfinite(most_amplitude)))
      refuse("SineRegression", "amplitudes are from ", least_amplitude, " to ", most_amplitude,
             ", expected 0 <= least <= most");
    if (!(most_phase > 0 && std::isfinite(most_phase) && reach > 0 && std::isfinite(reach)))
      refuse("SineRegression", "phases reach to ", most_phase, " and inputs to ", reach,
             ", expected finite numbers above 0");
  }

  /// The number of tokens in a sequence, 2N + 1.
  Index length() const { return 2 * context + 1; }

  /// The function of task i of a seed.        Errors  as `check`
  Function function(std::uint64_t seed, std::uint64_t index) const {
    check();
    RandomStream<> stream(seed, index, 0);
    const double amplitude = least_amplitude + (most_amplitude - least_amplitude) * stream.uniform();
    return {amplitude, most_phase * stream.uniform()};
  }

  /// Task i of a seed for a model, x_1, y_1, ..., x_N, y_N, x_{N+1}, with the targets at the last `losses` windows.
  /// Shapes  tokens (1 x (2N+1)), targets (1 x losses)        Errors  as `check`; losses not in 1..N
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    const Function f = function(seed, index);
    detail::expect_losses("SineRegression", losses, context);
    TokenSequence drawn{Eigen::MatrixXd(1, length()), Eigen::MatrixXd(1, losses)};
    RandomStream<> stream(seed, index, 1);
    for (Index t = 0; t <= context; ++t) {
      const double x = reach * (2 * stream.uniform() - 1), y = f(x);
      drawn.tokens(0, 2 * t) = x;
      if (t < context) drawn.tokens(0, 2 * t + 1) = y;
      if (const Index j = t - 1 - (context - losses); j >= 0) drawn.targets(0, j) = y;
    }
    return drawn;
  }
};

}  // namespace gdssm
