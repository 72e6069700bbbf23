// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gdssm/tasks/drifting_regression.hpp"
#include "reproduce/models/constructed_rules.hpp"
#include "reproduce/report/statistics.hpp"

namespace gdssm::reproduce {

/// A law of tasks.
struct RuleLaw {
  std::string name;   ///< in files
  std::string title;  ///< in tables
  double change;      ///< probability of a new map before a pair
  bool anisotropic;   ///< variances of the inputs' coordinates fall as 1 / i, their mean as it is

  DriftingRegression tasks(Index context) const;
};
/// The paper's tasks, and its drifting and its anisotropic variant.
const std::vector<RuleLaw>& rule_laws();

inline constexpr Index rule_features = 10;
inline constexpr Index pairs_at_once = 5;  ///< of rules that read several: `ttt_linear`, `ttt_linear_ln`, `omega`

/// What a rule is made of, for colours and order.
enum class RuleFamily { additive, stochastic, implicit, stateful };

/// A rule with its constant controls for one law and length, and how it does.
struct TunedRule {
  std::string row;   ///< its name in docs/recurrences.md
  std::string name;  ///< in tables
  RuleFamily family;
  Controls controls{};        ///< the best
  double readout = 1;         ///< a, where the rule has no rate of its own
  bool by_formula = false;    ///< theory gave the controls; else they were searched for
  double expected = 0;        ///< the loss that theory expects, 0 where it doesn't
  Estimate loss{}, excess{};  ///< on fresh tasks; over linear attention's on the same
};

/// Tasks to choose controls by, and others to measure with.
struct RuleEffort {
  Index searched, evaluated;
  std::uint64_t seed;
};

/// All rules for one law and length, in the order of docs/theory.md. The same for any number of threads.
std::vector<TunedRule> tuned_rules(const RuleLaw& law, Index context, const RuleEffort& effort);

/// The loss of predicting zero.
double zero_loss_of_rules();

/// Controls in a sentence: "beta = 1.11, alpha = 0.98".
std::string text_of(const TunedRule& rule);

}  // namespace gdssm::reproduce
