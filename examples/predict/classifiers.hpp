// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/learners/any_learner.hpp"
#include "predict/learners.hpp"

namespace gdssm::predict {

/// The names that --learner takes for classes, the default first.
std::vector<std::string> classifier_names();

/// The classifier that the options speak of.
/// Errors  std::invalid_argument: an unknown name, or an option that the classifier does not take, "--steps: ..."
std::string classifier_of(const LearnerOptions& options);

/// The same options for another classifier, without those that it does not take.
LearnerOptions classifier_options_for(const std::string& name, LearnerOptions options);

/// The classifier for so many inputs and classes, the last of which stands for those that have not come yet.
AnyLearner<> make_classifier(const LearnerOptions& options, Index inputs, Index classes);

/// A classifier whose inputs and classes become more as rows come.
class GrowingClassifier {
 public:
  using Vector = Eigen::VectorXd;

  explicit GrowingClassifier(LearnerOptions options) : options_(std::move(options)) {}

  /// The probabilities of the classes so far, and last of all others.
  const Vector& predict(const Vector& x) { return fit(x).predict(padded(x)); }
  /// Learns the class of a row; the class may be the next new one.
  void observe(const Vector& x, Index label);
  void skip(const Vector& x, const Vector& guess) { fit(x).skip(padded(x), guess); }

 private:
  AnyLearner<>& fit(const Vector& x);
  const Vector& padded(const Vector& x);

  LearnerOptions options_;
  Index inputs_ = 0, classes_ = 1;
  std::optional<AnyLearner<>> learner_;
  Vector padded_;
};

}  // namespace gdssm::predict
