// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/learners/learner.hpp"

namespace gdssm::detail {

/// One part: a value with a state, or a vector of such values.
template <class P>
struct Part {
  using Scalar = typename P::Scalar;
  using State = typename P::State;

  static State state(const P& part) { return part.state(); }
  template <class Action, class... States>
  static void each(P& part, Action&& action, const States&... state) {
    action(part, state...);
  }
  template <class Visitor, class First, class... More>
  static void visit(std::string_view place, Visitor& visitor, First& first, More&... more) {
    visit_part(place, visitor, first, more...);
  }
};

template <class P>
struct Part<std::vector<P>> {
  using Scalar = typename P::Scalar;
  using State = std::vector<typename P::State>;

  static State state(const std::vector<P>& parts) {
    State states;
    for (const P& part : parts) states.push_back(part.state());
    return states;
  }
  template <class Action, class... States>
  static void each(std::vector<P>& parts, Action&& action, const States&... states) {
    for (std::size_t i = 0; i < parts.size(); ++i) action(parts[i], states[i]...);
  }
  template <class Visitor, class First, class... More>
  static void visit(std::string_view place, Visitor& visitor, First& first, More&... more) {
    if (((more.size() != first.size()) || ...))
      refuse("visit", "vectors of states have different lengths, expected ", first.size());
    const auto nested = [&](const Name& name, auto&... member) { visitor(Name{place, &name, name.degree}, member...); };
    for (std::size_t i = 0; i < first.size(); ++i) visit_part(std::to_string(i), nested, first[i], more[i]...);
  }
};

/// Several parts. Their states form a tuple, named by position: "0", "1", ..., and those of a vector "1.0", "1.1", ...
template <class... Parts>
class Together {
 public:
  using State = std::tuple<typename Part<Parts>::State...>;

  explicit Together(Parts... parts) : parts_(std::move(parts)...) {}

  /// Calls action(part, its state...) for every part.
  template <class Action, class... States>
  void each(Action&& action, const States&... states) {
    apply(std::index_sequence_for<Parts...>(),
          [&]<std::size_t K>() { Part<At<K>>::each(std::get<K>(parts_), action, std::get<K>(states)...); });
  }

  State state() const {
    return std::apply([](const Parts&... part) { return State(Part<Parts>::state(part)...); }, parts_);
  }

  template <class Visitor, class... States>
  static void visit(Visitor& visitor, States&... states) {
    apply(std::index_sequence_for<Parts...>(),
          [&]<std::size_t K>() { Part<At<K>>::visit(std::to_string(K), visitor, std::get<K>(states)...); });
  }

 private:
  template <std::size_t K>
  using At = std::tuple_element_t<K, std::tuple<Parts...>>;

  template <std::size_t... K, class Action>
  static void apply(std::index_sequence<K...>, Action&& action) {
    (action.template operator()<K>(), ...);
  }

  std::tuple<Parts...> parts_;
};

}  // namespace gdssm::detail
