// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <Eigen/Core>

#include "gdssm/learners/learner.hpp"

namespace gdssm::test {

/// The queries and pairs that a `Probe` has seen.
struct Seen {
  std::vector<Eigen::VectorXd> queries, inputs, targets;
  int checked = 0;  ///< calls that checked their vectors
};

/// The state of a `Probe`.
struct ProbeState {
  Count<double> rows = Count<double>::Zero();

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
  }
  friend bool operator==(const ProbeState& a, const ProbeState& b) { return identical(a, b); }
};

/// A user's own learner: it predicts a constant and records what it sees.
class Probe : public LearnerBase<Probe, double>, public StateBase<Probe, ProbeState, double> {
  using Base = LearnerBase<Probe, double>;

 public:
  static constexpr auto name = "Probe";

  Probe(Index inputs, Index targets, Seen* seen, double answer = 0)
      : Base(inputs, targets, 0), seen_(seen), answer_(Eigen::VectorXd::Constant(targets, answer)) {}

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    ++seen_->checked;
    return Base::predict(x);
  }
  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    ++seen_->checked;
    Base::observe(x, y);
  }
  const Vector& predict_valid(const Vector& x) {
    seen_->queries.push_back(x);
    return answer_;
  }
  void observe_valid(const Vector& x, const Vector& y) {
    seen_->inputs.push_back(x);
    seen_->targets.push_back(y);
    state_.rows[0] += 1;
  }
  void merge_valid(const ProbeState& later) { state_.rows += later.rows; }

 private:
  Seen* seen_;
  Eigen::VectorXd answer_;
};

}  // namespace gdssm::test
