// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>

#include "gdssm/blocks/diagonal_recurrence.hpp"
#include "gdssm/blocks/factors.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm {

/// The diagonal recurrence whose decay depends on what it absorbs, with a step size for each column and window:
///     Z_t = L_t * Z_{t-1} + G_t,   L_t,ij = exp(Lambda_ij Delta_tj),
///     Delta_t = softplus(b + W vec(left_t)),                                                      (2a)
/// where left_t is the left factor of G_t, with local attention the window's tokens. W = 0 is `DiagonalRecurrence` with
/// (5) and the step sizes softplus(b).
/// Shapes  Lambda (Rows x Cols), b (Cols), W (Cols x Rows Rank), left_t (Rows x Rank), Z (Rows x Cols), held as Z^T
/// Source  Gu, Dao, arXiv:2312.00752 (the selective step size)        VJP  `step_vjp`; gradients need the history
///         (`StoredHistory`), since (12) requires the same decays in every window
template <Index Rows = Dynamic, Index Cols = Rows, Index Rank = 3>
class SelectiveRecurrence {
  static_assert(Rows == Dynamic || Rows > 0, "SelectiveRecurrence: the rows must be a positive number or Dynamic");
  static_assert(Cols == Dynamic || Cols > 0, "SelectiveRecurrence: the columns must be a positive number or Dynamic");
  static_assert(Rank > 0, "SelectiveRecurrence: the rank must be positive");
  static constexpr Index seen = Rows == Dynamic ? Dynamic : Rows * Rank;

 public:
  static constexpr Index rows = Rows;
  static constexpr Index cols = Cols;
  static constexpr Index rank = Rank;  ///< of the factors that it takes

  SelectiveRecurrence() requires(Rows != Dynamic && Cols != Dynamic) : SelectiveRecurrence(Rows, Cols) {}
  explicit SelectiveRecurrence(Index size) : SelectiveRecurrence(size, size) {}
  SelectiveRecurrence(Index row_count, Index col_count)
      : rows_(detail::fixed_or<Rows>(row_count)), cols_(detail::fixed_or<Cols>(col_count)) {
    if (row_count <= 0 || col_count <= 0)
      refuse("SelectiveRecurrence", "the state is ", row_count, " x ", col_count, ", expected at least 1 x 1");
    if (Rows != Dynamic) expect_equal("SelectiveRecurrence", "the number of rows", row_count, Rows);
    if (Cols != Dynamic) expect_equal("SelectiveRecurrence", "the number of columns", col_count, Cols);
  }

  Index row_count() const { return rows_.value(); }
  Index col_count() const { return cols_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Rows, Cols> Lambda;       ///< continuous decay (Rows x Cols)
    MatrixIn<Storage, Cols, 1> step_bias;       ///< b (Cols)
    MatrixIn<Storage, Cols, seen> step_weight;  ///< W (Cols x Rows Rank)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda"}, self.Lambda...);
      visitor(Name{"step_bias"}, self.step_bias...);
      visitor(Name{"step_weight"}, self.step_weight...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  struct Coefficients {
    Array<T, Cols, Rows> Lambda;  ///< Lambda^T, in the state's layout
    Array<T, Cols, 1> step_bias;
    Array<T, Cols, seen> step_weight;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda"}, self.Lambda...);
      visitor(Name{"step_bias"}, self.step_bias...);
      visitor(Name{"step_weight"}, self.step_weight...);
    }
  };

  /// Z_t as a value, and the product of the decays of all windows absorbed; merging needs no more.
  template <class T>
  struct State {
    Array<T, Cols, Rows> memory;    ///< Z_t^T
    Array<T, Cols, Rows> retained;  ///< (L_1 * ... * L_t)^T

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"retained"}, self.retained...);
    }
    friend bool operator==(const State&, const State&) = default;
  };

  template <class T>
  struct Workspace {
    Array<T, Cols, 1> raw, Delta, raw_bar;  ///< b + W vec(left), its softplus, its cotangent
    Array<T, Cols, Rows> decay, decay_bar;  ///< L_t^T and its cotangent
    Array<T, Cols, Rows> moved;             ///< the next state under a mask, before lanes select
  };

  template <class T>
  Parameters<T> parameters() const {
    return {zeros_in<InMatrices<T>, Rows, Cols>(row_count(), col_count()),
            zeros_in<InMatrices<T>, Cols, 1>(col_count(), 1),
            zeros_in<InMatrices<T>, Cols, seen>(col_count(), row_count() * Rank)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Cols, Rows>(col_count(), row_count()), Array<T, Cols, 1>(col_count(), 1),
            Array<T, Cols, seen>(col_count(), row_count() * Rank)};
  }
  template <class T>
  State<T> initial_state() const {
    State<T> state{Array<T, Cols, Rows>(col_count(), row_count()), Array<T, Cols, Rows>(col_count(), row_count())};
    restart(state);
    return state;
  }
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Cols, 1> column(col_count(), 1);
    const Array<T, Cols, Rows> whole(col_count(), row_count());
    return {column, column, column, whole, whole, whole};
  }

  /// Z = 0, nothing absorbed; the result equals `initial_state`.
  template <class T>
  void restart(State<T>& state) const {
    state.memory.fill(T(0));
    state.retained.fill(T(1));
  }

  /// Initial values as in `DiagonalRecurrence`, the same for every token: Lambda = -1/2, b = softplus^-1(Delta), W = 0.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    detail::draw_entries(p.Lambda, [] { return -0.5; });
    detail::draw_entries(p.step_bias,
                         [&] { return detail::inverse_softplus(std::exp(detail::draw_log_step(stream))); });
  }
  /// In the closed form (7) L = 1: Lambda = 0.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    p.Lambda.setConstant(P(0));
  }

  /// Parameters -> coefficients, once an update.        Errors  std::invalid_argument: those of other sizes
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    expect_sizes("SelectiveRecurrence::prepare", p, c);
    c.Lambda.matrix() = p.Lambda.transpose();
    c.step_bias.matrix() = p.step_bias;
    c.step_weight.matrix() = p.step_weight;
  }
  template <class P>
  void prepare_vjp(const Parameters<P>&, const Coefficients<P>&, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    expect_sizes("SelectiveRecurrence::prepare_vjp", p_bar, c_bar);
    p_bar.Lambda += c_bar.Lambda.matrix().transpose();
    p_bar.step_bias += c_bar.step_bias.matrix();
    p_bar.step_weight += c_bar.step_weight.matrix();
  }

  /// One step of (2a). Lanes in which `mask` is zero keep their state, as if L = 1 and G = 0. Null: all lanes.
  template <class P, class S>
  void step(const Coefficients<P>& c, const Factors<const S, Rows, Cols, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    select_decay(c, G.left, ws);
    const View<const S, Cols, Rows> L = ws.decay.view();
    detail::advance_where(mask, state.memory.view(), ws.moved.view(),
                          [&](View<S, Cols, Rows> memory) { kernels::decayed_outer_sum(L, G.left, G.right, memory); });
    for (Index e = 0; e < L.size(); ++e) {
      const S less = L[e] * state.retained[e];
      state.retained[e] = mask ? select(*mask, less, state.retained[e]) : less;
    }
  }

  /// VJP of `step`. Requires `before` = Z_{t-1}^T. Turns `memory_bar` from the cotangent of Z_t^T into that of
  /// Z_{t-1}^T and sets `G_bar` (left_bar only if present). With R_t the cotangent of Z_t,
  ///     L_bar = R_t * Z_{t-1},   Lambda_bar_ij += L_bar_ij L_ij Delta_j,   Delta_bar_j = sum_i L_bar_ij L_ij
  ///     Lambda_ij,
  /// and with z = b + W vec(left), Delta = softplus(z):  z_bar = Delta_bar * logistic(z),
  ///     b_bar += z_bar,   W_bar += z_bar vec(left)^T,   vec(left_bar) += W^T z_bar.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, const Factors<const S, Rows, Cols, Rank>& G, const S* mask,
                View<const S, Cols, Rows> before, View<S, Cols, Rows> memory_bar, Coefficients<S>& c_bar,
                const Factors<S, Rows, Cols, Rank>& G_bar, Workspace<S>& ws) const {
    assert(before.present());
    select_decay(c, G.left, ws);
    const View<const S, Cols, Rows> L = ws.decay.view();
    const View<S, Cols, Rows> R = mask ? ws.moved.view() : memory_bar;
    if (mask)
      for (Index e = 0; e < R.size(); ++e) R[e] = select(*mask, memory_bar[e], S(0));
    ws.decay_bar.fill(S(0));
    kernels::decayed_outer_sum_vjp(L, G.left, G.right, before, R, ws.decay_bar.view(), G_bar.left, G_bar.right);
    if (mask)
      for (Index e = 0; e < R.size(); ++e) memory_bar[e] = select(*mask, R[e], memory_bar[e]);

    for (Index j = 0; j < col_count(); ++j) {
      S Delta_bar = S(0);
      for (Index i = 0; i < row_count(); ++i) {
        const S slope = ws.decay_bar(j, i) * L(j, i);
        c_bar.Lambda(j, i) = multiply_add(slope, ws.Delta[j], c_bar.Lambda(j, i));
        Delta_bar = multiply_add(slope, S(c.Lambda(j, i)), Delta_bar);
      }
      ws.raw_bar[j] = Delta_bar * logistic(ws.raw[j]);
      c_bar.step_bias[j] += ws.raw_bar[j];
    }
    const View<const S, Cols, 1> raw_bar = ws.raw_bar.view();
    kernels::multiply_vjp(c.step_weight, vec(G.left), raw_bar, c_bar.step_weight, vec(G_bar.left));
  }

  /// The state after the windows of `first` and then of `second`, which began at zero: Z = (product of second's
  /// decays) * Z_first + Z_second.
  template <class P, class S>
  State<S> merge(const Coefficients<P>&, const State<S>& first, const State<S>& second) const {
    using Factors = EntryFactors<S, Cols, Rows>;
    const AffineSummary<Factors, State<S>> before{Factors(first.retained), first},
        after{Factors(second.retained), second};
    const auto both = before.then(after);
    State<S> whole = both.offset;
    whole.retained = both.factor.factors;
    return whole;
  }

 private:
  template <class P>
  void expect_sizes(const char* where, const Parameters<P>& p, const Coefficients<P>& c) const {
    visit([&](const Name& name, const auto& expected,
              const auto& matrix) { detail::expect_extents(where, name, matrix, expected.rows(), expected.cols()); },
          Weights<InShapes>{{row_count(), col_count()}, {col_count(), 1}, {col_count(), row_count() * Rank}}, p);
    detail::expect_extents(where, Name{"Lambda"}, c.Lambda, col_count(), row_count());
    detail::expect_extents(where, Name{"step_bias"}, c.step_bias, col_count(), 1);
    detail::expect_extents(where, Name{"step_weight"}, c.step_weight, col_count(), row_count() * Rank);
  }

  template <class T>
  static View<T, seen, 1> vec(View<T, Rows, Rank> left) {
    return {left.data(), left.size(), 1};
  }

  /// Computes L_t and its intermediate values in the workspace.
  template <class P, class S>
  void select_decay(const Coefficients<P>& c, View<const S, Rows, Rank> left, Workspace<S>& ws) const {
    using std::exp;
    kernels::multiply(c.step_weight.view(), vec(left), ws.raw.view());
    for (Index j = 0; j < col_count(); ++j) {
      ws.raw[j] += S(c.step_bias[j]);
      ws.Delta[j] = softplus(ws.raw[j]);
    }
    for (Index i = 0; i < row_count(); ++i)
      for (Index j = 0; j < col_count(); ++j) ws.decay(j, i) = exp(S(c.Lambda(j, i)) * ws.Delta[j]);
  }

  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Cols> cols_;
};

}  // namespace gdssm
