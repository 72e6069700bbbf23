// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

namespace gdssm {

/// A learner whose type is chosen at run time, a value and a `Learner` itself, for adaptors and banks too:
///     AnyLearner<> learner = name == "ridge" ? AnyLearner(RidgeLearner<>(f, m)) : AnyLearner(LastValue<>(f, m));
/// Moving from one leaves it empty: it may be assigned to, copied and destroyed.
/// Errors  those of the learner within; a state with other member names, or with more or fewer members; any use of an
///         empty one
template <class T = double>
class AnyLearner : public LearnerBase<AnyLearner<T>, T> {
 public:
  using Vector = Eigen::VectorX<T>;
  static constexpr auto name = "AnyLearner";

  /// The members of the inner learner's state, as named matrices.
  struct State {
    std::vector<std::string> names;                   ///< the names that `visit` gives them
    std::vector<Eigen::MatrixX<Counter<T>>> members;  ///< in the same order, as counters, which hold any T exactly
    std::vector<int> degrees;                         ///< `Name::degree` of each; may be left empty

    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      expect_named(first);
      (expect_named(more), ...);
      if (((more.names != first.names) || ...))
        refuse(name, "a state has members of other names, expected those of this learner's");
      for (std::size_t i = 0; i < first.names.size(); ++i)
        visitor(Name{.head = first.names[i], .degree = i < first.degrees.size() ? first.degrees[i] : 0},
                first.members[i], more.members[i]...);
    }
    friend bool operator==(const State& a, const State& b) { return a.names == b.names && identical(a, b); }
  };

  template <class L>
  requires(!std::is_same_v<L, AnyLearner> && Learner<L>) explicit AnyLearner(L learner)
      : LearnerBase<AnyLearner, T>(learner.input_count(), learner.target_count(), 0),
        learner_(std::make_unique<Model<L>>(std::move(learner))) {}
  AnyLearner(const AnyLearner& other)
      : LearnerBase<AnyLearner, T>(other), learner_(other.learner_ ? other.learner_->copy() : nullptr) {}
  AnyLearner(AnyLearner&&) noexcept = default;
  AnyLearner& operator=(const AnyLearner& other) { return *this = AnyLearner(other); }
  AnyLearner& operator=(AnyLearner&&) noexcept = default;
  ~AnyLearner() = default;

  const Vector& predict_valid(const Vector& x) { return inner().predict(x); }
  void observe_valid(const Vector& x, const Vector& y) { inner().observe(x, y); }
  void skip_valid(const Vector& x, const Vector& guess) { inner().skip(x, guess); }
  State state() const { return inner().state(); }
  void set_state(const State& state) { inner().set_state(state); }
  void merge(const State& later) { inner().merge(later); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::unique_ptr<Interface> copy() const = 0;
    virtual const Vector& predict(const Vector& x) = 0;
    virtual void observe(const Vector& x, const Vector& y) = 0;
    virtual void skip(const Vector& x, const Vector& guess) = 0;
    virtual State state() const = 0;
    virtual void set_state(const State& state) = 0;
    virtual void merge(const State& later) = 0;
  };

  Interface& inner() const {
    if (!learner_) refuse(name, "it was moved from, expected one that holds a learner");
    return *learner_;
  }

  static void expect_named(const State& state) {
    if (state.names.size() != state.members.size())
      refuse(name, "a state has ", state.names.size(), " names and ", state.members.size(),
             " members, expected as many members as names");
  }

  template <class L>
  struct Model final : Interface {
    explicit Model(L l) : learner(std::move(l)) {}
    std::unique_ptr<Interface> copy() const override { return std::make_unique<Model>(learner); }
    const Vector& predict(const Vector& x) override { return detail::predict_valid(learner, x); }
    void observe(const Vector& x, const Vector& y) override { detail::observe_valid(learner, x, y); }
    void skip(const Vector& x, const Vector& guess) override { detail::skip_valid(learner, x, guess); }
    State state() const override {
      State result;
      const typename L::State state = learner.state();
      gdssm::visit(
          [&](const Name& part, const auto& member) {
            result.names.push_back(part.str());
            result.members.push_back(member.template cast<Counter<T>>());
            result.degrees.push_back(part.degree);
          },
          state);
      return result;
    }
    void set_state(const State& state) override { learner.set_state(own(state)); }
    void merge(const State& later) override { learner.merge(own(later)); }

    /// The state in the learner's own type, which then checks its shapes.
    typename L::State own(const State& state) const {
      expect_named(state);
      typename L::State result = learner.state();
      std::size_t i = 0;
      gdssm::visit(
          [&](const Name& part, auto& member) {
            using Member = std::remove_reference_t<decltype(member)>;
            if (i == state.names.size() || state.names[i] != part.str())
              refuse(name, "set_state: member ", i, " is ",
                     i < state.names.size() ? state.names[i] : std::string("missing"), ", expected ", part.str());
            const Eigen::MatrixX<Counter<T>>& given = state.members[i++];
            if (given.rows() != member.rows() || given.cols() != member.cols())
              refuse(name, "set_state: ", part.str(), " is ", given.rows(), " x ", given.cols(), ", expected ",
                     member.rows(), " x ", member.cols());
            member = given.template cast<typename Member::Scalar>();
          },
          result);
      if (i != state.names.size()) refuse(name, "set_state: member ", i, " is ", state.names[i], ", expected none");
      return result;
    }
    L learner;
  };

  std::unique_ptr<Interface> learner_;
};

template <class L>
AnyLearner(L) -> AnyLearner<typename L::Scalar>;

}  // namespace gdssm
