// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/parameters.hpp"

// What blocks have in common whose parameters need no preparing and which remember nothing: bases for theirs and yours.
namespace gdssm {

/// The base of a block whose `Coefficients` are its `Parameters` as they stand: both name the same members, of the same
/// shapes, in the same order.
struct PlainCoefficients {
  /// c = p.
  template <class Parameters, class Coefficients>
  void prepare(const Parameters& p, Coefficients& c) const {
    visit(
        [](const Name&, const auto& from, auto& to) {
          for (Index i = 0; i < to.size(); ++i) to.data()[i] = from.data()[i];
        },
        p, c);
  }
  /// VJP of `prepare`: p_bar += c_bar.
  template <class Parameters, class Coefficients>
  void prepare_vjp(const Parameters&, const Coefficients&, const Coefficients& c_bar, Parameters& p_bar) const {
    visit(
        [](const Name&, const auto& from, auto& to) {
          for (Index i = 0; i < to.size(); ++i) to.data()[i] += from.data()[i];
        },
        c_bar, p_bar);
  }
};

/// The base of a block that remembers no earlier token, and needs no room to work in unless it says so itself.
struct Stateless {
  /// Nothing.
  template <class T>
  struct State {
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  struct Workspace {};

  template <class T>
  State<T> initial_state() const {
    return {};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {};
  }
};

}  // namespace gdssm
