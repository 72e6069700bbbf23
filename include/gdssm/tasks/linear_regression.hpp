// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/tasks/tokens.hpp"

namespace gdssm {

/// Laws of one input coordinate, all with mean zero and variance range^2 / 12,
/// that of the uniform law on
/// [-range/2, range/2].
enum class InputLaw { uniform, normal, laplace, exponential };

/// One task: a linear map and a context drawn from it.
/// Shapes  inputs (f x (N+1)), the query last; weights W* (m x f); targets (m x
/// (N+1)), the query's last and noiseless
struct LinearRegressionTask {
  Eigen::MatrixXd inputs;
  Eigen::MatrixXd weights;
  Eigen::MatrixXd targets;
};

/// A task in tokens, and the predictions asked for.
/// Shapes  tokens (f x (2N+1)), targets (f x k) for the last k windows
struct TokenSequence {
  Eigen::MatrixXd tokens;
  Eigen::MatrixXd targets;
};

/// Linear regression tasks: y = W* x (+ noise), x of independent coordinates,
/// entries of W* normal with mean zero. Task i of seed s is the same whoever
/// draws it, in whatever order: its weights, each of its pairs and the choice
/// of its distractors have random streams of their own, so any pair can be
/// drawn again by itself. Source  arXiv:2410.11687v1; docs/theory.md, training
/// and alignment
struct LinearRegression {
  Index features = 10;                  ///< f
  Index outputs = 10;                   ///< m; 1 for scalar targets
  Index context = 10;                   ///< N, pairs before the query
  InputLaw inputs = InputLaw::uniform;  ///< law of an input coordinate
  double range = 1;                     ///< of the inputs: their variance is range^2 / 12
  double weight_scale = 1;              ///< standard deviation of the entries of W*
  double label_noise = 0;               ///< standard deviation of the noise on the context's labels
  Index distractors = 0;                ///< k of the N targets, replaced whole by standard normal noise
  Eigen::VectorXd scales = {};          ///< factor of each input coordinate (f), or empty: all 1

  /// Throws std::invalid_argument on sizes below 1, on ranges and scales that
  /// are not finite and positive (noise: not negative), on more distractors
  /// than pairs, on a wrong number of scales.
  void check() const {
    const auto positive = [](const char* what, double value) {
      if (!(value > 0) || !std::isfinite(value))
        refuse("LinearRegression", what, " is ", value, ", expected a finite number above 0");
    };
    if (features < 1 || outputs < 1 || context < 1)
      refuse("LinearRegression", "features, outputs and context are ", features, ", ", outputs, " and ", context,
             ", expected at least 1");
    positive("the range", range);
    positive("the weight scale", weight_scale);
    if (!(label_noise >= 0) || !std::isfinite(label_noise))
      refuse("LinearRegression", "the label noise is ", label_noise, ", expected a finite number >= 0");
    if (distractors < 0 || distractors > context)
      refuse("LinearRegression", "there are ", distractors, " distractors, expected 0 to ", context);
    if (scales.size() != 0) {
      expect_equal("LinearRegression", "the number of scales", scales.size(), features);
      for (const double scale : scales) positive("a scale", scale);
    }
  }

  /// Task i of a seed.        Errors  as `check`
  LinearRegressionTask draw(std::uint64_t seed, std::uint64_t index) const {
    check();
    LinearRegressionTask task{Eigen::MatrixXd(features, context + 1), weights(seed, index),
                              Eigen::MatrixXd(outputs, context + 1)};
    const std::vector<bool> noise = distracting(seed, index);
    for (Index t = 0; t <= context; ++t)
      draw_pair(seed, index, t, noise[static_cast<std::size_t>(t)], task.weights, task.inputs.col(t),
                task.targets.col(t));
    return task;
  }

  /// Tokens in a sequence of this distribution, 2N + 1.
  Index length() const { return 2 * context + 1; }

  /// Task i of a seed as a model reads it, in normal tokens, with what it is to
  /// predict at the last `losses` windows: W* x_{t+1}, free of noise. Scalar
  /// targets are a token's and a prediction's last coordinate, zeros above.
  /// Shapes  tokens (f x (2N+1)), targets (f x losses)        Errors  as
  /// `check`; losses not in 1..N
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    if (losses < 1 || losses > context)
      refuse("LinearRegression", "there are ", losses, " losses, expected 1 to ", context);
    const LinearRegressionTask task = draw(seed, index);
    TokenSequence sequence{interleave(task.inputs, task.targets.leftCols(context)),
                           Eigen::MatrixXd::Zero(features, losses)};
    sequence.targets.bottomRows(outputs) = task.weights * task.inputs.rightCols(losses);
    return sequence;
  }

  /// W* of task i of a seed.        Shapes  (m x f)
  Eigen::MatrixXd weights(std::uint64_t seed, std::uint64_t index) const {
    Eigen::MatrixXd W(outputs, features);
    RandomStream stream(seed, index, weights_part);
    for (double& w : W.reshaped()) w = weight_scale * stream.normal();
    return W;
  }

  /// Pair t (from 0; t = N is the query) of task i of a seed, by itself: the
  /// same numbers as in `draw`. Shapes  W = weights(seed, index); x (f), y (m)
  template <class X, class Y>
  void pair(std::uint64_t seed, std::uint64_t index, Index t, const Eigen::MatrixXd& W, X&& x, Y&& y) const {
    draw_pair(seed, index, t, distracting(seed, index)[static_cast<std::size_t>(t)], W, x, y);
  }

 private:
  static constexpr std::uint32_t weights_part = 0, distractors_part = 1, pairs_part = 2;

  template <class X, class Y>
  void draw_pair(std::uint64_t seed, std::uint64_t index, Index t, bool noise, const Eigen::MatrixXd& W, X&& x,
                 Y&& y) const {
    RandomStream stream(seed, index, pairs_part + static_cast<std::uint32_t>(t));
    for (Index i = 0; i < features; ++i) x[i] = (scales.size() ? scales[i] : 1.0) * range * coordinate(stream);
    y = W * x;
    if (noise)
      for (double& entry : y) entry = stream.normal();
    else if (label_noise > 0 && t < context)
      for (double& entry : y) entry += label_noise * stream.normal();
  }

  // Variance 1/12 throughout.
  double coordinate(RandomStream& stream) const {
    constexpr double deviation = 0.28867513459481287;  // sqrt(1/12)
    switch (inputs) {
      case InputLaw::normal:
        return deviation * stream.normal();
      case InputLaw::laplace: {
        const double magnitude = -std::log1p(-stream.uniform()) * deviation / std::numbers::sqrt2;
        return stream.bits() & 1u ? magnitude : -magnitude;
      }
      case InputLaw::exponential:
        return deviation * (-std::log1p(-stream.uniform()) - 1);
      case InputLaw::uniform:
        break;
    }
    return stream.uniform() - 0.5;
  }

  // Which of the N+1 targets are noise: the first k of a random order of the N.
  std::vector<bool> distracting(std::uint64_t seed, std::uint64_t index) const {
    std::vector<bool> noise(static_cast<std::size_t>(context + 1));
    if (distractors == 0) return noise;
    std::vector<std::size_t> order(static_cast<std::size_t>(context));
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomStream stream(seed, index, distractors_part);
    for (std::size_t k = 0; k < static_cast<std::size_t>(distractors); ++k) {
      const double left = static_cast<double>(order.size() - k);
      std::swap(order[k], order[k + static_cast<std::size_t>(stream.uniform() * left)]);
      noise[order[k]] = true;
    }
    return noise;
  }
};

}  // namespace gdssm
