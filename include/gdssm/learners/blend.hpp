// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <tuple>
#include <utility>

#include <Eigen/Core>

#include "gdssm/algorithms/solvers.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/mixing.hpp"

// Rules of mixing made of rules.

namespace gdssm {

/// Stacking: the experts' differences from a mixture by `Base` explain what it has missed, by ridge regression,
///     yhat = b + sum_k c_k (p_k - b),     (sum d d^T / s2 + rho I) c = sum d (y - b) / s2,     d_k = p_k - b,
/// with s2 the mean of (y - b)^2: combinations whose weights are not between 0 and 1, where the data insist. Kept
/// within the range of the targets, widened on both sides by its length.
/// Source  Breiman, Machine Learning 24, 1996
template <MixingRule Base>
class Stacking {
 public:
  using Scalar = typename Base::Scalar;
  using Matrix = Eigen::MatrixX<Scalar>;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    Eigen::Matrix<Counter<Scalar>, 1, 1> rows;  ///< updates so far
    Eigen::VectorX<Counter<Scalar>> counted;    ///< rows on which not all experts agreed (m)
    Matrix products;                            ///< sum d d^T (K x K m), one target after the other
    Matrix targets;                             ///< sum d (y - b) (K x m)
    Eigen::VectorX<Counter<Scalar>> squares;    ///< sum (y - b)^2 (m)
    Vector least, most;                         ///< of the targets (m)
    typename Base::State base;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"rows"}, self.rows...);
      visitor(Name{"counted"}, self.counted...);
      visitor(Name{"products"}, self.products...);
      visitor(Name{"targets"}, self.targets...);
      visitor(Name{"squares"}, self.squares...);
      visitor(Name{.head = "least", .degree = 1}, self.least...);
      visitor(Name{.head = "most", .degree = 1}, self.most...);
      visit_part("base", visitor, self.base...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit Stacking(Base base = Base(), Scalar ridge = Scalar(30)) : base_(std::move(base)), ridge_(ridge) {
    detail::expect_at_least_zero(name, "ridge", ridge);
  }

  void start(Index experts, Index targets) {
    base_.start(experts, targets);
    rows_.setZero();
    products_.setZero(experts, experts * targets);
    targets_.setZero(experts, targets);
    least_ = most_ = mixture_ = start_ = Vector::Zero(targets);
    counted_.setZero(targets);
    squares_.setZero(targets);
    d_.setZero(experts);
    correction_.setZero(1);
    scratch_ = Elimination::Scratch<Scalar>(experts, 1);
  }

  const Vector& mix(const Matrix& predictions) {
    mixture_ = start_ = base_.mix(predictions);
    const Index K = d_.size();
    if (K == 1) return mixture_;
    for (Index i = 0; i < mixture_.size(); ++i) {
      if (!(squares_[i] > 0)) continue;
      differences(predictions, i);
      Elimination::solve(products_.middleCols(i * K, K), targets_.col(i).transpose(), d_,
                         RidgeSettings<Scalar>{.ridge = Scalar(ridge_ / counted_[i] * squares_[i])}, scratch_,
                         correction_);
      const Scalar length = most_[i] - least_[i];
      mixture_[i] =
          std::clamp(detail::saturated(Scalar(mixture_[i] + correction_[0]), mixture_[i]),
                     detail::saturated(Scalar(least_[i] - length)), detail::saturated(Scalar(most_[i] + length)));
    }
    return mixture_;
  }

  void update(const Matrix& predictions, const Vector& y) {
    const Index K = d_.size();
    if (K > 1) {
      for (Index i = 0; i < y.size(); ++i) {
        least_[i] = rows_[0] > 0 ? std::min(least_[i], y[i]) : y[i];
        most_[i] = rows_[0] > 0 ? std::max(most_[i], y[i]) : y[i];
        if (detail::agree(predictions, i)) continue;
        differences(predictions, i);
        const Scalar error = y[i] - start_[i];
        products_.middleCols(i * K, K).noalias() += d_ * d_.transpose();
        targets_.col(i) += error * d_;
        squares_[i] += error * error;
        counted_[i] += 1;
      }
    }
    base_.update(predictions, y);
    rows_[0] += 1;
  }

  State state() const { return {rows_, counted_, products_, targets_, squares_, least_, most_, base_.state()}; }
  void set_state(const State& state) {
    detail::expect_state(name, this->state(), state);
    base_.set_state(state.base);
    rows_ = state.rows;
    counted_ = state.counted;
    products_ = state.products;
    targets_ = state.targets;
    squares_ = state.squares;
    least_ = state.least;
    most_ = state.most.cwiseMax(state.least);
  }
  void merge(const State& later) {
    detail::expect_state(name, state(), later);
    base_.merge(later.base);
    if (later.rows[0] == 0) return;
    counted_ += later.counted;
    products_ += later.products;
    targets_ += later.targets;
    squares_ += later.squares;
    if (rows_[0] == 0) {
      least_ = later.least;
      most_ = later.most;
    }
    least_ = least_.cwiseMin(later.least);
    most_ = most_.cwiseMax(later.most);
    rows_ += later.rows;
  }

 private:
  static constexpr auto name = "Stacking";

  void differences(const Matrix& predictions, Index i) {
    for (Index k = 0; k < d_.size(); ++k) d_[k] = predictions(i, k) - start_[i];
  }

  Base base_;
  Scalar ridge_;
  Eigen::Matrix<Counter<Scalar>, 1, 1> rows_;
  Eigen::VectorX<Counter<Scalar>> counted_, squares_;
  Matrix products_, targets_;
  Vector least_, most_, start_, mixture_, d_, correction_;  // start_: the base's mixture
  Elimination::Scratch<Scalar> scratch_{1, 1};
};

/// Several rules on the same experts, whose mixtures are the experts of another rule, `Top`.
///     Blend rule(AdaHedge<>(), LogScore<>(), Stacking<LogScore<>>());
template <MixingRule Top, MixingRule... Rules>
class Blend {
 public:
  using Scalar = typename Top::Scalar;
  using Matrix = Eigen::MatrixX<Scalar>;
  using Vector = Eigen::VectorX<Scalar>;

  struct State {
    std::tuple<typename Rules::State...> rules;
    typename Top::State top;

    /// Rules are named by their places.
    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      detail::visit_tuple(std::index_sequence_for<Rules...>(), visitor, self.rules...);
      visit_part("top", visitor, self.top...);
    }
    friend bool operator==(const State& a, const State& b) { return identical(a, b); }
  };

  explicit Blend(Top top, Rules... rules) : top_(std::move(top)), rules_(std::move(rules)...) {}

  void start(Index experts, Index targets) {
    experts_ = experts;
    std::apply([&](Rules&... rule) { (rule.start(experts, targets), ...); }, rules_);
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
    std::apply([&](Rules&... rule) { ((mixtures_.col(column++) = rule.mix(predictions)), ...); }, rules_);
    return top_.mix(mixtures_);
  }

  void update(const Matrix& predictions, const Vector& y) {
    top_.update(mixtures_, y);
    std::apply([&](Rules&... rule) { (rule.update(predictions, y), ...); }, rules_);
  }

  const Top& top() const { return top_; }  ///< the rule that mixes the rules

  State state() const {
    return {std::apply([](const Rules&... rule) { return std::tuple(rule.state()...); }, rules_), top_.state()};
  }
  void set_state(const State& state) {
    detail::expect_state("Blend", this->state(), state);
    apply(state, [](auto& rule, const auto& s) { rule.set_state(s); });
    top_.set_state(state.top);
  }
  void merge(const State& later) {
    detail::expect_state("Blend", state(), later);
    apply(later, [](auto& rule, const auto& s) { rule.merge(s); });
    top_.merge(later.top);
  }

 private:
  template <class Action>
  void apply(const State& state, Action&& action) {
    std::apply([&](Rules&... r) { std::apply([&](const auto&... s) { (action(r, s), ...); }, state.rules); }, rules_);
  }

  Top top_;
  std::tuple<Rules...> rules_;
  Index experts_ = 0;
  Matrix mixtures_;
  Vector only_;
};

}  // namespace gdssm
