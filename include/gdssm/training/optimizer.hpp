// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Rate and decay for the parameters whose own name (the last part, "log_step") is among `names`; a group without names
/// takes all that no group before it took.
struct ParameterGroup {
  std::vector<std::string> names;  ///< of parameters, the last part; none: all that are left
  double learning_rate;            ///< rate
  double weight_decay = 0;         ///< decay
};

/// AdamW: with g the gradient and n the number of updates, this one included,
///     m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,
///     p <- p - rate (m^ / (sqrt(v^) + eps) + decay p),   m^ = m / (1 - b1^n),   v^ = v / (1 - b2^n)
/// Adam is the same with decay 0. Rates and decays are the groups'; a schedule multiplies the rates.
/// Source  Kingma, Ba, 1412.6980; Loshchilov, Hutter, 1711.05101; docs/theory.md, training and alignment
struct AdamW {
  std::vector<ParameterGroup> groups;  ///< the first that takes a parameter has it
  double b1 = 0.9;                     ///< of the mean of gradients
  double b2 = 0.999;                   ///< of the mean of their squares
  double epsilon = 1e-8;               ///< beside the root

  /// What the reference trains with: Adam at 1e-4 on the decays, AdamW at 2e-4 with decay 0.05 on all else.
  static AdamW reference() { return {{{{"Lambda", "log_step"}, 1e-4}, {{}, 2e-4, 0.05}}}; }

  /// Everything that an optimiser carries from one update to the next. A value.
  template <class Parameters>
  struct State {
    Parameters first;   ///< m
    Parameters second;  ///< v
    Index updates = 0;  ///< n

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("first", visitor, self.first...);
      visit_part("second", visitor, self.second...);
    }
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      visitor(Name{"updates"}, self.updates...);
    }
  };

  /// m = v = 0, for parameters of the shape of the given ones.
  template <class Parameters>
  State<Parameters> initial_state(const Parameters& like) const {
    State<Parameters> state{like, like};
    fill(state.first, 0);
    fill(state.second, 0);
    return state;
  }

  /// One update of `parameters` by `gradient`, the rates multiplied by `schedule`.
  /// Errors  std::invalid_argument: a parameter that no group takes; nothing is changed then
  template <class Parameters>
  void update(const Parameters& gradient, double schedule, Parameters& parameters, State<Parameters>& state) const {
    visit([&](const Name& name, const auto&) { group_of(name); }, gradient);  // before anything is changed
    ++state.updates;
    const auto n = static_cast<double>(state.updates);
    const double unbias_1 = 1 / (1 - std::pow(b1, n)), unbias_2 = 1 / (1 - std::pow(b2, n));
    visit(
        [&](const Name& name, auto& p, const auto& g, auto& m, auto& v) {
          using T = typename std::remove_cvref_t<decltype(p)>::Scalar;
          const ParameterGroup& group = group_of(name);
          const T rate = T(group.learning_rate * schedule), decay = T(group.weight_decay);
          m.array() = T(b1) * m.array() + T(1 - b1) * g.array();
          v.array() = T(b2) * v.array() + T(1 - b2) * g.array().square();
          p.array() -=
              rate * (T(unbias_1) * m.array() / ((T(unbias_2) * v.array()).sqrt() + T(epsilon)) + decay * p.array());
        },
        parameters, gradient, state.first, state.second);
  }

 private:
  const ParameterGroup& group_of(const Name& name) const {
    const Name* leaf = &name;
    while (leaf->tail) leaf = leaf->tail;
    for (const ParameterGroup& group : groups) {
      if (group.names.empty()) return group;
      for (const std::string& own : group.names)
        if (own == leaf->head) return group;
    }
    refuse("AdamW", "no group takes the parameter ", name.str(), ", expected one without names at the end");
  }
};

/// Another optimiser that is shown no gradient longer than `most`: g <- g min(1, most / |g|), |g| over all parameters
/// together. One task in a million then spoils no running mean.
/// Source  Pascanu, Mikolov, Bengio, 1211.5063
template <class Optimizer>
struct ClippedGradient {
  Optimizer optimizer;  ///< what takes the step
  double most = 1;      ///< the length that gradients are shortened to

  /// All that later updates depend on: the other's.
  template <class Parameters>
  using State = typename Optimizer::template State<Parameters>;

  /// The state before the first update.
  template <class Parameters>
  State<Parameters> initial_state(const Parameters& like) const {
    return optimizer.initial_state(like);
  }

  /// As the other's.
  template <class Parameters>
  void update(const Parameters& gradient, double schedule, Parameters& parameters, State<Parameters>& state) const {
    double squares = 0;
    visit([&](const Name&, const auto& g) { squares += static_cast<double>(g.squaredNorm()); }, gradient);
    const double length = std::sqrt(squares);
    if (!(length > most)) return optimizer.update(gradient, schedule, parameters, state);
    Parameters clipped = gradient;
    visit([&](const Name&,
              auto& g) { g *= static_cast<typename std::remove_cvref_t<decltype(g)>::Scalar>(most / length); },
          clipped);
    optimizer.update(clipped, schedule, parameters, state);
  }
};

}  // namespace gdssm
