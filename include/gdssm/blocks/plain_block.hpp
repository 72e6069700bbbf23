// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// Base classes for blocks, also for your own, that have nothing to prepare or nothing to remember.
namespace gdssm {

/// The base of a block whose loops read the weights directly. `Block` has an aggregate `Weights<Storage>`, a function
/// weights<Storage>() that makes it of zeros, and the names
///     template <class T> using Parameters = Weights<InMatrices<T>>;
///     template <class T> using Coefficients = Weights<InArrays<T>>;
template <class Block>
struct PlainBlock {
  /// Zeros of the block's sizes, for users to hold and optimisers to update.
  template <class T>
  auto parameters() const {
    return self().template weights<InMatrices<T>>();
  }
  /// Zeros of the block's sizes, for loops to read and gradients to add up in.
  template <class T>
  auto coefficients() const {
    return self().template weights<InArrays<T>>();
  }

  /// c = p.        Errors  std::invalid_argument: weights of another block's sizes
  template <class Parameters, class Coefficients>
  void prepare(const Parameters& p, Coefficients& c) const {
    visit(
        [](const Name& name, const auto& from, auto& to) {
          detail::expect_extents("prepare", name, from, to.rows(), to.cols());
          detail::copy(from, to);
        },
        p, c);
  }
  /// VJP of `prepare`: p_bar += c_bar.        Errors  as `prepare`
  template <class Parameters, class Coefficients>
  void prepare_vjp(const Parameters&, const Coefficients&, const Coefficients& c_bar, Parameters& p_bar) const {
    visit(
        [](const Name& name, const auto& from, auto& to) {
          detail::expect_extents("prepare_vjp", name, to, from.rows(), from.cols());
          to += from.matrix();
        },
        c_bar, p_bar);
  }

 private:
  const Block& self() const { return static_cast<const Block&>(*this); }
};

/// The base of a block that remembers nothing. Unless the block declares its own, it needs no workspace either.
struct Stateless {
  /// Nothing.
  template <class T>
  struct State {
    template <class Visitor, class... Self>
    static void visit(Visitor&&, Self&&...) {}
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
