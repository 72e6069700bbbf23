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
#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// Rate and decay of the parameters whose leaf name, such as "log_step", is in `names`. A group without names takes all
/// parameters that no group before it takes. Parameters with a rate of 0 do not change.
struct ParameterGroup {
  std::vector<std::string> names;  ///< leaf names of parameters; if empty, all that are left
  double learning_rate;            ///< rate
  double weight_decay = 0;         ///< decay
  bool optional = false;           ///< ignores names that no parameter has, instead of refusing them
};

/// Groups in order, or one rate for all parameters without decay.
struct ParameterGroups : std::vector<ParameterGroup> {
  using std::vector<ParameterGroup>::vector;
  /// One group of all parameters.
  explicit(false) ParameterGroups(double rate) : vector{{{}, rate}} {}
};

/// AdamW: with g the gradient and n the number of updates, this one included,
///     m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,
///     p <- p - rate (m^ / (sqrt(v^) + eps) + decay p),   m^ = m / (1 - b1^n),   v^ = v / (1 - b2^n)
/// Adam has decay 0. Groups give rates and decays; a schedule multiplies the rates.
/// Source  Kingma, Ba, 1412.6980; Loshchilov, Hutter, 1711.05101; docs/theory.md, training and alignment
struct AdamW {
  ParameterGroups groups;  ///< a parameter is in the first group that takes it; `AdamW{3e-3}` is one rate for all
  double b1 = 0.9;         ///< decay of the mean of gradients
  double b2 = 0.999;       ///< decay of the mean of their squares
  double epsilon = 1e-8;   ///< eps

  /// The reference's optimiser: Adam at 1e-4 for Lambda and log_step, if there are any, and AdamW at 2e-4 with decay
  /// 0.05 for all other parameters.
  static AdamW reference() { return {{{{"Lambda", "log_step"}, 1e-4, 0, true}, {{}, 2e-4, 0.05}}}; }

  /// All that later updates depend on. A value.
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

  /// m = v = 0, in the shapes of the given parameters.
  /// Errors  std::invalid_argument: a parameter that no group takes; a name that no parameter has, or only one that an
  ///         earlier group takes, unless the group is optional; a rate or decay that is negative or not finite; b1 or
  ///         b2 outside [0, 1); an epsilon that is negative or not finite
  template <class Parameters>
  State<Parameters> initial_state(const Parameters& like) const;

  /// Updates `parameters` by `gradient`, with the rates multiplied by `schedule`.
  /// Errors  std::invalid_argument: a parameter that no group takes; parameters, gradient and state of different sizes.
  ///         Nothing changes then.
  template <class Parameters>
  void update(const Parameters& gradient, double schedule, Parameters& parameters, State<Parameters>& state) const;

 private:
  template <class T>
  struct Factors {
    T unbias_1, unbias_2, rate, decay;
  };

  /// Updates n numbers of any shape; compiled once for each scalar type. Works on whole vectors, the last one padded,
  /// so that bits do not depend on where in memory the numbers are.
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

  /// Refuses invalid numbers, and names that no parameter has which is left by the groups before.
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

  /// The names in order, without repetition: "A, Lambda, C".
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

template <class Parameters>
AdamW::State<Parameters> AdamW::initial_state(const Parameters& like) const {
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

template <class Parameters>
void AdamW::update(const Parameters& gradient, double schedule, Parameters& parameters,
                   State<Parameters>& state) const {
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

#ifdef GDSSM_COMPILED
extern template AdamW::State<NamedWeights<float>> AdamW::initial_state(const NamedWeights<float>&) const;
extern template void AdamW::update(const NamedWeights<float>&, double, NamedWeights<float>&,
                                   State<NamedWeights<float>>&) const;
#endif

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

/// Shortens gradients before another optimiser sees them: g <- g min(1, most / |g|), with |g| over all parameters. A
/// rare large gradient then does not dominate the running means.
/// Source  Pascanu, Mikolov, Bengio, 1211.5063
template <class Optimizer>
struct ClippedGradient {
  Optimizer optimizer;  ///< the optimiser that takes the step
  double most = 1;      ///< the greatest length of a gradient

  /// The other optimiser's state.
  template <class Parameters>
  using State = typename Optimizer::template State<Parameters>;

  /// The state before the first update.
  /// Errors  std::invalid_argument: a length that is not positive; those of the other optimiser
  template <class Parameters>
  State<Parameters> initial_state(const Parameters& like) const {
    if (!(most > 0)) refuse("ClippedGradient", "the greatest length is ", most, ", expected a positive number");
    return optimizer.initial_state(like);
  }

  /// Updates by the shortened gradient.        Errors  those of the other optimiser
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
