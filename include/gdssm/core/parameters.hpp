// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "gdssm/core/view.hpp"

namespace gdssm {

/// The name of a parameter, led by the part of the model that holds it: "gate.d". A list of views, so that passing
/// names along costs nothing; `str` writes it out.
struct Name {
  std::string_view head;       ///< this part
  const Name* tail = nullptr;  ///< what stands behind the dot, if there is one
  int degree = 0;              ///< the member's in the data it was made of, where its `visit` says so: 1 for a mean

  /// Written out, with dots.
  std::string str() const { return tail ? std::string(head) + "." + tail->str() : std::string(head); }
};

// Every `Parameters<T>` and `Coefficients<T>` is an aggregate with one static function
//
//     template <class Visitor, class... Self> static void visit(Visitor&& visitor, Self&&... self);
//
// that calls visitor(name, self.member...) for each matrix member, in a fixed order. It takes several aggregates of one
// shape side by side (weights, gradients, moments), which is all that initialisation, optimisers, files, dual numbers
// and printing need.

/// Calls visitor(name, matrix...) for the members of one aggregate, or of several of one shape side by side.
template <class Visitor, class First, class... More>
void visit(Visitor&& visitor, First&& first, More&&... more) {
  std::remove_cvref_t<First>::visit(visitor, first, more...);
}

/// Visits the members of a part of a model, their names led by the part's.
template <class Visitor, class First, class... More>
void visit_part(std::string_view part, Visitor&& visitor, First&& first, More&&... more) {
  visit([&](const Name& name, auto&... member) { visitor(Name{part, &name, name.degree}, member...); }, first, more...);
}

// What counts beside its matrices (updates made) has a second function of this form, `visit_counters`, that calls
// visitor(name, self.counter...) for each whole number: with both everything that the value holds is shown.

/// Calls visitor(name, counter...) for the whole numbers of one aggregate, or of several of one shape side by side.
template <class Visitor, class First, class... More>
void visit_counters(Visitor&& visitor, First&& first, More&&... more) {
  std::remove_cvref_t<First>::visit_counters(visitor, first, more...);
}

/// Visits the whole numbers of a part, their names led by the part's.
template <class Visitor, class First, class... More>
void visit_counters_of_part(std::string_view part, Visitor&& visitor, First&& first, More&&... more) {
  visit_counters([&](const Name& name, auto&... counter) { visitor(Name{part, &name}, counter...); }, first, more...);
}

/// Sets every entry of every member.
template <class Aggregate, class T>
void fill(Aggregate& aggregate, const T& value) {
  visit(
      [&](const Name&, auto& member) {
        using Entry = std::remove_reference_t<decltype(*member.data())>;
        for (Index i = 0; i < member.size(); ++i) member.data()[i] = static_cast<Entry>(value);
      },
      aggregate);
}

/// The number of entries in all members.
template <class Aggregate>
Index count(const Aggregate& aggregate) {
  Index n = 0;
  visit([&](const Name&, const auto& member) { n += member.size(); }, aggregate);
  return n;
}

/// True when every entry of every member is the same, NaN being nobody's equal.
template <class Aggregate>
bool identical(const Aggregate& a, const Aggregate& b) {
  bool same = true;
  visit(
      [&](const Name&, const auto& x, const auto& y) {
        same = same && x.rows() == y.rows() && x.cols() == y.cols();
        for (Index i = 0; same && i < x.size(); ++i) same = x.data()[i] == y.data()[i];
      },
      a, b);
  return same;
}

}  // namespace gdssm
