// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/view.hpp"
#include "gdssm/io/table_encoder.hpp"
#include "predict/classifiers.hpp"
#include "predict/learners.hpp"

namespace gdssm::predict {

/// Errors of the predicted classes of one target, beside those of the running frequencies.
class ClassScore {
 public:
  /// Takes the probabilities that were given to all classes before the row's own was known, that of its own, whether
  /// the most probable one was right, and what the frequencies gave it.
  void add(const Eigen::VectorXd& probabilities, double own, bool is_right, double frequency);

  Index scored() const { return scored_; }
  std::optional<double> log_loss() const { return mean(log_loss_); }
  std::optional<double> accuracy() const { return mean(right_); }
  /// The mean of sum_k (p_k - y_k)^2.
  std::optional<double> brier() const { return mean(brier_); }
  /// 1 - log loss / log loss of the running frequencies.
  std::optional<double> skill() const {
    return frequencies_ > 0 ? std::optional(1 - log_loss_ / frequencies_) : std::nullopt;
  }

 private:
  std::optional<double> mean(double sum) const {
    return scored_ > 0 ? std::optional(sum / static_cast<double>(scored_)) : std::nullopt;
  }

  Index scored_ = 0;
  double log_loss_ = 0, right_ = 0, brier_ = 0, frequencies_ = 0;
};

/// How often classes came that were given a probability, by tenths, and the skill so far.
class Reliability {
 public:
  void add(double probability, bool came);
  void add_skill(Index row, const std::optional<double>& skill);
  /// Both figures in one document.
  std::string to_svg(const std::string& target) const;

 private:
  static constexpr std::size_t bins = 10, kept = 1000;

  std::array<double, bins> count_{}, probability_{}, came_{};
  Index stride_ = 1;
  std::vector<double> rows_, skills_;
};

/// A classifier that runs beside, for the table.
struct ComparedClassifier {
  std::string name;
  GrowingClassifier learner;
  ClassScore score;
};

struct ClassTargetSettings {
  LearnerOptions learner;
  std::vector<std::string> compared;  ///< classifiers that run beside
  std::vector<std::string> names;     ///< all classes that will come, in that order; none where they are not known
  Index delay = 0, burn_in = 10;
};

/// A column of names that is predicted, with its classes so far.
class ClassTarget {
 public:
  static constexpr std::size_t most_classes = 100;

  ClassTarget(std::string name, TableEncoder encoder, ClassTargetSettings settings)
      : name_(std::move(name)),
        encoder_(std::move(encoder)),
        settings_(std::move(settings)),
        learner_(settings_.learner) {
    for (const std::string& other : settings_.compared)
      others_.push_back({other, GrowingClassifier(classifier_options_for(other, settings_.learner)), {}});
  }

  const std::string& name() const { return name_; }
  const std::vector<std::string>& classes() const { return classes_; }  ///< so far, in the order in which they came
  const TableEncoder& encoder() const { return encoder_; }
  const Eigen::VectorXd& inputs() const { return now_.row.x; }
  const ClassScore& score() const { return score_; }
  const std::vector<ComparedClassifier>& others() const { return others_; }
  const Reliability& reliability() const { return reliability_; }

  void encode(std::span<const std::string_view> cells) { now_.row = encoder_.encode(cells); }
  /// The probabilities of all classes, if their names are known, else of those so far, and last of all others.
  const Eigen::VectorXd& predict();
  /// The most probable class so far; empty before the first has come.
  std::string_view likeliest() const;
  /// Takes the row's class, or that it is missing.
  void take(const std::optional<std::string>& label, Index row, bool draws);
  /// Learns the rows whose classes were still to come.
  void finish();

 private:
  struct Row {
    EncodedRow row;
    Index label = -1;                      // -1: missing
    std::vector<Eigen::VectorXd> guesses;  // of the learner, the frequencies, and the others
  };

  Eigen::VectorXd guess(GrowingClassifier& learner);
  void learn(const Row& row);
  Eigen::VectorXd complete(const Eigen::VectorXd& p);
  Index likeliest_of(const Eigen::VectorXd& p) const;

  std::string name_;
  TableEncoder encoder_;
  ClassTargetSettings settings_;
  GrowingClassifier learner_, frequencies_{classifier_options_for("frequencies", {})};
  std::vector<ComparedClassifier> others_;
  std::vector<std::string> classes_;
  Index learned_ = 0;  // rows with a class
  Index known_ = 0;    // classes that the learners knew at the last prediction
  ClassScore score_;
  Reliability reliability_;
  Row now_;
  std::deque<Row> late_;  // rows whose classes are not known yet
};

}  // namespace gdssm::predict
