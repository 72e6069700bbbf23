// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

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
  template <class Visitor, class... States>
  static void visit(std::string_view part, Visitor&& visitor, States&... states) {
    visit_part(part, visitor, states...);
  }
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
  template <class Visitor, class First, class... States>
  static void visit(std::string_view part, Visitor&& visitor, First& first, States&... states) {
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto one = [&](const Name& name, auto&... member) { visitor(Name{part, &name}, member...); };
      if (((states.size() != first.size()) || ...))
        refuse("Bank", "a state has another number of members than expected, ", first.size());
      visit_part(std::to_string(i), one, first[i], states[i]...);
    }
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
template <class Rule, class... Members>
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
      visit_members(visitor, std::index_sequence_for<Members...>(), self...);
      visit_part("rule", visitor, self.rule...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }

   private:
    template <class Visitor, std::size_t... I, class... Self>
    static void visit_members(Visitor& visitor, std::index_sequence<I...>, Self&... self) {
      (visit_member<I>(visitor, self...), ...);
    }
    template <std::size_t I, class Visitor, class... Self>
    static void visit_member(Visitor& visitor, Self&... self) {
      using M = std::tuple_element_t<I, std::tuple<Members...>>;
      detail::Member<M>::visit(std::to_string(I), visitor, std::get<I>(self.members)...);
    }
  };

  explicit Bank(Rule rule, Members... members) : rule_(std::move(rule)), members_(std::move(members)...) {
    Index experts = 0;
    each([&](auto& member) {
      if (experts++ == 0) {
        inputs_ = member.input_count();
        prediction_.setZero(member.target_count());
      }
      expect_equal(name, "a member's number of inputs", member.input_count(), inputs_);
      expect_equal(name, "a member's number of targets", member.target_count(), target_count());
    });
    if (experts == 0) refuse(name, "there are no members, expected at least one");
    predictions_.setZero(target_count(), experts);
    weights_.setZero(experts, target_count());
    losses_.setZero(experts);
    state_ = rule_.initial_state(experts, target_count());
    rule_.weights(state_, weights_);
  }

  Index input_count() const { return inputs_; }
  Index target_count() const { return prediction_.size(); }
  Index expert_count() const { return weights_.rows(); }

  template <class Input>
  const Vector& predict(const Eigen::MatrixBase<Input>& x) {
    Index k = 0;
    each([&](auto& member) { predictions_.col(k++) = member.predict(x); });
    for (Index i = 0; i < target_count(); ++i) {
      Scalar sum(0);
      for (k = 0; k < expert_count(); ++k) sum += weights_(k, i) * predictions_(i, k);
      prediction_[i] = sum;
    }
    return prediction_;
  }

  /// The members' predictions (m x K) that the last prediction has mixed, and its weights (K x m).
  const Eigen::MatrixX<Scalar>& predictions() const { return predictions_; }
  const Eigen::MatrixX<Scalar>& weights() const { return weights_; }

  /// The bound (16) on what the mixture has lost more than a sequence of members with so many changes.
  Scalar regret_bound(Index target = 0, Index changes = 0) const { return rule_.regret_bound(state_, target, changes); }

  template <class Input, class Target>
  void observe(const Eigen::MatrixBase<Input>& x, const Eigen::MatrixBase<Target>& y) {
    detail::expect_pair(name, x, y, input_count(), target_count());
    predict(x);  // the members' losses are those of this input, whoever has been asked what since
    rule_.update(predictions_, prediction_, y, weights_, losses_, state_);
    rule_.weights(state_, weights_);
    each([&](auto& member) { member.observe(x, y); });
  }

  State state() const {
    return {std::apply([](const Members&... m) { return std::tuple(detail::Member<Members>::state(m)...); }, members_),
            state_};
  }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    apply(state, [](auto& member, const auto& s) {
      detail::Member<std::remove_reference_t<decltype(member)>>::set_state(member, s);
    });
    state_ = state.rule;
    rule_.weights(state_, weights_);
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    apply(later, [](auto& member, const auto& s) {
      detail::Member<std::remove_reference_t<decltype(member)>>::merge(member, s);
    });
    rule_.merge(state_, later.rule);
    rule_.weights(state_, weights_);
  }

 private:
  static constexpr auto name = "Bank";

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
  typename Rule::State state_;
  Vector prediction_, losses_;
  Eigen::MatrixX<Scalar> predictions_, weights_;
};

}  // namespace gdssm
