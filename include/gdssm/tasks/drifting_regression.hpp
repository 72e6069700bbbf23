// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/tasks/linear_regression.hpp"

namespace gdssm {

/// Linear regression whose map changes within the context: before each pair but the first, and before the query, W* is
/// redrawn with probability `change`. Inputs, noise, distractors and the first map are those of a `LinearRegression`,
/// pair for pair. The target is that of the query under its own map.
/// Source  docs/theory.md, (9c)
struct DriftingRegression {
  LinearRegression regression{};
  double change = 0;  ///< probability of a new map, in [0, 1]

  /// Throws std::invalid_argument where the regression does, and on a probability outside [0, 1].
  void check() const {
    regression.check();
    if (!(change >= 0 && change <= 1))
      refuse("DriftingRegression", "the probability of a change is ", change, ", expected 0 to 1");
  }

  /// The number of tokens in a sequence, 2N + 1.
  Index length() const { return regression.length(); }
  /// Those of the regression.
  Targets targets() const { return regression.targets(); }

  /// Task i of a seed in normal tokens, with the targets at the last `losses` windows: W*_{t+1} x_{t+1}, without noise.
  /// Shapes  tokens (f x (2N+1)), targets (f x losses)
  /// Errors  as `check`; losses not in 1..N; more outputs than features
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    check();
    detail::expect_losses("DriftingRegression", losses, regression.context);
    TokenSequence drawn{Eigen::MatrixXd(regression.features, length()), Eigen::MatrixXd(regression.features, losses)};
    auto scratch = workspace<double>();
    sequence(seed, index, view_of(drawn.tokens), view_of(drawn.targets), scratch);
    return drawn;
  }

  /// Scratch of `sequence`, sized once, and the current map.
  template <class S>
  struct Workspace {
    LinearRegression::Workspace<S> regression;
    Array<S> drawn;    ///< a new map (m x f)
    Array<S> changed;  ///< (N+1): 1 where a pair or the query has a new map
  };
  template <class S>
  Workspace<S> workspace() const {
    return {regression.workspace<S>(), Array<S>(regression.outputs, regression.features),
            Array<S>(regression.context + 1, 1)};
  }

  /// The same into the caller's memory, for as many tasks as S has lanes, each bit for bit as it is drawn alone.
  /// Errors  as before; views of other sizes, the workspace of other tasks
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    check();
    const Index N = regression.context, losses = targets.cols();
    detail::expect_losses("DriftingRegression", losses, N);
    expect_equal("DriftingRegression", "the number of tokens", tokens.cols(), length());
    expect_equal("DriftingRegression", "the number of rows of the targets", targets.rows(), regression.features);
    expect_equal("DriftingRegression", "the number of rows of the workspace's map", ws.drawn.rows(),
                 regression.outputs);
    expect_equal("DriftingRegression", "the number of columns of the workspace's map", ws.drawn.cols(),
                 regression.features);
    expect_equal("DriftingRegression", "the number of maps that the workspace has room for", ws.changed.size(), N + 1);
    regression.begin(seed, index, ws.regression);
    ws.changed.fill(S(0));
    for (Index t = 0; t <= N; ++t) {
      if (t > 0 && change > 0) move(seed, index, t, ws);
      if (t < N) regression.run(seed, index, t, tokens.columns(2 * t, 3), ws.regression);
      if (t > N - losses)
        regression.target(View<const S, Dynamic, 1>(tokens.column(2 * t)), targets.column(t - (N - losses + 1)),
                          ws.regression);
    }
  }

 private:
  // Two random streams for each pair, apart from those of the regression.
  static std::uint32_t part_of(Index t) { return 0x80000000u + 2 * static_cast<std::uint32_t>(t); }

  template <class S>
  void move(std::uint64_t seed, std::uint64_t index, Index t, Workspace<S>& ws) const {
    using P = LaneScalar<S>;
    const S uniform = RandomStream<S>(seed, index, part_of(t)).uniform();
    bool any = false;
    for (Index l = 0; l < lane_count<S>; ++l)
      if (lane(uniform, l) < static_cast<P>(change)) {
        set_lane(ws.changed[t], l, P(1));
        any = true;
      }
    if (!any) return;
    RandomStream<S>(seed, index, part_of(t) + 1).fill_normal({ws.drawn.data(), ws.drawn.size(), 1});
    Array<S>& W = ws.regression.weights;
    for (Index i = 0; i < W.size(); ++i)
      W[i] = select(ws.changed[t], S(static_cast<P>(regression.weight_scale)) * ws.drawn[i], W[i]);
  }
};

/// The same with every change announced. Tokens have one more coordinate. It is 1 in an input from which on the map is
/// new, and 0 in all other tokens and in targets.
struct AnnouncedRegression {
  DriftingRegression drifting{};  ///< the tasks

  /// Throws std::invalid_argument where the drifting regression does.
  void check() const { drifting.check(); }
  Index length() const { return drifting.length(); }

  /// Shapes  tokens ((f + 1) x (2N+1)), targets ((f + 1) x losses)
  /// Errors  as `DriftingRegression::sequence`
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    check();
    detail::expect_losses("AnnouncedRegression", losses, drifting.regression.context);
    const Index rows = drifting.regression.features + 1;
    TokenSequence drawn{Eigen::MatrixXd(rows, length()), Eigen::MatrixXd(rows, losses)};
    auto scratch = workspace<double>();
    sequence(seed, index, view_of(drawn.tokens), view_of(drawn.targets), scratch);
    return drawn;
  }

  /// Scratch of `sequence`, sized once.
  template <class S>
  struct Workspace {
    DriftingRegression::Workspace<S> drifting;
    Array<S> tokens, targets;  ///< without the announcement
  };
  template <class S>
  Workspace<S> workspace() const {
    const Index f = drifting.regression.features;
    return {drifting.workspace<S>(), Array<S>(f, length()), Array<S>(f, drifting.regression.context)};
  }

  /// The same into the caller's memory, for as many tasks as S has lanes.
  /// Errors  as before; views of other sizes, the workspace of other tasks
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    check();
    const Index f = drifting.regression.features, N = drifting.regression.context, losses = targets.cols();
    detail::expect_losses("AnnouncedRegression", losses, N);
    expect_equal("AnnouncedRegression", "the number of rows of the tokens", tokens.rows(), f + 1);
    expect_equal("AnnouncedRegression", "the number of tokens", tokens.cols(), length());
    expect_equal("AnnouncedRegression", "the number of rows of the targets", targets.rows(), f + 1);
    expect_equal("AnnouncedRegression", "the number of targets that the workspace has room for", ws.targets.cols(), N);
    const View<S> plain = ws.tokens.view(), expected = ws.targets.view().columns(0, losses);
    drifting.sequence(seed, index, plain, expected, ws.drifting);
    const auto widen = [f](View<S> from, View<S> to) {
      for (Index j = 0; j < from.cols(); ++j) {
        for (Index i = 0; i < f; ++i) to(i, j) = from(i, j);
        to(f, j) = S(0);
      }
    };
    widen(plain, tokens);
    widen(expected, targets);
    for (Index t = 0; t <= N; ++t) tokens(f, 2 * t) = ws.drifting.changed[t];
  }
};

}  // namespace gdssm
