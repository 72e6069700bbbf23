// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <Eigen/Core>

#include "gdssm/algorithms/solvers.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/mixing_rules.hpp"
#include "gdssm/learners/stateful_parts.hpp"
#include "gdssm/learners/stream_statistics.hpp"

// Mixing rules that are made of other mixing rules.

namespace gdssm {

/// The memory of `Stacking`, without its base's.
template <class T>
struct StackingSums : TargetRange<T> {
  static constexpr auto inner_name = "base";

  Eigen::VectorX<Counter<T>> counted;  ///< rows on which the experts disagreed (m)
  Eigen::MatrixX<T> products;          ///< sum d d^T (K x K m), the targets side by side
  Eigen::MatrixX<T> targets;           ///< sum d (y - b) (K x m)
  Eigen::VectorX<Counter<T>> squares;  ///< sum (y - b)^2 (m)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"rows"}, self.rows...);
    visitor(Name{"counted"}, self.counted...);
    visitor(Name{"products"}, self.products...);
    visitor(Name{"targets"}, self.targets...);
    visitor(Name{"squares"}, self.squares...);
    visitor(Name{.head = "least", .degree = 1}, self.least...);
    visitor(Name{.head = "most", .degree = 1}, self.most...);
  }

  void merge(const StackingSums& later) {
    TargetRange<T>::merge(later);
    counted += later.counted;
    products += later.products;
    targets += later.targets;
    squares += later.squares;
  }
};

/// Stacking: ridge regression explains the errors of a mixture b by `Base` from the experts' differences from it,
///     yhat = b + sum_k c_k (p_k - b),     (sum d d^T / s2 + rho I) c = sum d (y - b) / s2,     d_k = p_k - b,
/// with s2 the mean of (y - b)^2. Weights may lie outside [0, 1] where the data support it. Predictions are clamped to
/// the range of the targets, widened on both sides by its length.
/// Source  Breiman, Machine Learning 24, 1996
template <MixingRule Base>
class Stacking : public NestedStateBase<Stacking<Base>, StackingSums<typename Base::Scalar>, Base> {
  using Nested = NestedStateBase<Stacking, StackingSums<typename Base::Scalar>, Base>;

 public:
  using Scalar = typename Base::Scalar;
  using Matrix = Eigen::MatrixX<Scalar>;
  using Vector = Eigen::VectorX<Scalar>;
  static constexpr auto name = "Stacking";

  explicit Stacking(Base base = Base(), Scalar ridge = Scalar(30)) : Nested({}, std::move(base)), ridge_(ridge) {
    detail::expect_at_least_zero(name, "ridge", ridge);
  }

  void start(Index experts, Index targets) {
    inner_.start(experts, targets);
    memory_ = {};
    memory_.products.setZero(experts, experts * targets);
    memory_.targets.setZero(experts, targets);
    memory_.least = memory_.most = mixture_ = start_ = Vector::Zero(targets);
    memory_.counted.setZero(targets);
    memory_.squares.setZero(targets);
    d_.setZero(experts);
    correction_.setZero(1);
    scratch_ = Elimination::Scratch<Scalar>(experts, 1);
  }

  const Vector& mix(const Matrix& predictions) {
    mixture_ = start_ = inner_.mix(predictions);
    const Index K = d_.size();
    if (K == 1) return mixture_;
    for (Index i = 0; i < mixture_.size(); ++i) {
      if (!(memory_.squares[i] > 0)) continue;
      differences(predictions, i);
      const auto ridge = Scalar(ridge_ / memory_.counted[i] * memory_.squares[i]);
      Elimination::solve(memory_.products.middleCols(i * K, K), memory_.targets.col(i).transpose(), d_,
                         RidgeSettings<Scalar>{.ridge = ridge}, scratch_, correction_);
      mixture_[i] = memory_.clamped(detail::saturated(Scalar(mixture_[i] + correction_[0]), mixture_[i]), i, Scalar(1));
    }
    return mixture_;
  }

  void update(const Matrix& predictions, const Vector& y) {
    const Index K = d_.size();
    for (Index i = 0; i < y.size() && K > 1; ++i) {
      if (detail::agree(predictions, i)) continue;
      differences(predictions, i);
      const Scalar error = y[i] - start_[i];
      memory_.products.middleCols(i * K, K).noalias() += d_ * d_.transpose();
      memory_.targets.col(i) += error * d_;
      memory_.squares[i] += error * error;
      memory_.counted[i] += 1;
    }
    memory_.absorb(y);
    inner_.update(predictions, y);
  }

 private:
  using Nested::inner_;
  using Nested::memory_;

  void differences(const Matrix& predictions, Index i) {
    for (Index k = 0; k < d_.size(); ++k) d_[k] = predictions(i, k) - start_[i];
  }

  Scalar ridge_;
  Vector start_, mixture_, d_, correction_;  // start_ is the base's mixture
  Elimination::Scratch<Scalar> scratch_{1, 1};
};

/// Several rules on the same experts; another rule, `Top`, mixes their mixtures.
///     Blend rule(AdaHedge<>(), LogScore<>(), Stacking<LogScore<>>());
template <MixingRule Top, MixingRule... Rules>
class Blend {
  using Together = detail::Together<Rules...>;

 public:
  using Scalar = typename Top::Scalar;
  using Matrix = Eigen::MatrixX<Scalar>;
  using Vector = Eigen::VectorX<Scalar>;
  static constexpr auto name = "Blend";

  struct State {
    typename Together::State rules;
    typename Top::State top;

    /// The rules' members are named by position.
    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      Together::visit(visitor, self.rules...);
      visit_part("top", visitor, self.top...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit Blend(Top top, Rules... rules) : top_(std::move(top)), rules_(std::move(rules)...) {}

  void start(Index experts, Index targets) {
    experts_ = experts;
    rules_.each([&](auto& rule) { rule.start(experts, targets); });
    top_.start(sizeof...(Rules), targets);
    mixtures_.setZero(targets, sizeof...(Rules));
    only_.setZero(targets);
  }

  const Vector& mix(const Matrix& predictions) {
    if (experts_ == 1) {
      only_ = predictions.col(0);
      return only_;
    }
    Index column = 0;
    rules_.each([&](auto& rule) { mixtures_.col(column++) = rule.mix(predictions); });
    return top_.mix(mixtures_);
  }

  void update(const Matrix& predictions, const Vector& y) {
    top_.update(mixtures_, y);
    rules_.each([&](auto& rule) { rule.update(predictions, y); });
  }

  const Top& top() const { return top_; }  ///< the rule that mixes the rules

  State state() const { return {rules_.state(), top_.state()}; }
  void set_state(const State& state) {
    detail::expect_state<Scalar>(name, this->state(), state);
    rules_.each([](auto& rule, const auto& s) { rule.set_state(s); }, state.rules);
    top_.set_state(state.top);
  }
  void merge(const State& later) {
    detail::expect_state<Scalar>(name, state(), later);
    rules_.each([](auto& rule, const auto& s) { rule.merge(s); }, later.rules);
    top_.merge(later.top);
  }

 private:
  Top top_;
  Together rules_;
  Index experts_ = 0;
  Matrix mixtures_;
  Vector only_;
};

}  // namespace gdssm
