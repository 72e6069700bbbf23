// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gdssm/learners/any_learner.hpp"

namespace gdssm::predict {

/// What the command line says of a learner. What is not given has the value that the learner's name stands for.
struct LearnerOptions {
  std::optional<std::string> learner;
  std::optional<Index> steps, window;
  std::optional<double> ridge, forgetting;
  std::optional<Index> lags;        ///< not given: 0, or `lags_of_series` where there is nothing but dates
  std::string features = "linear";  ///< linear, polynomial:DEGREE or fourier:COUNT

  friend bool operator==(const LearnerOptions&, const LearnerOptions&) = default;
};

/// How many past targets are inputs by default where a file has nothing but dates and a target.
inline constexpr Index lags_of_series = 6;

/// The names that --learner takes, the default first.
std::vector<std::string> learner_names();

/// The learner that the options speak of: the one that is named, else the first that takes what is given.
/// Errors  std::invalid_argument: an option that the learner does not take, "--steps: ..."
std::string learner_of(const LearnerOptions& options);

/// The same options for another learner, without those that it does not take.
LearnerOptions options_for(const std::string& learner, LearnerOptions options);

/// The options as text: equal options have equal texts.
std::string in_words(const LearnerOptions& options);

/// Refuses a learner whose state after two stretches is not what merging theirs gives.
/// Errors  std::invalid_argument naming it, and those that would do
void expect_exact_merge(const LearnerOptions& options);

/// Errors  std::invalid_argument: a name of features that is none of the three
void expect_features(const std::string& features);

/// The learner for so many inputs and one target. Features are made of the `first` inputs and of past targets; later
/// inputs, indicators of text most often, enter as they are.
/// Errors  those of `learner_of`, `expect_features` and the learner
AnyLearner<> make_learner(const LearnerOptions& options, Index inputs, Index first);

}  // namespace gdssm::predict
