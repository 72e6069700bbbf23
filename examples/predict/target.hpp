// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include "gdssm/io/table_encoder.hpp"
#include "gdssm/learners/any_learner.hpp"
#include "gdssm/learners/intervals.hpp"
#include "predict/curve.hpp"
#include "predict/learners.hpp"
#include "predict/score.hpp"

namespace gdssm::predict {

/// A learner whose inputs become more as a file's columns show what they are, without losing what it has learned.
class GrowingLearner {
 public:
  using Vector = Eigen::VectorXd;

  explicit GrowingLearner(LearnerOptions options) : options_(std::move(options)) {}
  /// For a state of a learner with so many inputs, of which the first came with the first row.
  GrowingLearner(LearnerOptions options, Index inputs, Index first)
      : options_(std::move(options)), first_(first), inputs_(inputs), learner_(make_learner(options_, inputs, first)) {}

  double predict(const Vector& x) { return fit(x).predict(padded(x))[0]; }
  void observe(const Vector& x, const Vector& y) { fit(x).observe(padded(x), y); }
  void skip(const Vector& x, double guess) { fit(x).skip(padded(x), Vector::Constant(1, guess)); }

  Index inputs() const { return inputs_; }
  Index first_inputs() const { return first_; }
  AnyLearner<>* learner() { return learner_ ? &*learner_ : nullptr; }  ///< none before the first row

 private:
  AnyLearner<>& fit(const Vector& x);
  const Vector& padded(const Vector& x);

  LearnerOptions options_;
  Index first_ = 0, inputs_ = 0;
  std::optional<AnyLearner<>> learner_;
  Vector padded_;
};

/// A learner that runs beside, for the table.
struct Compared {
  std::string name;
  GrowingLearner learner;
  Score score;
};

/// What is known of a row before its target: the prediction and half of its interval, NaN where there is none yet.
struct Prediction {
  double value = 0, half_width = 0;
};

/// How a target is predicted.
struct TargetSettings {
  LearnerOptions learner;
  std::vector<std::string> compared;  ///< names of learners that run beside
  Index delay = 0;                    ///< rows after which a target is known
  Index burn_in = 10;
};

/// A target column. Each has an encoder and a learner of its own, so that a row without one target still teaches the
/// others.
class Target {
 public:
  Target(std::string name, TableEncoder encoder, TargetSettings settings);

  /// Makes inputs of the cells of the next row, which are text, numbers or both.
  template <class Cell>
  void encode(std::span<const Cell> cells) {
    now_.row = encoder_.encode(cells);
  }
  /// Predicts the target of that row, from it and from the targets known by then.
  Prediction predict();
  /// What `encode` and `predict` would say of a row, which does not count: nothing changes.
  template <class Cell>
  Prediction preview(std::span<const Cell> cells) {
    return {learner_ ? preview(encoder_.preview(cells).x) : 0, half_width()};
  }
  /// Appends a column, whose cells were missing so far.
  void add_column(std::string name) { encoder_.add_column(std::move(name)); }
  /// Takes the target of that row, NaN where it is missing: it is learned now, or after as many rows as it is late.
  void take(double target, Index row, bool draws);
  /// Learns the target of that row at once, without a prediction; NaN: it is missing.
  void teach(double target);
  /// Learns the targets that were still to come.
  void finish();

  const std::string& name() const { return name_; }
  const TableEncoder& encoder() const { return encoder_; }
  const EncodedRow& row() const { return now_.row; }
  const Score& score() const { return score_; }
  const std::vector<Compared>& others() const { return others_; }
  const Curve& curve() const { return curve_; }
  const LearnerOptions& options() const { return settings_.learner; }

  /// What goes on with a state: part(name, part) for the encoder, the learner, the intervals and the yardstick.
  template <class Part>
  void each_part(Part&& part) {
    part("encoder", encoder_);
    part("intervals", intervals_);
    part("yardstick", yardstick_);
    if (learner_ && learner_->learner() != nullptr) part("learner", *learner_->learner());
  }
  std::optional<GrowingLearner>& learner() { return learner_; }
  void begin(LearnerOptions options, Index inputs, Index first);

 private:
  struct Row {
    EncodedRow row;
    double target = 0;
    std::vector<double> guesses;  // of the learner, then of the others
  };

  double guess(GrowingLearner& learner, const Eigen::VectorXd& x) const;
  double preview(const Eigen::VectorXd& x);
  double half_width();
  void learn(const Row& row);
  void begin_learner();

  std::string name_;
  TableEncoder encoder_;
  TargetSettings settings_;
  std::optional<GrowingLearner> learner_;
  Intervals<> intervals_{1};
  Yardstick yardstick_;
  Score score_;
  std::vector<Compared> others_;
  Curve curve_;
  Row now_;
  std::deque<Row> late_;  // rows whose targets are not known yet
  Eigen::VectorXd y_ = Eigen::VectorXd::Zero(1), guess_ = y_;
};

}  // namespace gdssm::predict
