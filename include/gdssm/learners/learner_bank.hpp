// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/mixing_rules.hpp"
#include "gdssm/learners/stateful_parts.hpp"

namespace gdssm {

/// Many learners at once, whose predictions are mixed with weights that `Rule` learns from their losses:
///     Bank bank(AdaHedge<>(1e-3), RidgeLearner<>(f, m), NlmsLearner<>(f, m), LastValue<>(f, m));
/// A member may be a `std::vector` of learners, for instance one per decay. Every target has its own weights. The rule
/// bounds how much more the mixture loses than its best member, (16). A bank of one member predicts exactly as it does.
/// Shapes  x (f), y (m)
/// Errors  those of the members; std::invalid_argument: no members, or members of different sizes
template <MixingRule Rule, class... Members>
class Bank : public LearnerBase<Bank<Rule, Members...>, typename Rule::Scalar> {
  using Base = LearnerBase<Bank, typename Rule::Scalar>;
  using Together = detail::Together<Members...>;

 public:
  using Scalar = typename Rule::Scalar;
  using Vector = Eigen::VectorX<Scalar>;
  static constexpr auto name = "Bank";
  static_assert((std::is_same_v<typename detail::Part<Members>::Scalar, Scalar> && ...),
                "Bank: the rule and all members must have the same scalar type");

  struct State {
    typename Together::State members;
    typename Rule::State rule;

    /// Members are named by position: "0", "1", ..., and those of a vector "1.0", "1.1", ...
    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Together::visit(visitor, self.members...);
      visit_part("rule", visitor, self.rule...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit Bank(Rule rule, Members... members) : Bank(std::move(rule), Together(std::move(members)...)) {}

  const Vector& predict_valid(const Vector& x) {
    if (asked_ && x == x_) return prediction_;  // `observe` after `predict` reuses the members' predictions
    Index k = 0;
    members_.each([&](auto& member) { predictions_.col(k++) = detail::predict_valid(member, x); });
    prediction_ = rule_.mix(predictions_);
    x_ = x;
    asked_ = true;
    return prediction_;
  }

  /// The members' predictions (m x K) in the last mixture.
  const Eigen::MatrixX<Scalar>& predictions() const { return predictions_; }
  const Rule& rule() const { return rule_; }  ///< the rule that mixes the members

  void observe_valid(const Vector& x, const Vector& y) {
    predict_valid(x);
    rule_.update(predictions_, y);
    members_.each([&](auto& member) { detail::observe_valid(member, x, y); });
    asked_ = false;
  }

  void skip_valid(const Vector& x, const Vector& guess) {
    members_.each([&](auto& member) { detail::skip_valid(member, x, guess); });
    asked_ = false;
  }

  State state() const { return {members_.state(), rule_.state()}; }
  void set_state(const State& state) {
    change([](auto& part, const auto& s) { part.set_state(s); }, state);
  }
  void merge(const State& later) {
    change([](auto& part, const auto& s) { part.merge(s); }, later);
  }

 private:
  struct Sizes {
    explicit Sizes(Together& members) {
      members.each([&](const auto& member) {
        if (experts++ == 0) {
          inputs = member.input_count();
          targets = member.target_count();
        }
        expect_equal(name, "a member's number of inputs", member.input_count(), inputs);
        expect_equal(name, "a member's number of targets", member.target_count(), targets);
      });
      if (experts == 0) refuse(name, "there are no members, expected at least one");
    }
    Index experts = 0, inputs = 0, targets = 0;
  };

  Bank(Rule rule, Together members) : Bank(std::move(rule), members, Sizes(members)) {}
  Bank(Rule rule, const Together& members, Sizes sizes)
      : Base(sizes.inputs, sizes.targets, 0), rule_(std::move(rule)), members_(members) {
    predictions_.setZero(sizes.targets, sizes.experts);
    x_.setZero(sizes.inputs);
    prediction_.setZero(sizes.targets);
    rule_.start(sizes.experts, sizes.targets);
  }

  /// Applies `action` to each part and its state; if a part refuses, nothing changes.
  template <class Action>
  void change(Action&& action, const State& state) {
    detail::expect_state<Scalar>(name, this->state(), state);
    Bank next = *this;
    next.members_.each(action, state.members);
    action(next.rule_, state.rule);
    next.asked_ = false;
    *this = std::move(next);
  }

  Rule rule_;
  Together members_;
  bool asked_ = false;  // whether predictions_ and prediction_ belong to x_
  Vector x_, prediction_;
  Eigen::MatrixX<Scalar> predictions_;
};

}  // namespace gdssm
