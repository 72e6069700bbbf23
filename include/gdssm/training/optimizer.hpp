// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Rate and decay for the parameters whose own name (the last part, "log_step") is among `names`; a group without names
/// takes all that no group before it took. A rate of 0 leaves them as they are.
struct ParameterGroup {
  std::vector<std::string> names;  ///< of parameters, the last part; none: all that are left
  double learning_rate;            ///< rate
  double weight_decay = 0;         ///< decay
  bool optional = false;           ///< names that no parameter has are passed over; otherwise they are refused
};

/// Groups in order; or one rate for all parameters, without decay.
struct ParameterGroups : std::vector<ParameterGroup> {
  using std::vector<ParameterGroup>::vector;
  /// One group of all parameters.
  explicit(false) ParameterGroups(double rate) : vector{{{}, rate}} {}
};

/// AdamW: with g the gradient and n the number of updates, this one included,
///     m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,
///     p <- p - rate (m^ / (sqrt(v^) + eps) + decay p),   m^ = m / (1 - b1^n),   v^ = v / (1 - b2^n)
/// Adam is the same with decay 0. Rates and decays are the groups'; a schedule multiplies the rates.
/// Source  Kingma, Ba, 1412.6980; Loshchilov, Hutter, 1711.05101; docs/theory.md, training and alignment
struct AdamW {
  ParameterGroups groups;  ///< the first that takes a parameter has it; `AdamW{3e-3}` is one rate for all
  double b1 = 0.9;         ///< of the mean of gradients
  double b2 = 0.999;       ///< of the mean of their squares
  double epsilon = 1e-8;   ///< beside the root

  /// What the reference trains with: Adam at 1e-4 on the decays, if there are any, AdamW at 2e-4 with decay 0.05 on all
  /// else.
  static AdamW reference() { return {{{{"Lambda", "log_step"}, 1e-4, 0, true}, {{}, 2e-4, 0.05}}}; }

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
  /// Errors  std::invalid_argument: a parameter that no group takes; a name that no parameter left to its group has,
  ///         unless the group is optional; a rate or decay that is negative or no number; b1 or b2 outside [0, 1); a
  ///         negative epsilon
  template <class Parameters>
  State<Parameters> initial_state(const Parameters& like) const {
    std::vector<std::string> names;
    visit(
        [&](const Name& name, const auto&) {
          group_of(name);
          names.emplace_back(name.leaf());
        },
        like);
    check(std::move(names));
    State<Parameters> state{like, like};
    fill(state.first, 0);
    fill(state.second, 0);
    return state;
  }

  /// One update of `parameters` by `gradient`, the rates multiplied by `schedule`.
  /// Errors  std::invalid_argument: a parameter that no group takes, parameters, gradient and state of different sizes;
  ///         nothing is changed then
  template <class Parameters>
  void update(const Parameters& gradient, double schedule, Parameters& parameters, State<Parameters>& state) const {
    visit([&](const Name& name, const auto&) { group_of(name); }, gradient);  // before anything is changed
    expect_shapes("AdamW, the gradient", parameters, gradient);
    expect_shapes("AdamW, the state", parameters, state.first);
    expect_shapes("AdamW, the state", parameters, state.second);
    ++state.updates;
    const auto n = static_cast<double>(state.updates);
    const double unbias_1 = 1 / (1 - std::pow(b1, n)), unbias_2 = 1 / (1 - std::pow(b2, n));
    visit(
        [&](const Name& name, auto& p, const auto& g, auto& m, auto& v) {
          using T = typename std::remove_cvref_t<decltype(p)>::Scalar;
          const ParameterGroup& group = group_of(name);
          const T rate = T(group.learning_rate * schedule), decay = T(group.weight_decay);
          move(g.data(), {T(unbias_1), T(unbias_2), rate, decay}, p.data(), m.data(), v.data(), p.size());
        },
        parameters, gradient, state.first, state.second);
  }

 private:
  template <class T>
  struct Factors {
    T unbias_1, unbias_2, rate, decay;
  };

  /// The update of n numbers, whatever the shapes that they have: compiled once for a scalar type. In whole vectors,
  /// the last one filled up, so that bits do not depend on where in memory numbers lie.
  template <class T>
  void move(const T* gradient, const Factors<T>& by, T* weight, T* first, T* second, Index n) const {
    using Piece = Eigen::Array<T, 16, 1>;
    for (Index begin = 0; begin < n; begin += Piece::SizeAtCompileTime) {
      const auto bytes = sizeof(T) * static_cast<std::size_t>((std::min)(n - begin, Index(Piece::SizeAtCompileTime)));
      Piece g = Piece::Zero(), p = g, m = g, v = g;
      std::memcpy(g.data(), gradient + begin, bytes);
      std::memcpy(p.data(), weight + begin, bytes);
      std::memcpy(m.data(), first + begin, bytes);
      std::memcpy(v.data(), second + begin, bytes);
      m = T(b1) * m + T(1 - b1) * g;
      v = T(b2) * v + T(1 - b2) * g.square();
      p -= by.rate * (by.unbias_1 * m / ((by.unbias_2 * v).sqrt() + T(epsilon)) + by.decay * p);
      std::memcpy(weight + begin, p.data(), bytes);
      std::memcpy(first + begin, m.data(), bytes);
      std::memcpy(second + begin, v.data(), bytes);
    }
  }

  static bool takes(const ParameterGroup& group, std::string_view own) {
    return group.names.empty() || std::find(group.names.begin(), group.names.end(), own) != group.names.end();
  }

  /// Refuses numbers that can't be, and names that none of the parameters has which the groups before leave over.
  void check(std::vector<std::string> names) const {
    if (!(b1 >= 0 && b1 < 1 && b2 >= 0 && b2 < 1 && epsilon >= 0 && std::isfinite(epsilon)))
      refuse("AdamW", "b1, b2 and epsilon are ", b1, ", ", b2, " and ", epsilon,
             ", expected 0 <= b1 < 1, 0 <= b2 < 1 and a number of at least 0");
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto& [own, rate, decay, optional] = groups[g];
      if (!(rate >= 0 && decay >= 0 && std::isfinite(rate) && std::isfinite(decay)))
        refuse("AdamW, group " + std::to_string(g), "rate and decay are ", rate, " and ", decay,
               ", expected numbers of at least 0");
      for (const std::string& name : own) {
        if (optional || std::find(names.begin(), names.end(), name) != names.end()) continue;
        const std::string where = "AdamW, group " + std::to_string(g);
        if (names.empty()) refuse(where, "the groups before take every parameter, expected a group without names last");
        refuse(where, "no parameter is named \"", name, "\", expected one of ", listed(names),
               g > 0 ? ", which the groups before leave over" : "");
      }
      std::erase_if(names, [&](const std::string& name) { return takes(groups[g], name); });
    }
  }

  /// Every name once, in order: "A, Lambda, C".
  static std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (auto name = names.begin(); name != names.end(); ++name)
      if (std::find(names.begin(), name, *name) == name) text += (text.empty() ? "" : ", ") + *name;
    return text;
  }

  const ParameterGroup& group_of(const Name& name) const {
    for (const ParameterGroup& group : groups)
      if (takes(group, name.leaf())) return group;
    refuse("AdamW", "no group takes the parameter ", name.str(), ", expected one without names at the end");
  }
};

/// Gradient descent: p <- p - rate g. A schedule multiplies the rate.
/// Source  docs/theory.md, training and alignment
struct GradientDescent {
  double rate;  ///< of all parameters

  /// What an optimiser carries from one update to the next: here no more than their number.
  template <class Parameters>
  struct State {
    Index updates = 0;  ///< so far

    template <class Visitor, class... Self>
    static void visit(Visitor&&, Self&&...) {}
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      visitor(Name{"updates"}, self.updates...);
    }
  };

  /// The state before the first update.        Errors  std::invalid_argument: a rate that is negative or no number
  template <class Parameters>
  State<Parameters> initial_state(const Parameters&) const {
    if (!(rate >= 0 && std::isfinite(rate)))
      refuse("GradientDescent", "the rate is ", rate, ", expected a number of at least 0");
    return {};
  }

  /// One update of `parameters` by `gradient`, the rate multiplied by `schedule`.
  /// Errors  std::invalid_argument: parameters and gradient of different sizes; nothing is changed then
  template <class Parameters>
  void update(const Parameters& gradient, double schedule, Parameters& parameters, State<Parameters>& state) const {
    expect_shapes("GradientDescent, the gradient", parameters, gradient);
    ++state.updates;
    visit(
        [&](const Name&, auto& p, const auto& g) {
          p -= static_cast<typename std::remove_cvref_t<decltype(p)>::Scalar>(rate * schedule) * g;
        },
        parameters, gradient);
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
  /// Errors  std::invalid_argument: a length that isn't positive, and as the other's
  template <class Parameters>
  State<Parameters> initial_state(const Parameters& like) const {
    if (!(most > 0)) refuse("ClippedGradient", "the greatest length is ", most, ", expected a positive number");
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
