// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>

#include "gdssm/blocks/affine_summary.hpp"
#include "gdssm/blocks/discretization.hpp"
#include "gdssm/blocks/factors.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/tiled_kernels.hpp"

namespace gdssm {

namespace detail {

/// Calls advance(target). With a mask, only lanes in which it is not zero change; `moved` holds the result meanwhile.
template <class S, Index Rows, Index Cols, class Advance>
void advance_where(const S* mask, View<S, Rows, Cols> target, View<S, Rows, Cols> moved, Advance&& advance) {
  if (!mask) return advance(target);
  copy(View<const S, Rows, Cols>(target), moved);
  advance(moved);
  for (Index i = 0; i < target.size(); ++i) target[i] = select(*mask, moved[i], target[i]);
}

}  // namespace detail

/// The diagonal recurrence, with the elementwise product *:
///     Z_t = L * Z_{t-1} + G_t,   Z_0 given or zero                                                 (2)
/// with L from (Lambda, log_step) by `Discretization`: `ZeroOrderHold` (5), `Bilinear` (6) or `GivenDecay`;
/// Delta_j = exp(log_step_j), one step size for each column j.
/// Shapes  Lambda (Rows x Cols), log_step (Cols), Z (Rows x Cols). The state is held as Z^T (Cols x Rows): in closed
///         form that is minus the gradient, and u = Z^T o runs down contiguous columns.
/// Source  arXiv:2410.11687v1; Lambda is the reference's `Lambda_re`        VJP  `step_vjp`
template <Index Rows = Dynamic, Index Cols = Rows, class Discretization = ZeroOrderHold>
class DiagonalRecurrence {
  static_assert(Rows == Dynamic || Rows > 0, "DiagonalRecurrence: the rows must be a positive number or Dynamic");
  static_assert(Cols == Dynamic || Cols > 0, "DiagonalRecurrence: the columns must be a positive number or Dynamic");

 public:
  static constexpr Index rows = Rows;
  static constexpr Index cols = Cols;

  DiagonalRecurrence() requires(Rows != Dynamic && Cols != Dynamic) : DiagonalRecurrence(Rows, Cols) {}
  explicit DiagonalRecurrence(Index size) : DiagonalRecurrence(size, size) {}
  DiagonalRecurrence(Index row_count, Index col_count)
      : rows_(detail::fixed_or<Rows>(row_count)), cols_(detail::fixed_or<Cols>(col_count)) {
    if (row_count <= 0 || col_count <= 0)
      refuse("DiagonalRecurrence", "the state is ", row_count, " x ", col_count, ", expected at least 1 x 1");
    if (Rows != Dynamic) expect_equal("DiagonalRecurrence", "the number of rows", row_count, Rows);
    if (Cols != Dynamic) expect_equal("DiagonalRecurrence", "the number of columns", col_count, Cols);
  }

  Index row_count() const { return rows_.value(); }
  Index col_count() const { return cols_.value(); }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Rows, Cols> Lambda;                                ///< continuous decay (Rows x Cols)
    MatrixIn<Storage, Discretization::has_step ? Cols : 0, 1> log_step;  ///< log Delta_j (Cols); GivenDecay has none

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda"}, self.Lambda...);
      if constexpr (Discretization::has_step) visitor(Name{"log_step"}, self.log_step...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;

  template <class T>
  struct Coefficients {
    Array<T, Cols, Rows> decay;  ///< L^T, in the state's layout

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"decay"}, self.decay...);
    }
  };

  /// Z_t as a value, and the number of windows that each lane has absorbed; merging needs no more.
  template <class T>
  struct State {
    Array<T, Cols, Rows> memory;  ///< Z_t^T
    std::array<Index, static_cast<std::size_t>(lane_count<T>)>
        windows{};  ///< absorbed by each lane, without masked ones

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
    }
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      constexpr Index lanes = lane_count<T>;
      for (Index i = 0; i < lanes; ++i)
        visitor(Name{"windows", nullptr, 0, lanes > 1 ? i : -1}, self.windows[static_cast<std::size_t>(i)]...);
    }
    friend bool operator==(const State&, const State&) = default;
  };

  template <class T>
  struct Workspace {
    Array<T, Cols, Rows> moved;  ///< the next state under a mask, before lanes select
  };

  template <class T>
  Parameters<T> parameters() const {
    Parameters<T> p;
    p.Lambda = zeros_in<InMatrices<T>, Rows, Cols>(row_count(), col_count());
    if constexpr (Discretization::has_step) p.log_step = zeros_in<InMatrices<T>, Cols, 1>(col_count(), 1);
    return p;
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T, Cols, Rows>(col_count(), row_count())};
  }
  template <class T>
  State<T> initial_state() const {
    return {Array<T, Cols, Rows>(col_count(), row_count())};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {Array<T, Cols, Rows>(col_count(), row_count())};
  }

  /// Z = 0, nothing absorbed; the result equals `initial_state`.
  template <class T>
  void restart(State<T>& state) const {
    state.memory.fill(T(0));
    state.windows = {};
  }

  /// The reference's initial values: Lambda = -1/2, and for each column log_step ~ U(log 0.001, log 0.1). A
  /// `GivenDecay` starts at exp(-Delta / 2) with Delta from the same law.
  template <class P>
  void draw(Parameters<P>& p, RandomStream<>& stream) const {
    const auto log_step = [&] { return detail::draw_log_step(stream); };
    if constexpr (Discretization::has_step) {
      detail::draw_entries(p.Lambda, [] { return -0.5; });
      detail::draw_entries(p.log_step, log_step);
    } else {
      for (Index j = 0; j < p.Lambda.cols(); ++j) p.Lambda.col(j).setConstant(P(std::exp(-0.5 * std::exp(log_step()))));
    }
  }
  /// In the closed form (7) L = 1 for any step size: Lambda = 0, or 1 where Lambda is the decay itself.
  template <class P>
  void construct(Parameters<P>& p, const P&) const {
    p.Lambda.setConstant(P(Discretization::has_step ? 0 : 1));
  }

  /// Parameters -> decay, once an update.        Errors  std::invalid_argument: those of other sizes
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    using std::exp;
    expect_sizes("DiagonalRecurrence::prepare", p, c);
    for (Index j = 0; j < col_count(); ++j) {
      if constexpr (Discretization::has_step) {
        const P Delta = exp(p.log_step[j]);
        for (Index i = 0; i < row_count(); ++i) c.decay(j, i) = Discretization::decay(P(p.Lambda(i, j)), Delta);
      } else {
        for (Index i = 0; i < row_count(); ++i) c.decay(j, i) = p.Lambda(i, j);
      }
    }
  }

  /// Pulls a decay's cotangent back through `prepare`, by the derivatives beside (5) and (6), with
  /// dDelta_j / dlog_step_j = Delta_j summed over the column; adds to `p_bar`.
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    using std::exp;
    expect_sizes("DiagonalRecurrence::prepare_vjp", p, c);
    expect_sizes("DiagonalRecurrence::prepare_vjp", p_bar, c_bar);
    for (Index j = 0; j < col_count(); ++j) {
      if constexpr (Discretization::has_step) {
        const P Delta = exp(p.log_step[j]);
        P Delta_bar = P(0);
        for (Index i = 0; i < row_count(); ++i) {
          const P L = c.decay(j, i), Lambda = p.Lambda(i, j), L_bar = c_bar.decay(j, i);
          p_bar.Lambda(i, j) += L_bar * Discretization::decay_by_Lambda(L, Lambda, Delta);
          Delta_bar += L_bar * Discretization::decay_by_Delta(L, Lambda, Delta);
        }
        p_bar.log_step[j] += Delta_bar * Delta;
      } else {
        for (Index i = 0; i < row_count(); ++i) p_bar.Lambda(i, j) += c_bar.decay(j, i);
      }
    }
  }

  /// One step of (2). Lanes in which `mask` is zero keep their state, as if L = 1 and G = 0. Null: all lanes.
  template <class P, class S, Index Rank>
  void step(const Coefficients<P>& c, const Factors<const S, Rows, Cols, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    detail::advance_where(mask, state.memory.view(), ws.moved.view(), [&](View<S, Cols, Rows> memory) {
      kernels::decayed_outer_sum(c.decay.view(), G.left, G.right, memory);
    });
    for (std::size_t i = 0; i < state.windows.size(); ++i)
      state.windows[i] += !mask || lane(*mask, static_cast<Index>(i)) != LaneScalar<S>(0);
  }

  /// `sensitivity_step` and `step` for a run of windows, tiled; gives the same bits.
  /// Shapes  lefts: column a + t stride is left_ta (Rows); rights (Cols x Rank n); sensitivity Y^T, or absent
  template <Index Rank, class P, class S>
  void run(const Coefficients<P>& c, View<const S, Rows> lefts, Index stride, View<const S, Cols> rights,
           State<S>& state, View<S, Cols, Rows> sensitivity, kernels::ScanStart start) const {
    kernels::decayed_outer_scan<Rank>(c.decay.view(), lefts, stride, rights, state.memory.view(), sensitivity, start);
    for (Index& windows : state.windows) windows += rights.cols() / Rank;
  }

  /// VJP of `run` for the right factors, where the loss is after the last run and its cotangent is v o^T there:
  /// right_bar_ta = v * (L^k (o * left_ta)), with k windows after t.
  /// Shapes  powers (Cols x Rows n) L^(n-1+after), ..., L^after, in the state's layout; gated: column a + t stride is
  ///         o * left_ta (Rows); v (Cols); rights_bar (Cols x Rank n), overwritten; `after`: windows after the run
  template <Index Rank, class P, class S>
  void run_vjp(View<const P, Cols> powers, Index after, View<const S, Rows> gated, Index stride,
               View<const S, Cols, 1> v, View<S, Cols> rights_bar) const {
    kernels::decayed_outer_pull<Rank>(powers, gated, stride, v, rights_bar, after == 0);
  }

  /// VJP of `step`: turns `memory_bar` from the cotangent of Z_t^T into that of Z_{t-1}^T, sets `G_bar` (left_bar only
  /// if present) and, if `before` = Z_{t-1}^T is present, L_bar += R_t * Z_{t-1}.
  template <class P, class S, Index Rank>
  void step_vjp(const Coefficients<P>& c, const Factors<const S, Rows, Cols, Rank>& G, const S* mask,
                View<const S, Cols, Rows> before, View<S, Cols, Rows> memory_bar, Coefficients<S>& c_bar,
                const Factors<S, Rows, Cols, Rank>& G_bar, Workspace<S>& ws) const {
    const auto decay_bar = before.present() ? c_bar.decay.view() : View<S, Cols, Rows>::absent();
    if (!mask) {
      kernels::decayed_outer_sum_vjp(c.decay.view(), G.left, G.right, before, memory_bar, decay_bar, G_bar.left,
                                     G_bar.right);
      return;
    }
    for (Index i = 0; i < memory_bar.size(); ++i) ws.moved[i] = select(*mask, memory_bar[i], S(0));
    kernels::decayed_outer_sum_vjp(c.decay.view(), G.left, G.right, before, ws.moved.view(), decay_bar, G_bar.left,
                                   G_bar.right);
    for (Index i = 0; i < memory_bar.size(); ++i) memory_bar[i] = select(*mask, ws.moved[i], memory_bar[i]);
  }

  /// One step of the sensitivity Y_t = L * Y_{t-1} + Z_{t-1} of (12); call it before `step`.
  template <class P, class S>
  void sensitivity_step(const Coefficients<P>& c, const State<S>& state, const S* mask, View<S, Cols, Rows> sensitivity,
                        Workspace<S>& ws) const {
    detail::advance_where(mask, sensitivity, ws.moved.view(), [&](View<S, Cols, Rows> Y) {
      kernels::decayed_sum(c.decay.view(), View<const S, Cols, Rows>(state.memory.view()), Y);
    });
  }

  /// The state after the windows of `first` and then of `second`, which began at zero: Z = L^n Z_first + Z_second,
  /// where n is the number of windows that `second` absorbed.
  template <class P, class S>
  State<S> merge(const Coefficients<P>& c, const State<S>& first, const State<S>& second) const {
    EntryFactors<S, Cols, Rows> decays(col_count(), row_count());
    State<S> both = second;
    for (std::size_t k = 0; k < both.windows.size(); ++k) {
      both.windows[k] += first.windows[k];
      for (Index e = 0; e < decays.factors.size(); ++e)
        set_lane(decays.factors[e], static_cast<Index>(k), power(c.decay[e], second.windows[k]));
    }
    return AffineSummary<EntryFactors<S, Cols, Rows>, State<S>>{decays, both}(first);
  }

 private:
  template <class P>
  void expect_sizes(const char* where, const Parameters<P>& p, const Coefficients<P>& c) const {
    detail::expect_extents(where, Name{"Lambda"}, p.Lambda, row_count(), col_count());
    if constexpr (Discretization::has_step) detail::expect_extents(where, Name{"log_step"}, p.log_step, col_count(), 1);
    detail::expect_extents(where, Name{"decay"}, c.decay, col_count(), row_count());
  }

  template <class P>
  static P power(P base, Index exponent) {
    P result = P(1);
    for (; exponent > 0; exponent /= 2, base = base * base)
      if (exponent % 2 == 1) result = result * base;
    return result;
  }

  [[no_unique_address]] detail::Extent<Rows> rows_;
  [[no_unique_address]] detail::Extent<Cols> cols_;
};

}  // namespace gdssm
