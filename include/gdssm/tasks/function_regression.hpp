// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

#include "gdssm/core/elementary.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/core/view.hpp"
#include "gdssm/tasks/targets.hpp"
#include "gdssm/tasks/token_sequence.hpp"

namespace gdssm {

/// Classes of functions of x in R^f and their laws, all with E f(x) = 0 and E f(x)^2 = 1 for x ~ N(0, I).
enum class FunctionClass {
  linear,         ///< w . x,                        w ~ N(0, 1/f)
  sparse_linear,  ///< w . x,                        s of the f entries of w ~ N(0, 1/s), the others zero
  quadratic,      ///< sum_i w_i x_i^2,              w ~ N(0, 1/(3f))
  relu_network,   ///< sum_j a_j max(0, w_j . x),    w_j ~ N(0, I), a ~ N(0, 2/(r f)), r hidden units
  decision_tree,  ///< a leaf ~ N(0, 1) of a full binary tree: the sign of a random entry decides at each node
};

/// One task: a context, and the function's values at its inputs.
/// Shapes  inputs (f x (N+1)), the query last; values f(x), labels (N+1), noiseless at the query
struct FunctionRegressionTask {
  Eigen::MatrixXd inputs;     ///< x_i, one a column, the query last
  Eigen::RowVectorXd values;  ///< f(x_i), the query's last
  Eigen::RowVectorXd labels;  ///< the values with noise
};

/// Regression of functions of a class: y = f(x) (+ noise), x standard normal. Task i of seed s is always the same, and
/// every lane draws bit for bit what its task draws alone. Except for the scaling to E f(x)^2 = 1, the five classes
/// with these laws and sizes are those of the source.
/// Source  Garg et al., arXiv:2208.01066; docs/theory.md, nonlinear regression
struct FunctionRegression {
  FunctionClass function = FunctionClass::linear;  ///< the class of the functions
  Index features = 10;                             ///< f
  Index context = 40;                              ///< N, pairs before the query
  double label_noise = 0;                          ///< standard deviation of the noise on the context's labels
  Index nonzero = 3;                               ///< s of `sparse_linear`
  Index hidden = 100;                              ///< r of `relu_network`
  Index depth = 4;                                 ///< of `decision_tree`: the number of nodes on a path

  /// Throws std::invalid_argument on sizes below 1, more nonzero entries than features, a depth above 12, and noise
  /// that is negative or not finite.
  void check() const {
    if (features < 1 || context < 1)
      refuse(name, "features and context are ", features, " and ", context, ", expected at least 1");
    if (nonzero < 1 || nonzero > features)
      refuse(name, "there are ", nonzero, " nonzero entries, expected 1 to ", features);
    if (hidden < 1) refuse(name, "there are ", hidden, " hidden units, expected at least 1");
    if (depth < 1 || depth > 12) refuse(name, "the depth is ", depth, ", expected 1 to 12");
    if (!(label_noise >= 0) || !std::isfinite(label_noise))
      refuse(name, "the label noise is ", label_noise, ", expected a finite number >= 0");
  }

  /// The covariance k(x, x') = E f(x) f(x') over the functions of the class, without noise:
  ///     linear, sparse linear   x . x' / f                     quadratic      sum_i x_i^2 x'_i^2 / (3f)
  ///     ReLU network            |x| |x'| (sin h + (pi - h) cos h) / (pi f), h the angle between x and x'
  ///     decision tree           (m / f)^depth, m the entries whose signs agree
  /// The best predictor that is linear in the context's labels follows from k.
  /// Shapes  x, x' (f)        Errors  std::invalid_argument: other lengths
  template <class X, class Y>
  double covariance(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& other) const {
    expect_equal(name, "the number of entries of x", x.size(), features);
    expect_equal(name, "the number of entries of x'", other.size(), features);
    const auto f = static_cast<double>(features);
    switch (function) {
      case FunctionClass::linear:
      case FunctionClass::sparse_linear:
        break;
      case FunctionClass::quadratic:
        return x.cwiseAbs2().dot(other.cwiseAbs2()) / (3 * f);
      case FunctionClass::relu_network: {
        const double sizes = x.norm() * other.norm();
        if (sizes == 0) return 0;
        const double cosine = std::clamp(x.dot(other) / sizes, -1.0, 1.0), angle = std::acos(cosine);
        return sizes * (std::sin(angle) + (std::numbers::pi - angle) * cosine) / (std::numbers::pi * f);
      }
      case FunctionClass::decision_tree: {
        const auto agreeing = ((x.array() > 0) == (other.array() > 0)).count();
        return std::pow(static_cast<double>(agreeing) / f, static_cast<double>(depth));
      }
    }
    return x.dot(other) / f;
  }

  /// Task i of a seed.        Errors  as `check`
  FunctionRegressionTask draw(std::uint64_t seed, std::uint64_t index) const {
    check();
    FunctionRegressionTask task{Eigen::MatrixXd(features, context + 1), Eigen::RowVectorXd(context + 1),
                                Eigen::RowVectorXd(context + 1)};
    auto ws = workspace<double>();
    draw_function(seed, index, ws);
    for (Index t = 0; t <= context; ++t) {
      const Pair<double> pair = draw_pair(seed, index, t, view_of(task.inputs).column(t), ws);
      task.values[t] = pair.value;
      task.labels[t] = pair.label;
    }
    return task;
  }

  /// The number of tokens in a sequence, 2N + 1.
  Index length() const { return 2 * context + 1; }
  /// The last coordinate counts.
  Targets targets() const { return ScalarTargets(); }

  /// Task i of a seed for a model, in normal tokens with scalar targets, and the targets at the last `losses` windows:
  /// f(x_{t+1}), without noise, in the last coordinate, zeros above.
  /// Shapes  tokens (f x (2N+1)), targets (f x losses)
  /// Errors  as `check`; losses not in 1..N
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    check();
    detail::expect_losses(name, losses, context);
    TokenSequence drawn{Eigen::MatrixXd(features, length()), Eigen::MatrixXd(features, losses)};
    auto scratch = workspace<double>();
    sequence(seed, index, view_of(drawn.tokens), view_of(drawn.targets), scratch);
    return drawn;
  }

  /// Scratch of `sequence` and the function, sized once.
  template <class S>
  struct Workspace {
    Array<S> weights;             ///< w (f), the hidden units' w_j as columns (f x r), or the leaves (2^depth)
    Array<S> outer;               ///< a (r)
    Array<S> entries;             ///< the entry of x at each node (2^depth - 1), in heap order
    Array<S, Dynamic, 1> hidden;  ///< w_j . x
  };
  template <class S>
  Workspace<S> workspace() const {
    const Index leaves = Index(1) << depth;
    switch (function) {
      case FunctionClass::relu_network:
        return {Array<S>(features, hidden), Array<S>(hidden, 1), Array<S>(), Array<S, Dynamic, 1>(hidden, 1)};
      case FunctionClass::decision_tree:
        return {Array<S>(leaves, 1), Array<S>(), Array<S>(leaves - 1, 1), Array<S, Dynamic, 1>()};
      default:
        return {Array<S>(features, 1), Array<S>(), Array<S>(), Array<S, Dynamic, 1>()};
    }
  }

  /// The same into the caller's memory, for as many tasks as S has lanes.
  /// Errors  as before; views of other sizes, the workspace of other tasks
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    check();
    const Index losses = targets.cols(), last = features - 1;
    expect_equal(name, "the number of rows of the tokens", tokens.rows(), features);
    expect_equal(name, "the number of rows of the targets", targets.rows(), features);
    expect_equal(name, "the number of tokens", tokens.cols(), length());
    detail::expect_losses(name, losses, context);
    check_workspace(ws);
    draw_function(seed, index, ws);
    targets.fill(S(0));
    for (Index t = 0; t <= context; ++t) {
      const Pair<S> pair = draw_pair(seed, index, t, tokens.column(2 * t), ws);
      const Index j = t - (context - losses + 1);
      if (j >= 0) targets(last, j) = pair.value;
      if (t == context) break;
      tokens.column(2 * t + 1).fill(S(0));
      tokens(last, 2 * t + 1) = pair.label;
    }
  }

 private:
  static constexpr auto name = "FunctionRegression";
  static constexpr std::uint32_t weights_part = 0, structure_part = 1, outer_part = 2, pairs_part = 3;

  /// f(x), without and with noise.
  template <class S>
  struct Pair {
    S value, label;
  };

  template <class S>
  void check_workspace(const Workspace<S>& ws) const {
    const bool network = function == FunctionClass::relu_network, tree = function == FunctionClass::decision_tree;
    const Index leaves = Index(1) << depth, units = network ? hidden : 0;
    expect_equal(name, "the number of rows of the workspace's weights", ws.weights.rows(), tree ? leaves : features);
    expect_equal(name, "the number of columns of the workspace's weights", ws.weights.cols(), network ? hidden : 1);
    expect_equal(name, "the number of hidden units of the workspace", ws.outer.size(), units);
    expect_equal(name, "the number of hidden units' values in the workspace", ws.hidden.size(), units);
    expect_equal(name, "the number of nodes of the workspace", ws.entries.size(), tree ? leaves - 1 : 0);
  }

  template <class S>
  static void draw_normal(std::uint64_t seed, std::uint64_t index, std::uint32_t part, double deviation, View<S> out) {
    RandomStream<S>(seed, index, part).fill_normal({out.data(), out.size(), 1});
    for (Index i = 0; i < out.size(); ++i) out[i] *= S(static_cast<LaneScalar<S>>(deviation));
  }

  template <class S>
  void draw_function(std::uint64_t seed, std::uint64_t index, Workspace<S>& ws) const {
    const auto f = static_cast<double>(features);
    double deviation = 1;
    if (function == FunctionClass::linear) deviation = std::sqrt(1 / f);
    if (function == FunctionClass::sparse_linear) deviation = std::sqrt(1 / static_cast<double>(nonzero));
    if (function == FunctionClass::quadratic) deviation = std::sqrt(1 / (3 * f));
    draw_normal(seed, index, weights_part, deviation, ws.weights.view());
    if (function == FunctionClass::relu_network)
      draw_normal(seed, index, outer_part, std::sqrt(2 / (static_cast<double>(hidden) * f)), ws.outer.view());
    for (Index l = 0; l < lane_count<S>; ++l) {
      RandomStream<> stream(seed, index + static_cast<std::uint64_t>(l), structure_part);
      const auto any_of = [&](Index count) {
        return static_cast<Index>(stream.uniform() * static_cast<double>(count));
      };
      if (function == FunctionClass::sparse_linear) {
        // Sets all but the first s entries of a random order to zero.
        std::vector<Index> order(static_cast<std::size_t>(features));
        std::iota(order.begin(), order.end(), Index(0));
        for (Index k = 0; k < features; ++k) {
          std::swap(order[static_cast<std::size_t>(k)], order[static_cast<std::size_t>(k + any_of(features - k))]);
          if (k >= nonzero) set_lane(ws.weights[order[static_cast<std::size_t>(k)]], l, LaneScalar<S>(0));
        }
      }
      if (function == FunctionClass::decision_tree)
        for (Index node = 0; node < ws.entries.size(); ++node)
          set_lane(ws.entries[node], l, static_cast<LaneScalar<S>>(any_of(features)));
    }
  }

  template <class S>
  Pair<S> draw_pair(std::uint64_t seed, std::uint64_t index, Index t, View<S, Dynamic, 1> x, Workspace<S>& ws) const {
    RandomStream<S> stream(seed, index, pairs_part + static_cast<std::uint32_t>(t));
    stream.fill_normal(x);
    const S value = evaluate(View<const S, Dynamic, 1>(x), ws);
    if (t == context || label_noise == 0) return {value, value};
    return {value, multiply_add(S(static_cast<LaneScalar<S>>(label_noise)), stream.normal(), value)};
  }

  template <class S>
  S evaluate(View<const S, Dynamic, 1> x, Workspace<S>& ws) const {
    S value = S(0);
    switch (function) {
      case FunctionClass::linear:
      case FunctionClass::sparse_linear:
        for (Index i = 0; i < features; ++i) value = multiply_add(ws.weights[i], x[i], value);
        break;
      case FunctionClass::quadratic:
        for (Index i = 0; i < features; ++i) value = multiply_add(ws.weights[i] * x[i], x[i], value);
        break;
      case FunctionClass::relu_network:
        kernels::multiply_transposed(View<const S>(ws.weights.view()), x, ws.hidden.view());
        for (Index j = 0; j < hidden; ++j) value = multiply_add(ws.outer[j], larger(S(0), ws.hidden[j]), value);
        break;
      case FunctionClass::decision_tree:
        for (Index l = 0; l < lane_count<S>; ++l) {
          Index node = 0;
          for (Index level = 0; level < depth; ++level)
            node = 2 * node + (lane(x[static_cast<Index>(lane(ws.entries[node], l))], l) > 0 ? 2 : 1);
          set_lane(value, l, lane(ws.weights[node - ws.entries.size()], l));
        }
        break;
    }
    return value;
  }
};

}  // namespace gdssm
