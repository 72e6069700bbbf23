// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "gdssm/learners/adaptors.hpp"
#include "gdssm/learners/combined_rules.hpp"
#include "gdssm/learners/features.hpp"
#include "gdssm/learners/learner.hpp"
#include "gdssm/learners/learner_bank.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "gdssm/learners/mixing_rules.hpp"
#include "gdssm/learners/model_tree.hpp"
#include "gdssm/learners/recursive_least_squares.hpp"
#include "gdssm/learners/regression.hpp"
#include "gdssm/learners/scaling.hpp"

// The learner for a stream about which nothing is known. Nobody can know beforehand whether targets depend on the
// inputs or on their changes, whether past targets say more than the inputs, whether the relation drifts, or how strong
// the penalty should be. Each possible answer is a member of a bank, which learns the weights of its members.
// docs/learners.md explains this choice of members.

namespace gdssm {

namespace detail {

/// The members of the default bank, by their inputs.
template <class T>
struct DefaultMembers {
  using Hedge = AdaHedge<T>;
  using Rule = Blend<Hedge, Hedge, LogScore<T>, LogScore<T>, Stacking<LogScore<T>>>;
  using Design = Beside<Levels, Changes, RecentTargets>;
  using Level = WithinRange<RidgeLearner<T>>;
  using LevelAndLast = WithinRange<WithPast<RidgeLearner<T>>>;
  using Autoregression = WithinRange<WithPast<FromLastValue<RidgeLearner<T>>, RecentTargets>>;
  using Difference = WithinRange<WithPast<FromLastValue<RidgeLearner<T, Scaled>>, Changes>>;
  using DistributedLag = WithinRange<WithPast<FromLastValue<RidgeLearner<T>>, Design>>;
  using Bent = WithinRange<WithBends<RidgeLearner<T>>>;
  using Tree = WithinRange<ModelTree<T>>;
  using OnProducts = WithFeatures<WithScaling<RecursiveLeastSquares<T>>, OfEnds<Polynomial<T>>>;
  using Products = WithinRange<WithScaledInputs<OnProducts>>;
};

}  // namespace detail

/// The type that `default_learner` returns.
template <class T = double>
using DefaultLearner =
    Bank<typename detail::DefaultMembers<T>::Rule, RunningMean<T>, LastValue<T>,
         std::vector<typename detail::DefaultMembers<T>::Level>, typename detail::DefaultMembers<T>::LevelAndLast,
         typename detail::DefaultMembers<T>::Autoregression,
         std::vector<typename detail::DefaultMembers<T>::Difference>,
         std::vector<typename detail::DefaultMembers<T>::DistributedLag>,
         std::vector<typename detail::DefaultMembers<T>::Bent>, typename detail::DefaultMembers<T>::Tree,
         typename detail::DefaultMembers<T>::Products>;

/// A learner without anything to tune, for f inputs and m targets in any units. On any stream, the sum of its squared
/// errors exceeds that of its best member by at most the sum of two bounds (16): one for the AdaHedge mixture over the
/// members, one for the AdaHedge mixture over the rules.
/// With more than 128 inputs there are four ridge regressions on the inputs and one on their changes, at decays 1 and
/// 0.98, and none on twice as many inputs. Where inputs are added later (`widen`), `first` says how many there were in
/// the beginning, so that the members stay the same.
/// Errors  std::invalid_argument: f or m below 1
template <class T = double>
DefaultLearner<T> default_learner(Index inputs, Index targets, Index first = 0) {
  using Members = detail::DefaultMembers<T>;
  using Settings = RidgeSettings<T>;
  detail::expect_sizes("default_learner", inputs, targets);
  const Index f = inputs, m = targets;
  const T room(1);
  const bool is_wide = (first > 0 ? first : f) > 128;

  std::vector<typename Members::Level> levels;
  const std::vector<Settings> of_levels =
      is_wide ? std::vector<Settings>{{T(0.1), T(1)}, {T(1), T(1)}, {T(10), T(1)}, {T(1), T(0.98)}}
              : std::vector<Settings>{{T(0.1), T(1)},    {T(1), T(1)},      {T(10), T(1)},
                                      {T(0.1), T(0.98)}, {T(0.1), T(0.93)}, {T(10), T(0.9)}};
  for (const Settings& s : of_levels) levels.emplace_back(RidgeLearner<T>(f, m, s), room);

  std::vector<typename Members::Difference> differences;
  const std::vector<Settings> of_differences =
      is_wide ? std::vector<Settings>{{T(10), T(1)}}
              : std::vector<Settings>{{T(1), T(1)}, {T(10), T(1)}, {T(1), T(0.9)}, {T(10), T(0.9)}};
  for (const Settings& s : of_differences)
    differences.emplace_back(WithPast<FromLastValue<RidgeLearner<T, Scaled>>, Changes>(f, m, Changes{}, s), room);

  const typename Members::Design design(Levels{}, Changes{}, RecentTargets{2});
  std::vector<typename Members::DistributedLag> lags;
  for (const Settings& s : is_wide ? std::vector<Settings>{} : std::vector<Settings>{{T(10), T(1)}, {T(10), T(0.98)}})
    lags.emplace_back(WithPast<FromLastValue<RidgeLearner<T>>, typename Members::Design>(f, m, design, s), room);

  std::vector<typename Members::Bent> bent;
  if (!is_wide) bent.emplace_back(WithBends<RidgeLearner<T>>(f, m, Settings{.ridge = T(0.3)}), room);

  using OnProducts = typename Members::OnProducts;
  const Index multiplied = (std::min)(first > 0 ? first : f, Index(10));
  const auto on_products = [&](Index all, Index) {
    return OnProducts(OfEnds<Polynomial<T>>(Polynomial<T>(multiplied + 1, 2), all, 1), m,
                      typename RecursiveLeastSquares<T>::Settings{.ridge = T(1)});
  };

  return DefaultLearner<T>(
      typename Members::Rule(typename Members::Hedge(T(0.001)), typename Members::Hedge(), LogScore<T>(),
                             LogScore<T>({.decay = T(0.95), .share = T(0), .rate = T(1), .discount = T(0.95)}),
                             Stacking<LogScore<T>>()),
      RunningMean<T>(f, m), LastValue<T>(f, m), std::move(levels),
      WithinRange(WithPast<RidgeLearner<T>>(f, m, Beside(Levels{}, RecentTargets{1})), room),
      WithinRange(WithPast<FromLastValue<RidgeLearner<T>>, RecentTargets>(f, m, RecentTargets{3}), room),
      std::move(differences), std::move(lags), std::move(bent), WithinRange(ModelTree<T>(f, m), room),
      typename Members::Products(WithScaledInputs<OnProducts>(f, m, on_products), room));
}

}  // namespace gdssm
