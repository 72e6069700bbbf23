// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/factors.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/blocks/sliding_window.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// No attention: a token's own key and value, by linear maps, and linear functions of it that control a learning rule,
///     left = [k_t, z_t],   right = [v_t, 0],   k_t = W_K h_t,   v_t = W_V h_t,   z_t = W h_t         (B5)
/// With rank 1 there is no z_t. z_t stands at the top of its column, above zeros; `GivenControls` reads it there.
///     `Rank`  1, or 2 for controls
/// Shapes  h_t (Tokens), W_K (Keys x Tokens), W_V (Values x Tokens), W (controls x Tokens), z_t (at most Keys)
/// Errors  sizes below 1, more controls than a key has entries, another number of them than none for rank 1:
///         std::invalid_argument
/// VJP     `step_vjp`
template <Index Rank = 1, Index Keys = Dynamic, Index Values = Keys, Index Tokens = Keys>
class KeyValueProjection : public PlainBlock<KeyValueProjection<Rank, Keys, Values, Tokens>> {
  static_assert(Rank == 1 || Rank == 2, "KeyValueProjection: the rank must be 1, or 2 for controls");

 public:
  using Window = SlidingWindow<Tokens, 1, 1>;
  static constexpr Index rows = Keys;
  static constexpr Index cols = Values;
  static constexpr Index rank = Rank;
  static constexpr bool left_trains = true;
  static constexpr bool right_trains = true;

  KeyValueProjection(Index token_size, Index key_size, Index value_size, Index controls = Rank - 1)
      : window_(detail::fixed_or<Tokens>(token_size), "KeyValueProjection"),
        keys_(detail::fixed_or<Keys>(key_size)),
        values_(detail::fixed_or<Values>(value_size)),
        controls_(controls) {
    if (key_size < 1 || value_size < 1)
      refuse("KeyValueProjection", "keys and values have ", key_size, " and ", value_size,
             " entries, expected at least 1");
    if (controls < Rank - 1 || controls > (Rank - 1) * key_size)
      refuse("KeyValueProjection", "there are ", controls, " controls, expected ", Rank - 1, " to ",
             (Rank - 1) * key_size);
    if (Tokens != Dynamic) expect_equal("KeyValueProjection", "the size of a token", token_size, Tokens);
    if (Keys != Dynamic) expect_equal("KeyValueProjection", "the size of a key", key_size, Keys);
    if (Values != Dynamic) expect_equal("KeyValueProjection", "the size of a value", value_size, Values);
  }

  const Window& window() const { return window_; }
  Index row_count() const { return keys_.value(); }
  Index col_count() const { return values_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Keys, Tokens> key;         ///< W_K
    MatrixIn<Storage, Values, Tokens> value;     ///< W_V
    MatrixIn<Storage, Dynamic, Tokens> control;  ///< W; absent with rank 1

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"key"}, self.key...);
      visitor(Name{"value"}, self.value...);
      if constexpr (Rank > 1) visitor(Name{"control"}, self.control...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  using State = typename Window::template State<T>;

  template <class T>
  struct Workspace {
    Array<T, Keys, Rank> left;     ///< k_t, z_t
    Array<T, Values, Rank> right;  ///< v_t, 0
  };

  template <class Storage>
  Weights<Storage> weights() const {
    const Index n = window_.features();
    return {zeros_in<Storage, Keys, Tokens>(row_count(), n), zeros_in<Storage, Values, Tokens>(col_count(), n),
            zeros_in<Storage, Dynamic, Tokens>(controls_, n)};
  }
  template <class T>
  State<T> initial_state() const {
    return window_.template initial_state<T>();
  }
  template <class T>
  Workspace<T> workspace() const {
    return {{row_count(), Rank}, {col_count(), Rank}};
  }

  /// W_K and W_V by LeCun's law, W = 0.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_map(p.key, stream);
    detail::draw_map(p.value, stream);
  }

  /// One token's factors.
  template <class P, class S>
  Factors<const S, Keys, Values, Rank> step(const Coefficients<P>& c, View<const S, Tokens, 1> token,
                                            Workspace<S>& ws) const {
    kernels::multiply(c.key.view(), token, ws.left.view().column(0));
    kernels::multiply(c.value.view(), token, ws.right.view().column(0));
    if constexpr (Rank > 1)
      kernels::multiply(c.control.view(), token, View<S, Dynamic, 1>(ws.left.view().column(1).data(), controls_, 1));
    return {ws.left.view(), ws.right.view()};
  }

  /// VJP of `step`, of y = W h for each map: W_bar += y_bar h^T, and, unless `token_bar` is absent, h_bar += W^T y_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<const S, Keys, Rank> left_bar,
                View<const S, Values, Rank> right_bar, Coefficients<S>& c_bar, View<S, Tokens, 1> token_bar) const {
    kernels::multiply_vjp(c.key, token, left_bar.column(0), c_bar.key, token_bar);
    kernels::multiply_vjp(c.value, token, right_bar.column(0), c_bar.value, token_bar);
    if constexpr (Rank > 1)
      kernels::multiply_vjp(c.control, token, View<const S, Dynamic, 1>(left_bar.column(1).data(), controls_, 1),
                            c_bar.control, token_bar);
  }

 private:
  Window window_;
  [[no_unique_address]] detail::Extent<Keys> keys_;
  [[no_unique_address]] detail::Extent<Values> values_;
  Index controls_;
};

}  // namespace gdssm
