// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <optional>

#include <Eigen/Core>

#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"

namespace gdssm::predict {

/// What a target's predictions are measured by: its running mean and its last value, which go on as its learner does.
class Yardstick {
 public:
  struct State {
    RunningMean<>::State mean;
    LastValue<>::State last;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("mean", visitor, self.mean...);
      visit_part("last", visitor, self.last...);
    }
  };

  Index rows() const { return static_cast<Index>(mean_.state().rows[0]); }  ///< targets seen
  double mean() const { return mean_.state().mean[0]; }
  double last() const { return last_.state().last[0]; }
  void observe(const Eigen::VectorXd& target) {
    mean_.observe(Eigen::VectorXd(), target);
    last_.observe(Eigen::VectorXd(), target);
  }

  State state() const { return {mean_.state(), last_.state()}; }
  void set_state(const State& state) {
    mean_.set_state(state.mean);
    last_.set_state(state.last);
  }
  void merge(const State& later) {
    mean_.merge(later.mean);
    last_.merge(later.last);
  }

 private:
  RunningMean<> mean_{0, 1};
  LastValue<> last_{0, 1};
};

/// Errors of the predictions of one target, beside those of its running mean and of its last value.
class Score {
 public:
  /// Takes a target with the prediction that was made before it was known.
  void add(double prediction, double target, const Yardstick& before) {
    ++scored_;
    absolute_ += std::abs(target - prediction);
    squared_ += square(target - prediction);
    squared_mean_ += square(target - before.mean());
    squared_last_ += square(target - before.last());
  }

  Index scored() const { return scored_; }
  std::optional<double> mae() const { return ratio(absolute_, static_cast<double>(scored_)); }
  std::optional<double> rmse() const {
    const auto mse = ratio(squared_, static_cast<double>(scored_));
    return mse ? std::optional(std::sqrt(*mse)) : mse;
  }
  /// 1 - SSE / SSE of the mean of all earlier targets.
  std::optional<double> skill() const { return skill_against(squared_mean_); }
  /// 1 - SSE / SSE of the target seen last.
  std::optional<double> skill_last_value() const { return skill_against(squared_last_); }

 private:
  static double square(double x) { return x * x; }
  static std::optional<double> ratio(double a, double b) { return b > 0 ? std::optional(a / b) : std::nullopt; }
  std::optional<double> skill_against(double squared) const {
    const auto share = ratio(squared_, squared);
    return share ? std::optional(1 - *share) : share;
  }

  Index scored_ = 0;
  double absolute_ = 0, squared_ = 0, squared_mean_ = 0, squared_last_ = 0;
};

}  // namespace gdssm::predict
