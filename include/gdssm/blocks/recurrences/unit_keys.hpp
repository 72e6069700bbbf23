// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/recurrences/core_step.hpp"
#include "gdssm/blocks/recurrences/token.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm::recurrences {

/// A learning rule on keys of length one: with lambda^2 = |k|^2 + 1e-6, its step takes
///     k <- k / lambda                                                                              (B8a)
/// A step beta <= 1 on 1/2 |v - S k|^2 then never increases an error, whatever the keys are. Queries keep their length.
///     `Rule`  whose tokens have one key, k
/// Shapes  as `Rule`
/// Source  Yang et al., arXiv:2406.06484        VJP  `step_vjp`
template <class Rule>
class UnitKeys : public Rule {
 public:
  using Rule::Rule;

  template <class T>
  struct Workspace : Rule::template Workspace<T> {
    Array<T, Rule::keys, 1> unit, unit_bar;  ///< k / lambda, its cotangent
  };
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Rule::keys, 1> key(this->key_count(), 1);
    return {Rule::template workspace<T>(), key, key};
  }

  /// The rule's step.
  template <class S>
  void step(const typename Rule::template Constants<InArrays<S>>& c,
            const typename Rule::template Token<InViews<const S>>& x, typename Rule::template State<S>& state,
            Workspace<S>& ws) const {
    const auto [unit, inverse_length] = on_unit_key(x, ws);
    Rule::step(c, unit, state, ws);
  }

  /// VJP of `step`: that of the rule, and k_bar += (u_bar - <u, u_bar> u) / lambda for the cotangent u_bar of
  /// u = k / lambda.
  template <class S>
  void step_vjp(const typename Rule::template Constants<InArrays<S>>& c,
                const typename Rule::template Token<InViews<const S>>& x,
                const typename Rule::template State<S>& before, typename Rule::template State<S>& state_bar,
                typename Rule::template Constants<InArrays<S>>& c_bar,
                const typename Rule::template Token<InViews<S>>& x_bar, Workspace<S>& ws) const {
    const auto [unit, inverse_length] = on_unit_key(x, ws);
    ws.unit_bar.fill(S(0));
    auto unit_token_bar = x_bar;
    unit_token_bar.k = ws.unit_bar.view();
    Rule::step_vjp(c, unit, before, state_bar, c_bar, unit_token_bar, ws);
    S along = S(0);
    for (Index j = 0; j < x.k.size(); ++j) along = multiply_add(ws.unit[j], ws.unit_bar[j], along);
    for (Index j = 0; j < x.k.size(); ++j)
      x_bar.k[j] = multiply_add(multiply_add(-along, ws.unit[j], ws.unit_bar[j]), inverse_length, x_bar.k[j]);
  }

 private:
  template <class S, class Token>
  struct Normalised {
    Token token;
    S inverse_length;
  };
  /// The token with the key of length one, and 1 / lambda.
  template <class S, class Token>
  static Normalised<S, Token> on_unit_key(const Token& x, Workspace<S>& ws) {
    using std::sqrt;
    S square = S(0);
    for (Index j = 0; j < x.k.size(); ++j) square = multiply_add(x.k[j], x.k[j], square);
    const S inverse = S(1) / sqrt(square + gdssm::detail::constant<S>(1e-6));
    for (Index j = 0; j < x.k.size(); ++j) ws.unit[j] = x.k[j] * inverse;
    Normalised<S, Token> result{x, inverse};
    result.token.k = ws.unit.view();
    return result;
  }
};

}  // namespace gdssm::recurrences
