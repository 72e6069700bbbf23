// SPDX-License-Identifier: Apache-2.0
#include "predict/classifiers.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "gdssm/core/error.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/learners/class_frequencies.hpp"
#include "gdssm/learners/classes.hpp"
#include "gdssm/learners/default_classifier.hpp"
#include "gdssm/learners/online_newton.hpp"
#include "gdssm/learners/scaling.hpp"
#include "gdssm/learners/softmax_learner.hpp"
#include "gdssm/learners/widen.hpp"

namespace gdssm::predict {
namespace {

struct Entry {
  std::string_view name;
  bool steps, ridge, forgetting, window;  // what it takes
};

constexpr std::array entries{
    Entry{"default", false, false, false, false},    Entry{"newton", false, true, false, false},
    Entry{"one-step", false, false, true, false},    Entry{"descent", true, true, false, true},
    Entry{"frequencies", false, false, true, false}, Entry{"transitions", false, false, false, false}};

std::string all_names() {
  std::string names;
  for (const Entry& entry : entries) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

void expect_taken(const Entry& entry, const LearnerOptions& options) {
  const auto check = [&](const char* option, bool given, bool taken) {
    if (given && !taken) refuse(option, "the classifier ", entry.name, " does not take it");
  };
  check("--steps", options.steps.has_value(), entry.steps);
  check("--ridge", options.ridge.has_value(), entry.ridge);
  check("--forgetting", options.forgetting.has_value(), entry.forgetting);
  check("--window", options.window.has_value(), entry.window);
  check("--lags", options.lags.has_value(), false);
  check("--features", options.features != "linear", false);
}

}  // namespace

std::vector<std::string> classifier_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

std::string classifier_of(const LearnerOptions& options) {
  const std::string name = options.learner.value_or("default");
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& one) { return one.name == name; });
  if (found == entries.end())
    refuse("--learner", "there is no classifier ", in_quotes(name), ", expected one of ", all_names());
  expect_taken(*found, options);
  return name;
}

LearnerOptions classifier_options_for(const std::string& name, LearnerOptions options) {
  options.learner = name;
  for (const Entry& entry : entries) {
    if (entry.name != name) continue;
    if (!entry.steps) options.steps.reset();
    if (!entry.ridge) options.ridge.reset();
    if (!entry.forgetting) options.forgetting.reset();
    if (!entry.window) options.window.reset();
  }
  return options;
}

AnyLearner<> make_classifier(const LearnerOptions& options, Index f, Index c) {
  const std::string name = classifier_of(options);
  const double ridge = options.ridge.value_or(1), decay = options.forgetting.value_or(1);
  if (name == "newton") return AnyLearner(WithScaledInputs<OnlineNewton<>>(f, c, OnlineNewton<>::Settings{ridge}));
  if (name == "one-step")
    return AnyLearner(WithScaledInputs<SoftmaxStep<>>(f, c, SoftmaxStep<>::Settings{.decay = decay}));
  if (name == "descent")
    return AnyLearner(WithScaledInputs<SoftmaxDescent<>>(
        f, c, SoftmaxDescent<>::Settings{options.steps.value_or(10), options.window.value_or(100), ridge}));
  if (name == "frequencies") return AnyLearner(ClassFrequencies<>(f, c, decay));
  if (name == "transitions") return AnyLearner(ClassTransitions<>(f, c));
  return AnyLearner(default_classifier(f, c));
}

AnyLearner<>& GrowingClassifier::fit(const Vector& x) {
  if (!learner_) {
    inputs_ = std::max<Index>(1, x.size());  // learners have at least one
    learner_.emplace(make_classifier(options_, inputs_, classes_));
  } else if (x.size() > inputs_) {
    AnyLearner<> wide = make_classifier(options_, x.size(), classes_);
    widen(wide, *learner_);
    learner_ = std::move(wide);
    inputs_ = x.size();
  }
  return *learner_;
}

const Eigen::VectorXd& GrowingClassifier::padded(const Vector& x) {
  if (x.size() == inputs_) return x;
  padded_.setZero(inputs_);
  padded_.head(x.size()) = x;
  return padded_;
}

void GrowingClassifier::observe(const Vector& x, Index label) {
  fit(x);
  while (label >= classes_ - 1) {
    AnyLearner<> wide = make_classifier(options_, inputs_, classes_ + 1);
    widen_classes(wide, *learner_);
    learner_ = std::move(wide);
    ++classes_;
  }
  learner_->observe(padded(x), one_hot(label, classes_));
}

}  // namespace gdssm::predict
