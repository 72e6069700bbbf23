// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "recurrences/exact_rules.hpp"
#include "recurrences/rule_checks.hpp"

namespace gdssm::test {

/// Decays of exactly 0 and 1, keys of length 0 and of length 1e4, values of 0: outputs, states and every gradient in
/// double are those over rationals.
template <class Rule>
void expect_exact_at_extremes(const Rule& rule, std::uint64_t seed = 1) {
  const Index length = 6;
  auto in = rule_inputs<double>(rule, length);
  Random random(seed);
  random.fill(in);
  auto& [constants, tokens, queries, state] = in.parts;
  visit(
      [&](const Name& name, auto& series) {
        const bool is_key = name.head == "k" || name.head == "kappa" || name.head == "p";
        const bool is_decay = name.head == "alpha" || name.head == "w" || name.head == "eta";
        for (Index t = 0; t < length; ++t)
          for (Index i = 0; i < series.rows(); ++i) {
            double& entry = series.data()[i + t * series.rows()];
            if (is_key) entry *= t == 1 ? 0 : t == 3 ? 1e4 : 1;
            if (is_decay) entry = (i + t) % 2 == 0 ? 1 : 0;
            if (!is_key && !is_decay) entry = t == 4 ? 0 : std::abs(entry);
          }
      },
      tokens);
  visit([](const Name&, auto& member) { member.fill(1.0); }, constants);
  auto exact_in = rule_inputs<Q>(rule, length);
  const auto to_exact = [](const Name&, const auto& from, auto& to) {
    for (Index i = 0; i < to.size(); ++i) to.data()[i] = Q(from.data()[i]);
  };
  visit(to_exact, in, exact_in);

  auto out = rule_outputs<double>(rule, in, 3);
  const auto exact_out = rule_outputs<Q>(rule, exact_in, 3);
  const auto near = [](const Name& name, const auto& got, const auto& expected) {
    INFO(name.str());
    double largest = 0, difference = 0;
    for (Index i = 0; i < got.size(); ++i) {
      const auto wanted = static_cast<double>(expected.data()[i]);
      largest = std::max(largest, std::abs(wanted));
      difference = std::isfinite(got.data()[i]) ? std::max(difference, std::abs(got.data()[i] - wanted)) : INFINITY;
    }
    CHECK(difference <= 1e-11 * largest);
  };
  visit(near, out, exact_out);
  random.fill(out);
  auto exact_bar = rule_outputs<Q>(rule, exact_in, 3);
  visit(to_exact, out, exact_bar);
  visit(near, rule_pull_back<double>(rule, in, out, 3), rule_pull_back<Q>(rule, exact_in, exact_bar, 3));
}

/// A token drawn anywhere but for what `set` says of it leaves the state as it was, bit for bit.
template <class Rule, class Set>
void expect_neutral(const Rule& rule, Set&& set) {
  auto in = rule_inputs<double>(rule, 1);
  Random(3).fill(in);
  auto& [constants, tokens, queries, state] = in.parts;
  set(tokens);
  CHECK(std::get<1>(rule_outputs<double>(rule, in, 1).parts) == state);
}
/// Sets all numbers of a member.
template <class Member>
void set_all(Member& member, double value) {
  for (Index i = 0; i < member.size(); ++i) member.data()[i] = value;
}

}  // namespace gdssm::test
