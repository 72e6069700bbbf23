// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/mixing.hpp"

namespace gdssm {

namespace detail {

/// A member of a bank: a learner, or a vector of learners of one type.
template <class M>
struct Member {
  using Scalar = typename M::Scalar;
  using State = typename M::State;
  static Index count(const M&) { return 1; }
  template <class Action>
  static void each(M& member, Action&& action) {
    action(member);
  }
  static State state(const M& member) { return member.state(); }
  static void set_state(M& member, const State& state) { member.set_state(state); }
  static void merge(M& member, const State& later) { member.merge(later); }
};

template <class L>
struct Member<std::vector<L>> {
  using Scalar = typename L::Scalar;
  using State = std::vector<typename L::State>;
  static Index count(const std::vector<L>& members) { return static_cast<Index>(members.size()); }
  template <class Action>
  static void each(std::vector<L>& members, Action&& action) {
    for (L& member : members) action(member);
  }
  static State state(const std::vector<L>& members) {
    State states;
    for (const L& member : members) states.push_back(member.state());
    return states;
  }
  static void set_state(std::vector<L>& members, const State& states) {
    for (std::size_t i = 0; i < members.size(); ++i) members[i].set_state(states[i]);
  }
  static void merge(std::vector<L>& members, const State& later) {
    for (std::size_t i = 0; i < members.size(); ++i) members[i].merge(later[i]);
  }
};

}  // namespace detail

/// Many learners at once, whose predictions are mixed by weights that `Rule` learns from their losses:
///     Bank bank(AdaHedge<>(1e-3), RidgeLearner<>(f, m), NlmsLearner<>(f, m), LastValue<>(f, m));
/// A member may be a `std::vector` of learners, such as one a decay. Every target has weights of its own. Nothing is
/// chosen beforehand: what the mixture loses more than its best member is bounded by the rule, (16). A bank of one
/// answers what its member answers, to the bit.
/// Shapes  x (f), y (m)
/// Errors  those of the members; std::invalid_argument: no members, or members of different sizes
template <MixingRule Rule, class... Members>
class Bank {
 public:
  using Scalar = typename Rule::Scalar;
  using Vector = Eigen::VectorX<Scalar>;
  static_assert((std::is_same_v<typename detail::Member<Members>::Scalar, Scalar> && ...),
                "Bank: the rule and all members must have the same scalar type");

  struct State {
    std::tuple<typename detail::Member<Members>::State...> members;
    typename Rule::State rule;

    /// Members are named by their places: "0", "1", ..., and those of a vector "1.0", "1.1", ...
    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      detail::visit_tuple(std::index_sequence_for<Members...>(), visitor, self.members...);
      visit_part("rule", visitor, self.rule...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit Bank(Rule rule, Members... members) : rule_(std::move(rule)), members_(std::move(members)...) {
    Index experts = 0;
    each([&](auto& member) {
      if (experts++ == 0) {
        inputs_ = member.input_count();
        y_.setZero(member.target_count());
      }
      expect_equal(name, "a member's number of inputs", member.input_count(), inputs_);
      expect_equal(name, "a member's number of targets", member.target_count(), target_count());
    });
    if (experts == 0) refuse(name, "there are no members, expected at least one");
    predictions_.setZero(target_count(), experts);
    x_.setZero(inputs_);
    prediction_ = y_;
    rule_.start(experts, target_count());
  }

  Index input_count() const { return inputs_; }
  Index target_count() const { return y_.size(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    ask(x);
    return prediction_;
  }

  /// The members' predictions (m x K) that the last prediction has mixed.
  const Eigen::MatrixX<Scalar>& predictions() const { return predictions_; }
  const Rule& rule() const { return rule_; }  ///< how the members are mixed

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    ask(x);
    y_ = y;
    rule_.update(predictions_, y_);
    each([&](auto& member) { member.observe(x_, y_); });
    asked_ = false;
  }

  State state() const {
    return {std::apply([](const Members&... m) { return std::tuple(detail::Member<Members>::state(m)...); }, members_),
            rule_.state()};
  }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    Bank next = *this;  // a member may refuse what those before it have taken
    next.apply(state, [](auto& member, const auto& s) {
      detail::Member<std::remove_reference_t<decltype(member)>>::set_state(member, s);
    });
    next.rule_.set_state(state.rule);
    next.asked_ = false;
    *this = std::move(next);
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    Bank next = *this;
    next.apply(later, [](auto& member, const auto& s) {
      detail::Member<std::remove_reference_t<decltype(member)>>::merge(member, s);
    });
    next.rule_.merge(later.rule);
    next.asked_ = false;
    *this = std::move(next);
  }

 private:
  static constexpr auto name = "Bank";

  /// The members' predictions for x and their mixture, unless they stand already: who predicts and then observes asks
  /// once.
  template <class Input>
  void ask(const Eigen::MatrixBase<Input>& x) {
    if (asked_ && x.size() == x_.size() && x_ == x) return;
    Index k = 0;
    each([&](auto& member) { predictions_.col(k++) = member.predict(x); });
    prediction_ = rule_.mix(predictions_);
    x_ = x;
    asked_ = true;
  }

  template <class Action>
  void each(Action&& action) {
    std::apply([&](Members&... m) { (detail::Member<Members>::each(m, action), ...); }, members_);
  }
  template <class Action>
  void apply(const State& state, Action&& action) {
    std::apply([&](Members&... m) { std::apply([&](const auto&... s) { (action(m, s), ...); }, state.members); },
               members_);
  }

  Rule rule_;
  std::tuple<Members...> members_;
  Index inputs_ = 0;
  bool asked_ = false;  // predictions_ and prediction_ are those of x_
  Vector x_, y_, prediction_;
  Eigen::MatrixX<Scalar> predictions_;
};

}  // namespace gdssm
