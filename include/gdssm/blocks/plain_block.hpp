// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// Bases for blocks, gdssm's and yours, that have nothing to prepare or nothing to remember.
namespace gdssm {

/// The base of a block whose `Coefficients` are its `Parameters` as they stand: both name the same members, of the same
/// shapes (an assertion), in the same order.
struct PlainCoefficients {
  /// c = p.
  template <class Parameters, class Coefficients>
  void prepare(const Parameters& p, Coefficients& c) const {
    visit([](const Name&, const auto& from, auto& to) { detail::copy(from, to); }, p, c);
  }
  /// VJP of `prepare`: p_bar += c_bar.
  template <class Parameters, class Coefficients>
  void prepare_vjp(const Parameters&, const Coefficients&, const Coefficients& c_bar, Parameters& p_bar) const {
    visit([](const Name&, const auto& from, auto& to) { to += from.matrix(); }, c_bar, p_bar);
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
