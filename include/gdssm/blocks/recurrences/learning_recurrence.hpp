// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/recurrences/learning_rule.hpp"
#include "gdssm/blocks/recurrences/linear_attention.hpp"
#include "gdssm/blocks/recurrences/matrix_memory.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/initial_laws.hpp"

namespace gdssm {

/// Controls that are constants, trained: W = 0 in (45).
struct TrainedControls {
  static constexpr bool sees_window = false;  ///< no W
  static constexpr bool given = false;        ///< no left factor holds them
};
/// Controls that are functions of the window's left factors, as of `SelectiveRecurrence`.
struct SelectedControls {
  static constexpr bool sees_window = true;  ///< W is there
  static constexpr bool given = false;       ///< no left factor holds them
};
/// Controls that the input side makes, as `KeyValueProjection` does: in (45) W vec(left) is what the left factors hold
/// behind the keys. Shares begin at 1/2.
struct GivenControls {
  static constexpr bool sees_window = false;  ///< no W
  static constexpr bool given = true;         ///< left factors hold them
};

namespace detail {

/// A number for every role from any number z, (45), and how it changes with it.
template <class S>
S squashed(TokenRole role, const S& z) {
  if (role == TokenRole::step) return softplus(z);
  if (role == TokenRole::continuous_decay) return -softplus(z);
  return logistic(role == TokenRole::decay ? S(-z) : z);
}
template <class S>
S squashed_derivative(TokenRole role, const S& z) {
  if (role == TokenRole::step) return logistic(z);
  if (role == TokenRole::continuous_decay) return -logistic(z);
  const S l = logistic(z), slope = l * (S(1) - l);
  return role == TokenRole::decay ? S(-slope) : slope;
}

/// A z to begin with: shares of 1/8, small enough for keys of any usual length to leave a delta rule stable, decays
/// from 0.9 to 0.999, steps from 0.001 to 0.1, a continuous decay of -1/2.
inline double draw_raw(TokenRole role, RandomStream<>& stream) {
  if (role == TokenRole::step) return inverse_softplus(std::exp(draw_log_step(stream)));
  if (role == TokenRole::continuous_decay) return inverse_softplus(0.5);
  if (role == TokenRole::share) return -2;
  const double decay = draw_decay(stream);
  return std::log(1 / decay - 1);
}

}  // namespace detail

/// Any learning rule whose state is its matrix as the second slot of a layer. The rule's keys are the left factors, in
/// its order, its values the right ones; its controls, one vector, and the constants of the sequence are
///     z_t = b + W vec(left_t),   controls_t = squash(z_t),   constants = squash(b_c)                (45)
/// with squash logistic for shares, logistic(-z) = exp(-softplus(z)) for decays, softplus for steps and -softplus for
/// continuous decays.
///     `Rank`      of the factors that it takes: as many as the rule has keys, and one for given controls
///     `Controls`  `SelectedControls`, `GivenControls` or `TrainedControls`: no W
/// Shapes  left (Keys x Rank), right (Values x Rank), b (controls), W (controls x Keys Rank), b_c (constants), the
/// memory
///         (Values x Keys)
/// Errors  std::invalid_argument: factors of a rank below what the rule needs
/// VJP     `step_vjp`; its gradients need the history (`StoredHistory`)
template <class Rule, Index Rank = 1, class Controls = SelectedControls>
class LearningRecurrence : public PlainBlock<LearningRecurrence<Rule, Rank, Controls>> {
  static_assert(detail::expect_learning_rule<Rule>());
  static_assert(
      std::is_same_v<typename Rule::template State<float>, recurrences::MatrixState<float, Rule::keys, Rule::values>>,
      "LearningRecurrence: the rule's state must be its matrix and nothing else");
  static_assert(Rank > 0, "LearningRecurrence: the rank must be positive");
  static constexpr Index seen = !Controls::sees_window ? 0 : Rule::keys == Dynamic ? Dynamic : Rule::keys * Rank;

 public:
  static constexpr Index rows = Rule::keys;
  static constexpr Index cols = Rule::values;
  static constexpr Index rank = Rank;

  LearningRecurrence() requires(rows != Dynamic && cols != Dynamic) : LearningRecurrence(Rule()) {}
  explicit LearningRecurrence(const Rule& rule) : rule_(rule) {
    const auto token = rule.template token<InViews<const float>>();
    Index keys = 0, values = 0;
    visit(
        [&](const Name& name, const auto& member) {
          const TokenRole role = Rule::role(name.head);
          if (role == TokenRole::key || role == TokenRole::value) {
            Index& next = role == TokenRole::key ? keys : values;
            places_.push_back({role, next});
            next += member.cols();
          } else {
            places_.push_back({role, control_count()});
            add_roles(role, member.size(), control_roles_);
          }
        },
        token);
    if (keys > Rank || values > Rank)
      refuse("LearningRecurrence", "the rank is ", Rank, ", expected at least ", keys > values ? keys : values,
             ", the keys and values of the rule");
    given_ = keys * row_count();
    if (Controls::given && given_ + control_count() > Rank * row_count())
      refuse("LearningRecurrence", "the left factors have room for ", Rank * row_count() - given_,
             " numbers behind the keys, expected at least ", control_count(), ", the controls of the rule");
    const auto constants = rule.template constants<InArrays<float>>();
    visit(
        [&](const Name& name, const auto& member) { add_roles(Rule::role(name.head), member.size(), constant_roles_); },
        constants);
  }

  Index row_count() const { return rule_.key_count(); }
  Index col_count() const { return rule_.value_count(); }
  const Rule& rule() const { return rule_; }  ///< the rule
  /// Numbers that control a step.
  Index control_count() const { return static_cast<Index>(control_roles_.size()); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Dynamic, 1> bias;       ///< b (controls)
    MatrixIn<Storage, Dynamic, seen> weight;  ///< W (controls x Keys Rank); absent from `TrainedControls`
    MatrixIn<Storage, Dynamic, 1> constant;   ///< b_c (constants)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"bias"}, self.bias...);
      if constexpr (seen != 0) visitor(Name{"weight"}, self.weight...);
      visitor(Name{"constant"}, self.constant...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Dynamic, 1>(control_count(), 1),
            zeros_in<Storage, Dynamic, seen>(control_count(), seen == 0 ? 0 : row_count() * Rank),
            zeros_in<Storage, Dynamic, 1>(constant_count(), 1)};
  }

  /// The rule's.
  template <class T>
  using State = recurrences::MatrixState<T, rows, cols>;

  template <class T>
  struct Workspace {
    typename Rule::template Workspace<T> rule;
    typename Rule::template Constants<InArrays<T>> constants, constants_bar;
    Array<T, Dynamic, 1> raw, controls, controls_bar;           ///< z, squash(z), its cotangent
    recurrences::MatrixState<T, rows, cols> before, state_bar;  ///< the state before the window, its cotangent
    Array<T, cols, rows> moved;                                 ///< the next memory, before lanes choose
    Array<T, rows, Rank> left_bar;                              ///< where nobody wants it
  };

  template <class T>
  State<T> initial_state() const {
    return rule_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    const auto constants = rule_.template constants<InArrays<T>>();
    const Array<T, Dynamic, 1> control(control_count(), 1);
    const auto state = rule_.template initial_state<T>();
    return {rule_.template workspace<T>(),
            constants,
            constants,
            control,
            control,
            control,
            state,
            state,
            state.memory,
            {row_count(), Rank}};
  }
  /// S = 0.
  template <class T>
  void restart(State<T>& state) const {
    state.memory.fill(T(0));
  }

  /// W = 0, and b and b_c as `detail::draw_raw` has them for each role; given shares begin at b = 0.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    for (Index i = 0; i < control_count(); ++i)
      if (!Controls::given || control_role(i) != TokenRole::share)
        p.bias[i] = static_cast<P>(detail::draw_raw(control_role(i), stream));
    for (Index i = 0; i < constant_count(); ++i)
      p.constant[i] = static_cast<P>(detail::draw_raw(constant_role(i), stream));
  }
  /// Its share of the closed form (7), of a rule that has nothing to set: linear attention, L = 1.
  template <class P>
  void construct(Parameters<P>&, const P&) const
      requires(std::is_same_v<Rule, recurrences::LinearAttention<rows, cols>>) {}

  /// One step of the rule. Lanes in which `mask` is zero keep their state; null: all take part.
  template <class P, class S>
  void step(const Coefficients<P>& c, const Factors<const S, rows, cols, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    find_controls(c, G.left, ws);
    if (mask) gdssm::detail::copy(state.memory.view().as_const(), ws.moved.view());
    rule_.step(ws.constants, token<const S>(G.left, G.right, ws.controls.view().as_const()), state, ws.rule);
    if (mask)
      for (Index e = 0; e < ws.moved.size(); ++e) state.memory[e] = select(*mask, state.memory[e], ws.moved[e]);
  }

  /// VJP of `step`, for which `before` must be present: turns `memory_bar` from the cotangent of the memory after into
  /// that of the memory before, sets `G_bar` (left_bar only if present), and with z_bar = controls_bar * squash'(z)
  ///     b_bar += z_bar,   W_bar += z_bar vec(left)^T,   vec(left_bar) += W^T z_bar,   b_c_bar += constants_bar *
  ///     squash'(b_c)
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, const Factors<const S, rows, cols, Rank>& G, const S* mask,
                View<const S, cols, rows> before, View<S, cols, rows> memory_bar, Coefficients<S>& c_bar,
                const Factors<S, rows, cols, Rank>& G_bar, Workspace<S>& ws) const {
    assert(before.present());
    find_controls(c, G.left, ws);
    const View<S, rows, Rank> left_bar = G_bar.left.present() ? G_bar.left : ws.left_bar.view();
    left_bar.fill(S(0));
    G_bar.right.fill(S(0));
    ws.controls_bar.fill(S(0));
    fill(ws.constants_bar, 0);
    detail::copy(before, ws.before.memory.view());
    for (Index e = 0; e < memory_bar.size(); ++e)
      ws.state_bar.memory[e] = mask ? select(*mask, memory_bar[e], S(0)) : memory_bar[e];
    rule_.step_vjp(ws.constants, token<const S>(G.left, G.right, ws.controls.view().as_const()), ws.before,
                   ws.state_bar, ws.constants_bar, token<S>(left_bar, G_bar.right, ws.controls_bar.view()), ws.rule);
    for (Index e = 0; e < memory_bar.size(); ++e)
      memory_bar[e] = mask ? select(*mask, ws.state_bar.memory[e], memory_bar[e]) : ws.state_bar.memory[e];

    for (Index i = 0; i < control_count(); ++i) {
      ws.controls_bar[i] = ws.controls_bar[i] * detail::squashed_derivative(control_role(i), ws.raw[i]);
      c_bar.bias[i] += ws.controls_bar[i];
    }
    if constexpr (Controls::given)
      for (Index i = 0; i < control_count(); ++i) left_bar[given_ + i] = ws.controls_bar[i];
    if constexpr (seen != 0) {
      const View<const S, Dynamic, 1> z_bar = ws.controls_bar.view();
      kernels::add_outer(z_bar, vec(G.left), c_bar.weight.view());
      if (G_bar.left.present())
        kernels::add_transposed(View<const P>(c.weight.view()), View<const S>(z_bar), View<S>(vec(left_bar)));
    }
    Index next = 0;
    visit(
        [&](const Name&, const auto& member) {
          for (Index i = 0; i < member.size(); ++i, ++next)
            c_bar.constant[next] += member[i] * detail::squashed_derivative(constant_role(next), S(c.constant[next]));
        },
        ws.constants_bar);
  }

 private:
  /// What a member of the token is, and where among its kind it begins: a column, or a number.
  struct Place {
    TokenRole role;
    Index offset;
  };

  Index constant_count() const { return static_cast<Index>(constant_roles_.size()); }
  TokenRole constant_role(Index i) const { return constant_roles_[static_cast<std::size_t>(i)]; }

  TokenRole control_role(Index i) const { return control_roles_[static_cast<std::size_t>(i)]; }
  static void add_roles(TokenRole role, Index count, std::vector<TokenRole>& roles) {
    roles.insert(roles.end(), static_cast<std::size_t>(count), role);
  }

  template <class T>
  static View<T, seen, 1> vec(View<T, rows, Rank> left) {
    return {left.data(), left.size(), 1};
  }

  /// A token whose keys and values are columns of factors and whose controls are pieces of one vector.
  template <class T>
  typename Rule::template Token<InViews<T>> token(View<T, rows, Rank> left, View<T, cols, Rank> right,
                                                  View<T, Dynamic, 1> controls) const {
    auto x = rule_.template token<InViews<T>>();
    std::size_t next = 0;
    visit(
        [&](const Name&, auto& member) {
          const Place& place = places_[next++];
          T* const data = place.role == TokenRole::key     ? left.data() + place.offset * left.rows()
                          : place.role == TokenRole::value ? right.data() + place.offset * right.rows()
                                                           : controls.data() + place.offset;
          member = {data, member.rows(), member.cols()};
        },
        x);
    return x;
  }

  /// Controls and constants of a window, into the workspace.
  template <class P, class S>
  void find_controls(const Coefficients<P>& c, View<const S, rows, Rank> left, Workspace<S>& ws) const {
    ws.raw.fill(S(0));
    if constexpr (seen != 0) kernels::multiply(c.weight.view(), vec(left), ws.raw.view());
    for (Index i = 0; i < control_count(); ++i) {
      if constexpr (Controls::given) ws.raw[i] = left[given_ + i];
      ws.raw[i] += S(c.bias[i]);
      ws.controls[i] = detail::squashed(control_role(i), ws.raw[i]);
    }
    Index next = 0;
    visit(
        [&](const Name&, auto& member) {
          for (Index i = 0; i < member.size(); ++i, ++next)
            member[i] = detail::squashed(constant_role(next), S(c.constant[next]));
        },
        ws.constants);
  }

  Rule rule_;
  Index given_ = 0;  ///< where among the left factors' numbers given controls begin
  std::vector<Place> places_;
  std::vector<TokenRole> control_roles_, constant_roles_;
};

}  // namespace gdssm
