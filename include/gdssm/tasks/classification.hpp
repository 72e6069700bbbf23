// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "gdssm/core/error.hpp"
#include "gdssm/tasks/linear_regression.hpp"

namespace gdssm {

/// The law of an input's label given its logits W* x.
enum class LabelLaw {
  softmax,  ///< class k with probability softmax(W* x)_k
  argmax,   ///< the class of the largest logit
};

/// One task: the map to logits, a context drawn from it, and the labels.
/// Shapes  inputs (f x (N+1)), the query last; weights W* (c x f); labels (N+1), counted from 0, the query's last
struct ClassificationTask {
  Eigen::MatrixXd inputs;                          ///< x_i, one a column, the query last
  Eigen::MatrixXd weights;                         ///< W*
  Eigen::Matrix<Index, Eigen::Dynamic, 1> labels;  ///< counted from 0, the query's last
};

/// Classification in context: the logits of c classes are W* x, the targets of a linear regression. An input's label is
/// drawn from their softmax, or is the class of the largest. In tokens a label is the vector onehot(y) - 1/c, minus the
/// gradient of the cross-entropy at zero logits, in the first c coordinates. The target of a prediction is onehot(y).
///
/// Inputs and weights are those of the regression, task for task. Every label has its own random stream.
/// Source  docs/theory.md, classification
struct Classification {
  LinearRegression regression{.outputs = 4};  ///< inputs, W* and the numbers of features, pairs and classes (outputs)
  LabelLaw labels = LabelLaw::softmax;        ///< how labels follow from W* x

  Index classes() const { return regression.outputs; }  ///< c

  /// Throws std::invalid_argument where the regression does, and on one class, too many classes, noise or distractors.
  void check() const {
    regression.check();
    if (classes() < 2 || classes() > regression.features)
      refuse("Classification", "there are ", classes(), " classes, expected 2 to ", regression.features,
             ", the features");
    expect_equal("Classification", "the label noise", regression.label_noise, 0.0);
    expect_equal("Classification", "the number of distractors", regression.distractors, Index(0));
  }

  /// Task i of a seed.        Errors  as `check`
  ClassificationTask draw(std::uint64_t seed, std::uint64_t index) const {
    check();
    const LinearRegressionTask logits = regression.draw(seed, index);
    ClassificationTask task{logits.inputs, logits.weights, {}};
    task.labels.resize(regression.context + 1);
    for (Index t = 0; t <= regression.context; ++t)
      task.labels[t] = static_cast<Index>(label(seed, index, t, View<const double>(view_of(logits.targets).column(t))));
    return task;
  }

  /// The number of tokens in a sequence, 2N + 1.
  Index length() const { return regression.length(); }
  /// The logits of the classes count.
  Targets targets() const { return {Targets::Loss::cross_entropy, classes()}; }

  /// Task i of a seed for a model: normal tokens, and the labels to predict at the last `losses` windows as one-hot
  /// vectors, with zeros below the classes.
  /// Shapes  tokens (f x (2N+1)), targets (f x losses)
  /// Errors  as `check`; losses not in 1..N
  TokenSequence sequence(std::uint64_t seed, std::uint64_t index, Index losses = 1) const {
    check();
    detail::expect_losses("Classification", losses, regression.context);
    TokenSequence drawn{Eigen::MatrixXd(regression.features, length()), Eigen::MatrixXd(regression.features, losses)};
    auto scratch = workspace<double>();
    sequence(seed, index, view_of(drawn.tokens), view_of(drawn.targets), scratch);
    return drawn;
  }

  /// Scratch of `sequence`, sized once.
  template <class S>
  struct Workspace {
    LinearRegression::Workspace<S> regression;
  };
  template <class S>
  Workspace<S> workspace() const {
    return {regression.workspace<S>()};
  }

  /// The same into the caller's memory, for as many tasks as S has lanes.
  /// Errors  as before; views of other sizes, the workspace of other tasks
  template <class S>
  void sequence(std::uint64_t seed, std::uint64_t index, View<S> tokens, View<S> targets, Workspace<S>& ws) const {
    check();
    detail::expect_losses("Classification", targets.cols(), regression.context);
    regression.sequence(seed, index, tokens, targets, ws.regression);  // logits, in the last rows
    const Index N = regression.context, losses = targets.cols();
    const S share = S(LaneScalar<S>(1) / static_cast<LaneScalar<S>>(classes()));
    for (Index t = 0; t <= N; ++t) {
      const View<S, Dynamic, 1> logits = t < N ? tokens.column(2 * t + 1) : targets.column(losses - 1);
      const S drawn =
          label(seed, index, t, View<const S>(logits.data() + (regression.features - classes()), classes(), 1));
      const Index j = t - (N - losses + 1);
      if (t < N) put(drawn, share, tokens.column(2 * t + 1));
      if (j >= 0) put(drawn, S(0), targets.column(j));
    }
  }

 private:
  static constexpr std::uint32_t labels_part = std::uint32_t{1} << 31;  // the regression counts its parts from 0

  // Computed lane by lane and in double precision, so that each lane has the label that is drawn for its task alone.
  template <class S>
  S label(std::uint64_t seed, std::uint64_t index, Index t, View<const S> logits) const {
    S found = S(0), u = S(0);
    if (labels == LabelLaw::softmax)
      u = RandomStream<S>(seed, index, labels_part + static_cast<std::uint32_t>(t)).uniform();
    for (Index l = 0; l < lane_count<S>; ++l) {
      const auto logit = [&](Index k) { return static_cast<double>(lane(logits[k], l)); };
      Index chosen = 0;
      for (Index k = 1; k < classes(); ++k)
        if (logit(k) > logit(chosen)) chosen = k;
      if (labels == LabelLaw::softmax) {
        const double largest = logit(chosen);
        double total = 0;
        for (Index k = 0; k < classes(); ++k) total += std::exp(logit(k) - largest);
        double left = static_cast<double>(lane(u, l)) * total;
        for (chosen = 0; chosen + 1 < classes(); ++chosen)
          if ((left -= std::exp(logit(chosen) - largest)) < 0) break;
      }
      set_lane(found, l, static_cast<LaneScalar<S>>(chosen));
    }
    return found;
  }

  // onehot(label) - share in the first c coordinates, zeros below.
  template <class S>
  void put(const S& drawn, const S& share, View<S, Dynamic, 1> out) const {
    for (Index i = 0; i < out.size(); ++i) out[i] = i < classes() ? S(0) - share : S(0);
    for (Index l = 0; l < lane_count<S>; ++l) {
      const auto k = static_cast<Index>(lane(drawn, l));
      set_lane(out[k], l, LaneScalar<S>(1) + lane(out[k], l));
    }
  }
};

}  // namespace gdssm
