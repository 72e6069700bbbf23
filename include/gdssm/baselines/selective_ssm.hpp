// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/diagonal_scan.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/initial_laws.hpp"

namespace gdssm {

/// The selective state-space model of Mamba (S6). Each channel has a state of n numbers, and the token controls the
/// step size, the input and the output of the state:
///     u_t = silu(W_u h_t),   Delta_t = softplus(W_D u_t + b),   b_t = W_B u_t,   c_t = W_C u_t,
///     s_t,ij = exp(-exp(l_ij) Delta_ti) s_{t-1},ij + Delta_ti u_ti b_tj,   s_0 = 0,
///     y_ti = sum_j s_t,ij c_tj + D_i u_ti,   layer(H)_t = W_O (y_t * silu(W_g h_t))                (B12)
/// Windows take the place of Mamba's short convolution.
/// Shapes  W_u, W_g (channels x width), W_D (channels x channels), b, D (channels), W_B, W_C (n x channels),
///         l, s (channels x n), W_O (width x channels)
/// Source  Gu, Dao, arXiv:2312.00752; without normalisation        VJP  `columns_vjp`
class SelectiveSsm : public PlainBlock<SelectiveSsm> {
 public:
  SelectiveSsm(Index width, Index channels, Index states)
      : width_(detail::expect_size("SelectiveSsmLayer", "width", width)),
        channels_(detail::expect_size("SelectiveSsmLayer", "number of channels", channels)),
        states_(detail::expect_size("SelectiveSsmLayer", "number of states", states)) {}
  Index width() const { return width_; }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> input, gate;        ///< W_u, W_g
    MatrixIn<Storage> step, step_bias;    ///< W_D, b
    MatrixIn<Storage> into, out_of;       ///< W_B, W_C
    MatrixIn<Storage> log_decay, direct;  ///< l^T (n x channels), D
    MatrixIn<Storage> output;             ///< W_O

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"input"}, self.input...);
      visitor(Name{"gate"}, self.gate...);
      visitor(Name{"step"}, self.step...);
      visitor(Name{"step_bias"}, self.step_bias...);
      visitor(Name{"into"}, self.into...);
      visitor(Name{"out_of"}, self.out_of...);
      visitor(Name{"log_decay"}, self.log_decay...);
      visitor(Name{"direct"}, self.direct...);
      visitor(Name{"output"}, self.output...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage>(channels_, width_),    zeros_in<Storage>(channels_, width_),
            zeros_in<Storage>(channels_, channels_), zeros_in<Storage>(channels_, 1),
            zeros_in<Storage>(states_, channels_),   zeros_in<Storage>(states_, channels_),
            zeros_in<Storage>(states_, channels_),   zeros_in<Storage>(channels_, 1),
            zeros_in<Storage>(width_, channels_)};
  }

  template <class T>
  using State = detail::ScanState<T>;  ///< s_t, entry (i, j) at row j + i n (n channels x 1)
  template <class T>
  State<T> initial_state() const {
    return {Array<T>(states_ * channels_, 1)};
  }

  template <class T>
  struct History {
    Array<T> raw, u, step, Delta, gate, z, y, out;    ///< (channels x T): W_u h, its silu, W_D u + b, its softplus, ...
    Array<T> into, out_of;                            ///< b_t, c_t (n x T)
    Array<T> rates, first;                            ///< -exp(l)^T, s_0 (n channels x 1)
    Array<T> decays, states, decays_bar, states_bar;  ///< as the state is laid out (n channels x T)
    Array<T> u_bar, Delta_bar, gate_bar, out_bar, into_bar, out_of_bar;  ///< of the sizes above
  };
  template <class T>
  History<T> history(Index length) const {
    const Array<T> row(channels_, length), states(states_, length), memory(states_ * channels_, 1),
        memories(states_ * channels_, length);
    return {row,    row,      row,      row,      row,      row, row, row, states, states, memory,
            memory, memories, memories, memories, memories, row, row, row, row,    states, states};
  }

  template <class P, class S>
  void columns(const Coefficients<P>& c, View<const S> X, const S* mask, State<S>& state, View<S> Y,
               History<S>& h) const {
    using std::exp;
    const Index T = X.cols(), n = states_, m = channels_;
    h.first = state.memory;
    detail::map(T, c.input, X, h.raw);
    detail::map(T, c.gate, X, h.gate);
    for (Index i = 0; i < m * T; ++i) {
      h.u[i] = silu(h.raw[i]);
      h.z[i] = silu(h.gate[i]);
    }
    detail::affine(T, c.step, c.step_bias, h.u, h.step);
    detail::map(T, c.into, h.u, h.into);
    detail::map(T, c.out_of, h.u, h.out_of);
    for (Index e = 0; e < n * m; ++e) h.rates[e] = S(-exp(P(c.log_decay[e])));
    for (Index t = 0; t < T; ++t)
      for (Index i = 0; i < m; ++i) {
        h.Delta(i, t) = softplus(h.step(i, t));
        const S pushed = h.Delta(i, t) * h.u(i, t);
        for (Index j = 0; j < n; ++j) {
          h.decays(j + i * n, t) = exp(h.rates[j + i * n] * h.Delta(i, t));
          h.states(j + i * n, t) = h.into(j, t) * pushed;
        }
      }
    detail::scan(detail::first(h.states, T), mask, state.memory, [&](Index e, Index t) { return h.decays(e, t); });
    for (Index t = 0; t < T; ++t)
      for (Index i = 0; i < m; ++i) {
        S y = S(c.direct[i]) * h.u(i, t);
        for (Index j = 0; j < n; ++j) y = multiply_add(h.states(j + i * n, t), h.out_of(j, t), y);
        h.y(i, t) = y;
        h.out(i, t) = y * h.z(i, t);
      }
    detail::map(T, c.output, h.out, Y);
  }

  /// From out = y * silu(g):  y_bar = silu(g) out_bar,  g_bar = silu'(g) y out_bar;  from y_t = s_t c_t + D u_t:
  /// s_bar = y_bar c^T. With R the cotangent of s_t's input Delta u b^T, L the decay and r = -exp(l) the rates:
  /// b_bar_j = sum_i R_ij Delta_i u_i,  L_bar = R * s_{t-1},  Delta_bar_i = sum_j (L_bar_ij L_ij r_ij + R_ij u_i b_j),
  /// l_bar_ij += L_bar_ij L_ij r_ij Delta_i.
  template <class P, class S>
  void columns_vjp(const Coefficients<P>& c, View<const S> X, const S* mask, View<const S> Y_bar, State<S>& state_bar,
                   View<S> X_bar, Coefficients<S>& c_bar, History<S>& h) const {
    const Index T = X.cols(), n = states_, m = channels_;
    for (Array<S>* const bar : {&h.out_bar, &h.out_of_bar, &h.into_bar}) bar->fill(S(0));
    detail::map_vjp(T, c.output, h.out, Y_bar, c_bar.output, h.out_bar);
    for (Index t = 0; t < T; ++t)
      for (Index i = 0; i < m; ++i) {
        const S y_bar = h.z(i, t) * h.out_bar(i, t);
        h.gate_bar(i, t) = silu_derivative(h.gate(i, t)) * h.y(i, t) * h.out_bar(i, t);
        c_bar.direct[i] = multiply_add(y_bar, h.u(i, t), c_bar.direct[i]);
        h.u_bar(i, t) = S(c.direct[i]) * y_bar;
        for (Index j = 0; j < n; ++j) {
          h.out_of_bar(j, t) = multiply_add(h.states(j + i * n, t), y_bar, h.out_of_bar(j, t));
          h.states_bar(j + i * n, t) = y_bar * h.out_of(j, t);
        }
      }
    detail::scan_vjp(
        detail::first(h.states, T).as_const(), h.first, mask, detail::first(h.states_bar, T), state_bar.memory,
        [&](Index e, Index t) { return h.decays(e, t); },
        [&](Index e, Index t, const S& R, const S& before) { h.decays_bar(e, t) = R * before; });
    for (Index t = 0; t < T; ++t)
      for (Index i = 0; i < m; ++i) {
        const S pushed = h.Delta(i, t) * h.u(i, t);
        S pushed_bar = S(0), Delta_bar = S(0);
        for (Index j = 0; j < n; ++j) {
          const Index e = j + i * n;
          const S R = h.states_bar(e, t), slope = h.decays_bar(e, t) * h.decays(e, t) * h.rates[e];
          pushed_bar = multiply_add(R, h.into(j, t), pushed_bar);
          h.into_bar(j, t) = multiply_add(R, pushed, h.into_bar(j, t));
          Delta_bar += slope;
          c_bar.log_decay[e] = multiply_add(slope, h.Delta(i, t), c_bar.log_decay[e]);
        }
        h.u_bar(i, t) = multiply_add(h.Delta(i, t), pushed_bar, h.u_bar(i, t));
        h.Delta_bar(i, t) = multiply_add(h.u(i, t), pushed_bar, Delta_bar) * logistic(h.step(i, t));
      }
    detail::affine_vjp(T, c.step, h.u, h.Delta_bar, c_bar.step, c_bar.step_bias, h.u_bar);
    detail::map_vjp(T, c.into, h.u, h.into_bar, c_bar.into, h.u_bar);
    detail::map_vjp(T, c.out_of, h.u, h.out_of_bar, c_bar.out_of, h.u_bar);
    for (Index i = 0; i < m * T; ++i) h.u_bar[i] = h.u_bar[i] * silu_derivative(h.raw[i]);
    detail::map_vjp(T, c.input, X, h.u_bar, c_bar.input, X_bar);
    detail::map_vjp(T, c.gate, X, h.gate_bar, c_bar.gate, X_bar);
  }

  /// Mamba's initial values: rates -1, ..., -n in every channel, softplus(b) ~ exp U(log 0.001, log 0.1), D = 1; maps
  /// by LeCun's law, W_O zero.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    for (auto* const W : {&p.input, &p.gate, &p.step, &p.into, &p.out_of}) detail::draw_map(*W, stream);
    detail::draw_entries(p.step_bias,
                         [&] { return detail::inverse_softplus(std::exp(detail::draw_log_step(stream))); });
    for (Index j = 0; j < states_; ++j) p.log_decay.row(j).setConstant(static_cast<T>(std::log(double(j + 1))));
    p.direct.setOnes();
  }

 private:
  Index width_, channels_, states_;
};

/// (B12) as a layer.
using SelectiveSsmLayer = ColumnLayer<SelectiveSsm>;

}  // namespace gdssm
