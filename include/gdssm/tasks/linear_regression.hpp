// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/tasks/targets.hpp"
#include "gdssm/tasks/token_sequence.hpp"

namespace gdssm {

/// Laws of an input coordinate, with mean zero and the variance range^2 / 12 of the uniform law on [-range/2, range/2].
enum class InputLaw { uniform, normal, laplace, exponential };

/// One task: a linear map and a context drawn from it.
/// Shapes  inputs (f x (N+1)), the query last; weights W* (m x f); targets (m x (N+1)), the query's last and noiseless
struct LinearRegressionTask {
  Eigen::MatrixXd inputs;   ///< x_i, one a column, the query last
  Eigen::MatrixXd weights;  ///< W*
  Eigen::MatrixXd targets;  ///< y_i, one a column, the query's last and noiseless
};

/// Linear regression tasks: y = W* x (+ noise), x of independent coordinates, entries of W* normal with mean zero.
///
/// Task i of seed s is always the same: its weights, each of its pairs and the choice of its distractors have their own
/// random streams, so any pair can be drawn again separately. Functions with a scalar type S draw one task, or as many
/// as S has lanes, those of index, index + 1, ..., each bit for bit as it is drawn alone. The random numbers are the
/// same for every S; products and sums are rounded in S.
/// Source  arXiv:2410.11687v1; docs/theory.md, training and alignment
struct LinearRegression {
  Index features = 10;                  ///< f
  Index outputs = 10;                   ///< m; 1 for scalar targets
  Index context = 10;                   ///< N, pairs before the query
  InputLaw inputs = InputLaw::uniform;  ///< law of an input coordinate
  double range = 1;                     ///< of the inputs, whose variance is range^2 / 12
  double weight_scale = 1;              ///< standard deviation of the entries of W*
  double label_noise = 0;               ///< standard deviation of the noise on the context's labels
  Index distractors = 0;                ///< k of the N targets, replaced by standard normal noise
  Eigen::VectorXd scales = {};          ///< factor of each input coordinate (f), or empty: all 1

  /// Throws std::invalid_argument on sizes below 1, ranges and scales that are not finite and positive (noise: not
  /// negative), more distractors than pairs, and a wrong number of scales.
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
    auto ws = workspace<double>();
    begin(seed, index, ws);
    for (Index t = 0; t <= context; ++t)
      draw_pair(seed, index, t, std::as_const(ws).noise.view(), std::as_const(ws).weights.view(),
                view_of(task.inputs).column(t), view_of(task.targets).column(t));
    return task;
  }

  /// The number of tokens in a sequence, 2N + 1.
  Index length() const { return 2 * context + 1; }
  /// All coordinates count if there are as many outputs as features, else the last ones.
  Targets targets() const { return {Targets::Loss::squared_error, outputs < features ? outputs : 0}; }

  /// Task i of a seed for a model, in normal tokens, with the targets at the last `losses` windows: W* x_{t+1}, without
  /// noise. A scalar target is the last coordinate of a token and of a prediction, with zeros above.
  /// Shapes  tokens (f x (2N+1)), targets (f x losses)
  /// Errors  as `check`; losses not in 1..N; more outputs than features
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    check();
    detail::expect_losses("LinearRegression", losses, context);
    TokenSequence drawn{Eigen::MatrixXd(features, length()), Eigen::MatrixXd(features, losses)};
    auto scratch = workspace<double>();
    sequence(seed, index, view_of(drawn.tokens), view_of(drawn.targets), scratch);
    return drawn;
  }

  /// Scratch of `sequence`, and the task that `begin` stores for `run`; sized once.
  template <class S>
  struct Workspace {
    Array<S> weights;  ///< W* (m x f)
    Array<S> noise;    ///< 1 for each of the N targets that is a distractor; empty without distractors
  };
  template <class S>
  Workspace<S> workspace() const {
    return {Array<S>(outputs, features), distractors > 0 ? Array<S>(context, 1) : Array<S>()};
  }

  /// The same into the caller's memory; allocates only if there are distractors.
  /// Errors  as before; views of other sizes, the workspace of other tasks
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const;

  // The same in parts, for contexts that do not fit into memory: `begin`, then any `run`, in any order.

  /// Stores the weights and distractors of a task in the workspace.
  template <class S>
  void begin(std::uint64_t seed, std::uint64_t index, Workspace<S>& ws) const {
    check_workspace(ws);
    draw_weights(seed, index, ws.weights.view());
    if (distractors > 0) distracting(seed, index, ws.noise);
  }

  /// The tokens x_t, y_t, ..., x_{t+n} of the task in the workspace, t from 0.
  /// Shapes  tokens (f x (2n+1))        Errors  an even number of tokens, tokens of another height or beyond the query
  template <class S>
  void run(std::uint64_t seed, std::uint64_t index, Index t, View<S> tokens, const Workspace<S>& ws) const {
    check_height(tokens);
    check_workspace(ws);
    const Index n = tokens.cols() / 2;
    if (tokens.cols() % 2 == 0 || t < 0 || t + n > context)
      refuse("LinearRegression", "a run of ", tokens.cols(), " tokens from pair ", t,
             ", expected an odd number of tokens up to input ", context);
    for (Index k = 0; k < n; ++k)
      draw_pair(seed, index, t + k, ws.noise.view(), ws.weights.view(), tokens.column(2 * k),
                lower(tokens.column(2 * k + 1)));
    draw_input(seed, index, t + n, tokens.column(2 * n));
  }

  /// The target for an input of the task in the workspace: W* x, zeros above.
  /// Shapes  x (f), y (f)        Errors  std::invalid_argument: other heights, the workspace of other tasks
  template <class S>
  void target(View<const S, Dynamic, 1> x, View<S, Dynamic, 1> y, const Workspace<S>& ws) const {
    check_height(x);
    check_height(y);
    check_workspace(ws);
    kernels::multiply(ws.weights.view(), x, lower(y));
  }

  /// W* of task i of a seed.        Shapes  (m x f)        Errors  as `check`
  Eigen::MatrixXd weights(std::uint64_t seed, std::uint64_t index) const {
    check();
    Eigen::MatrixXd W(outputs, features);
    draw_weights(seed, index, view_of(W));
    return W;
  }

  /// Pair t (from 0; t = N is the query) of task i of a seed by itself, with the same numbers as in `draw`.
  /// Shapes  W = weights(seed, index); x (f), y (m)        Errors  as `check`; t not in 0..N, W of another size
  void pair(std::uint64_t seed, std::uint64_t index, Index t, const Eigen::MatrixXd& W, Eigen::VectorXd& x,
            Eigen::VectorXd& y) const {
    check();
    if (t < 0 || t > context) refuse("LinearRegression", "the pair is ", t, ", expected 0 to ", context);
    expect_equal("LinearRegression", "the number of rows of the weights", W.rows(), outputs);
    expect_equal("LinearRegression", "the number of columns of the weights", W.cols(), features);
    x.resize(features);
    y.resize(outputs);
    auto noise = workspace<double>().noise;
    if (distractors > 0) distracting(seed, index, noise);
    draw_pair(seed, index, t, std::as_const(noise).view(), view_of(W), view_of(x), view_of(y));
  }

 private:
  static constexpr std::uint32_t weights_part = 0, distractors_part = 1, pairs_part = 2;
  static std::uint32_t part_of(Index t) { return pairs_part + static_cast<std::uint32_t>(t); }

  template <class S>
  void check_workspace(const Workspace<S>& ws) const {
    expect_equal("LinearRegression", "the number of rows of the workspace's weights", ws.weights.rows(), outputs);
    expect_equal("LinearRegression", "the number of columns of the workspace's weights", ws.weights.cols(), features);
    expect_equal("LinearRegression", "the number of targets of which the workspace knows what is noise",
                 ws.noise.size(), distractors > 0 ? context : Index(0));
  }

  template <class S, Index Cols>
  void check_height(View<S, Dynamic, Cols> tokens) const {
    if (outputs > features)
      refuse("LinearRegression", "there are ", outputs, " outputs, expected at most ", features, ", the features");
    expect_equal("LinearRegression", "the number of rows of tokens and targets", tokens.rows(), features);
  }

  // The place of a target in its token: the last coordinates. Sets the coordinates above to zero.
  template <class S>
  View<S, Dynamic, 1> lower(View<S, Dynamic, 1> token) const {
    const Index above = features - outputs;
    for (Index i = 0; i < above; ++i) token[i] = S(0);
    return {token.data() + above, outputs, 1};
  }

  template <class S>
  void draw_weights(std::uint64_t seed, std::uint64_t index, View<S> W) const {
    RandomStream<S>(seed, index, weights_part).fill_normal({W.data(), W.size(), 1});
    if (weight_scale != 1)
      for (Index i = 0; i < W.size(); ++i) W[i] *= S(LaneScalar<S>(weight_scale));
  }

  // The variance is range^2 / 12 for every law. Returns the stream in its state after the input.
  template <class S>
  RandomStream<S> draw_input(std::uint64_t seed, std::uint64_t index, Index t, View<S, Dynamic, 1> x) const {
    constexpr double deviation = 0.28867513459481287, root_half = 0.70710678118654752;  // sqrt(1/12), sqrt(1/2)
    RandomStream<S> stream(seed, index, part_of(t));
    const auto fill_with = [&](auto&& coordinate) {
      for (Index i = 0; i < x.size(); ++i) x[i] = coordinate();
    };
    double unit = deviation;
    switch (inputs) {
      case InputLaw::uniform:
        stream.fill_uniform(x);
        for (Index i = 0; i < x.size(); ++i) x[i] -= S(LaneScalar<S>(0.5));
        unit = 1;
        break;
      case InputLaw::normal:
        stream.fill_normal(x);
        break;
      case InputLaw::laplace:
        fill_with([&] { return stream.laplace(); });
        unit = deviation * root_half;
        break;
      case InputLaw::exponential:
        fill_with([&] { return stream.exponential() - S(LaneScalar<S>(1)); });
        break;
    }
    for (Index i = 0; i < x.size(); ++i) x[i] *= S(LaneScalar<S>((scales.size() ? scales[i] : 1.0) * range * unit));
    return stream;
  }

  template <class S>
  void draw_pair(std::uint64_t seed, std::uint64_t index, Index t, View<const S> noise, View<const S> W,
                 View<S, Dynamic, 1> x, View<S, Dynamic, 1> y) const {
    RandomStream<S> stream = draw_input(seed, index, t, x);
    kernels::multiply(W, View<const S, Dynamic, 1>(x), y);
    if (t == context) return;
    if (label_noise > 0)
      for (Index i = 0; i < y.size(); ++i) y[i] = multiply_add(S(LaneScalar<S>(label_noise)), stream.normal(), y[i]);
    if (noise.size() > 0)
      for (Index i = 0; i < y.size(); ++i) y[i] = select(noise[t], stream.normal(), y[i]);
  }

  // 1 for each of the N targets that is noise: the first k of a random order.
  template <class S>
  void distracting(std::uint64_t seed, std::uint64_t index, Array<S>& noise) const {
    noise.fill(S(0));
    std::vector<Index> order(static_cast<std::size_t>(context));
    for (Index lane = 0; lane < lane_count<S>; ++lane) {
      std::iota(order.begin(), order.end(), Index(0));
      RandomStream<> stream(seed, index + static_cast<std::uint64_t>(lane), distractors_part);
      for (Index k = 0; k < distractors; ++k) {
        const auto at = k + static_cast<Index>(stream.uniform() * static_cast<double>(context - k));
        std::swap(order[static_cast<std::size_t>(k)], order[static_cast<std::size_t>(at)]);
        set_lane(noise[order[static_cast<std::size_t>(k)]], lane, LaneScalar<S>(1));
      }
    }
  }
};

template <class S>
void LinearRegression::sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets,
                                Workspace<S>& ws) const {
  check();
  const Index losses = targets.cols();
  detail::expect_losses("LinearRegression", losses, context);
  check_height(targets);
  expect_equal("LinearRegression", "the number of tokens", tokens.cols(), length());
  begin(seed, index, ws);
  run(seed, index, 0, tokens, ws);
  for (Index j = 0; j < losses; ++j)
    target(View<const S, Dynamic, 1>(tokens.column(2 * (context - losses + j + 1))), targets.column(j), ws);
}

#ifdef GDSSM_COMPILED
extern template void LinearRegression::sequence(std::uint64_t, std::uint64_t, View<double>, View<double>,
                                                Workspace<double>&) const;
extern template void LinearRegression::sequence(std::uint64_t, std::uint64_t, View<Lanes<float>>, View<Lanes<float>>,
                                                Workspace<Lanes<float>>&) const;
#endif

}  // namespace gdssm
