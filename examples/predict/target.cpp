// SPDX-License-Identifier: Apache-2.0
#include "predict/target.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "gdssm/learners/widen.hpp"

namespace gdssm::predict {

AnyLearner<>& GrowingLearner::fit(const Vector& x) {
  if (!learner_) {
    first_ = inputs_ = std::max<Index>(1, x.size());  // learners have at least one
    learner_.emplace(make_learner(options_, inputs_, first_));
  } else if (x.size() > inputs_) {
    AnyLearner<> wide = make_learner(options_, x.size(), first_);
    widen(wide, *learner_);
    learner_ = std::move(wide);
    inputs_ = x.size();
  }
  return *learner_;
}

const Eigen::VectorXd& GrowingLearner::padded(const Vector& x) {
  if (x.size() == inputs_) return x;
  padded_.setZero(inputs_);
  padded_.head(x.size()) = x;
  return padded_;
}

Target::Target(std::string name, TableEncoder encoder, TargetSettings settings)
    : name_(std::move(name)), encoder_(std::move(encoder)), settings_(std::move(settings)) {}

void Target::begin(LearnerOptions options, Index inputs, Index first) {
  settings_.learner = std::move(options);
  learner_.emplace(settings_.learner, inputs, first);
}

void Target::begin_learner() {
  if (learner_) return;
  // A value alone, or with its dates, is foreseen from its own past.
  if (!settings_.learner.lags) settings_.learner.lags = encoder_.has_only_dates() ? lags_of_series : 0;
  learner_.emplace(settings_.learner);
}

Prediction Target::predict() {
  begin_learner();
  if (others_.size() != settings_.compared.size())
    for (const std::string& name : settings_.compared)
      others_.push_back({name, GrowingLearner(options_for(name, settings_.learner)), {}});
  now_.guesses.clear();
  now_.guesses.push_back(guess(*learner_, now_.row.x));
  for (Compared& other : others_) now_.guesses.push_back(guess(other.learner, now_.row.x));
  return {now_.guesses[0], half_width()};
}

/// Infinite before an error is known, and then left empty.
double Target::half_width() {
  const double half_width = intervals_.half_widths()[0];
  return std::isfinite(half_width) ? half_width : std::numeric_limits<double>::quiet_NaN();
}

/// Rows whose targets are still to come are passed first, with guesses in their place.
double Target::guess(GrowingLearner& learner, const Eigen::VectorXd& x) const {
  if (late_.empty()) return learner.predict(x);
  GrowingLearner ahead = learner;
  for (const Row& late : late_) ahead.skip(late.row.x, ahead.predict(late.row.x));
  return ahead.predict(x);
}

double Target::preview(const Eigen::VectorXd& x) {
  if (x.size() <= learner_->inputs()) return guess(*learner_, x);
  GrowingLearner wide = *learner_;
  return guess(wide, x);
}

void Target::take(double target, Index row, bool draws) {
  now_.target = target;
  if (!std::isnan(target)) {
    if (yardstick_.rows() >= settings_.burn_in) {
      score_.add(now_.guesses[0], target, yardstick_);
      for (std::size_t i = 0; i < others_.size(); ++i) others_[i].score.add(now_.guesses[i + 1], target, yardstick_);
    }
    if (draws) curve_.add(row, now_.guesses[0], target, score_.skill());
  }
  if (settings_.delay == 0) return learn(now_);
  late_.push_back(now_);
  if (static_cast<Index>(late_.size()) <= settings_.delay) return;
  learn(late_.front());
  late_.pop_front();
}

void Target::teach(double target) {
  begin_learner();
  if (std::isnan(target)) return;
  y_[0] = target;
  learner_->observe(now_.row.x, y_);
  encoder_.observe(now_.row, target);
  yardstick_.observe(y_);
}

void Target::finish() {
  for (const Row& row : late_) learn(row);
  late_.clear();
}

void Target::learn(const Row& row) {
  const Eigen::VectorXd& x = row.row.x;
  if (std::isnan(row.target)) {
    learner_->skip(x, learner_->predict(x));
    for (Compared& other : others_) other.learner.skip(x, other.learner.predict(x));
    return;
  }
  y_[0] = row.target;
  guess_[0] = row.guesses[0];
  intervals_.observe(guess_, y_);
  learner_->observe(x, y_);
  for (Compared& other : others_) other.learner.observe(x, y_);
  encoder_.observe(row.row, row.target);
  yardstick_.observe(y_);
}

}  // namespace gdssm::predict
