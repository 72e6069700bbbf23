// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "gdssm/blocks/affine_summary.hpp"
#include "gdssm/blocks/recurrences/core_step.hpp"
#include "gdssm/blocks/recurrences/token.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"

// What most learning rules have in common.
namespace gdssm::recurrences {

/// The constants of a rule that has none.
template <class Storage>
using NoConstants = NoWeights<Storage>;

/// The state of a rule that keeps its matrix and nothing else.
template <class T, Index Keys, Index Values>
struct MatrixState {
  Array<T, Values, Keys> memory;  ///< S (Values x Keys)

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"memory"}, self.memory...);
  }
  friend bool operator==(const MatrixState&, const MatrixState&) = default;
};

/// Room for the core step (22) and its VJP.
template <class T, Index Keys, Index Values>
struct MatrixWorkspace {
  Array<T, Values, Keys> decayed;      ///< S~
  Array<T, Values, 1> y;               ///< target
  Array<T, Values, 1> e;               ///< error
  Array<T, Values, 1> y_bar;           ///< the target's cotangent
  Array<T, Values, 1> error_bar;       ///< the error's, where several terms make it
  Array<T, Values, 1> zero;            ///< no target
  Array<T, Keys, 1> p, kappa;          ///< the keys that are read and written
  Array<T, Keys, 1> p_bar, kappa_bar;  ///< their cotangents
  Array<T, Keys, 1> sum;               ///< S^T o_bar
};

/// The base of a learning rule with memory S (Values x Keys), read as
///     o_t = S_t q_t
/// after the token has been written. The derived class has `Token<Storage>`, token<Storage>(), `step` and `step_vjp`.
/// Shapes  k, q (Keys), v, o (Values)
/// Errors  std::invalid_argument: a size below 1, or not the type's        VJP  `read_vjp`
template <Index Keys, Index Values>
class MatrixMemory {
  static_assert(Keys == Dynamic || Keys > 0, "a learning rule: the keys' size must be a positive number or Dynamic");
  static_assert(Values == Dynamic || Values > 0,
                "a learning rule: the values' size must be a positive number or Dynamic");

 public:
  static constexpr Index keys = Keys;      ///< the size of keys and queries
  static constexpr Index values = Values;  ///< the size of values and outputs

  MatrixMemory() requires(Keys != Dynamic && Values != Dynamic) : MatrixMemory(Keys, Values) {}
  explicit MatrixMemory(Index size) : MatrixMemory(size, size) {}
  MatrixMemory(Index key_count, Index value_count)
      : keys_(gdssm::detail::fixed_or<Keys>(key_count)), values_(gdssm::detail::fixed_or<Values>(value_count)) {
    if (key_count <= 0 || value_count <= 0)
      refuse("learning rule", "the memory is ", value_count, " x ", key_count, ", expected at least 1 x 1");
    if (Keys != Dynamic) expect_equal("learning rule", "the size of keys", key_count, Keys);
    if (Values != Dynamic) expect_equal("learning rule", "the size of values", value_count, Values);
  }

  Index key_count() const { return keys_.value(); }      ///< d_k
  Index value_count() const { return values_.value(); }  ///< d_v

  template <class T>
  using State = MatrixState<T, Keys, Values>;
  template <class T>
  using Workspace = MatrixWorkspace<T, Keys, Values>;
  template <class Storage>
  using Constants = NoConstants<Storage>;

  /// What the members of tokens, constants and states are, by the names that most rules give them.
  static constexpr TokenRole role(std::string_view name) {
    if (name == "k" || name == "p" || name == "kappa") return TokenRole::key;
    if (name == "v" || name == "value" || name == "values") return TokenRole::value;
    if (name == "alpha" || name == "gamma") return TokenRole::decay;
    if (name == "dt") return TokenRole::step;
    return name == "A" ? TokenRole::continuous_decay : TokenRole::share;
  }

  template <class Storage>
  NoConstants<Storage> constants() const {
    return {};
  }
  template <class T>
  MatrixState<T, Keys, Values> initial_state() const {
    return {memory<T>()};
  }
  template <class T>
  MatrixWorkspace<T, Keys, Values> workspace() const {
    const Array<T, Values, 1> value(value_count(), 1);
    const Array<T, Keys, 1> key(key_count(), 1);
    return {memory<T>(), value, value, value, value, value, key, key, key, key, key};
  }

  /// o = S q.
  template <class Constants, class State, class S, class Workspace>
  void read(const Constants&, const State& state, View<const S, Keys, 1> q, View<S, Values, 1> o, Workspace&) const {
    kernels::multiply(state.memory.view(), q, o);
  }
  /// VJP of `read`: R += o_bar q^T, q_bar += S^T o_bar.
  template <class Constants, class State, class S, class Workspace>
  void read_vjp(const Constants&, const State& state, View<const S, Keys, 1> q, View<const S, Values, 1> o_bar,
                State& state_bar, Constants&, View<S, Keys, 1> q_bar, Workspace& ws) const {
    write(o_bar, q, state_bar.memory);
    kernels::multiply_transposed(state.memory.view(), o_bar, ws.sum.view());
    add(ws.sum, q_bar);
  }

 protected:
  /// Zeros of S's size.
  template <class T>
  Array<T, Values, Keys> memory() const {
    return {value_count(), key_count()};
  }
  /// A key of a token.
  template <class Storage>
  MatrixIn<Storage, Keys, 1> key() const {
    return made_in<Storage, Keys, 1>(key_count(), 1);
  }
  /// A value of a token.
  template <class Storage>
  MatrixIn<Storage, Values, 1> value() const {
    return made_in<Storage, Values, 1>(value_count(), 1);
  }
  /// A number of a token.
  template <class Storage>
  static MatrixIn<Storage, 1, 1> number() {
    return made_in<Storage, 1, 1>();
  }
  /// A token's key and value.
  template <class Storage>
  KeyValue<Storage, Keys, Values> key_value() const {
    return {key<Storage>(), value<Storage>()};
  }
  /// A token's key, value and rate.
  template <class Storage>
  RatedKeyValue<Storage, Keys, Values> rated_key_value() const {
    return {key_value<Storage>(), number<Storage>()};
  }
  /// A token's key, value, rate and decay.
  template <class Storage>
  DecayedKeyValue<Storage, Keys, Values> decayed_key_value() const {
    return {rated_key_value<Storage>(), number<Storage>()};
  }

 private:
  [[no_unique_address]] gdssm::detail::Extent<Keys> keys_;
  [[no_unique_address]] gdssm::detail::Extent<Values> values_;
};

}  // namespace gdssm::recurrences
