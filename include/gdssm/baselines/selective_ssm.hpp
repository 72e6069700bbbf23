// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// The selective state-space model of Mamba (S6). Each channel has a state of n numbers, and the token controls the
/// step size, the input and the output of the state:
///     u_t = silu(W_u h_t),   Delta_t = softplus(W_D u_t + b),   b_t = W_B u_t,   c_t = W_C u_t,
///     s_t,ij = exp(-exp(l_ij) Delta_ti) s_{t-1},ij + Delta_ti u_ti b_tj,   s_0 = 0,
///     y_ti = sum_j s_t,ij c_tj + D_i u_ti,   layer(H)_t = W_O (y_t * silu(W_g h_t))                (B12)
/// The kernel is that of (2), with a selective decay. Windows take the place of Mamba's short convolution.
/// Shapes  W_u, W_g (channels x width), W_D (channels x channels), b, D (channels), W_B, W_C (n x channels),
///         l, s (channels x n), W_O (width x channels)
/// Source  Gu, Dao, arXiv:2312.00752; without normalisation        VJP  `vjp`
class SelectiveSsmLayer : public PlainBlock<SelectiveSsmLayer> {
 public:
  SelectiveSsmLayer(Index width, Index channels, Index states)
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
  struct Workspace {
    Array<T> raw, u, step, Delta, gate, z, y, out;  ///< (channels x T): W_u h, its silu, W_D u + b, its softplus, ...
    Array<T> into, out_of;                          ///< b_t, c_t (n x T)
    Array<T> rates;                                 ///< -exp(l)^T (n x channels)
    Array<T> decays, memories;                      ///< of every t, states transposed (n x channels T)
    Array<T> pushed, pushed_bar;                    ///< Delta_t u_t (channels x 1)
    Array<T> u_bar, Delta_bar, gate_bar, y_bar, out_bar, into_bar, out_of_bar;
    Array<T> memory_bar, decay_bar;  ///< (n x channels)
  };
  template <class T>
  Workspace<T> workspace(Index length) const {
    const Array<T> column(channels_, 1), row(channels_, length), states(states_, length), memory(states_, channels_),
        memories(states_, channels_ * length);
    return {row,      row,    row,    row, row, row, row, row, states, states, memory, memories,
            memories, column, column, row, row, row, row, row, states, states, memory, memory};
  }

  template <class P, class S>
  void forward(const Coefficients<P>& c, const Array<S>& X, Array<S>& Y, Workspace<S>& ws) const {
    using std::exp;
    const Index n = states_, m = channels_;
    detail::map(c.input, X, ws.raw);
    detail::map(c.gate, X, ws.gate);
    for (Index i = 0; i < ws.u.size(); ++i) {
      ws.u[i] = silu(ws.raw[i]);
      ws.z[i] = silu(ws.gate[i]);
    }
    detail::affine(c.step, c.step_bias, ws.u, ws.step);
    detail::map(c.into, ws.u, ws.into);
    detail::map(c.out_of, ws.u, ws.out_of);
    for (Index i = 0; i < ws.Delta.size(); ++i) ws.Delta[i] = softplus(ws.step[i]);
    for (Index i = 0; i < n * m; ++i) ws.rates[i] = S(-exp(P(c.log_decay[i])));

    for (Index t = 0; t < X.cols(); ++t) {
      const View<S> decay = ws.decays.view().columns(t * m, m), memory = ws.memories.view().columns(t * m, m);
      for (Index i = 0; i < m; ++i) {
        ws.pushed[i] = ws.Delta(i, t) * ws.u(i, t);
        for (Index j = 0; j < n; ++j) {
          decay(j, i) = exp(ws.rates(j, i) * ws.Delta(i, t));
          memory(j, i) = t > 0 ? ws.memories(j, (t - 1) * m + i) : S(0);
        }
      }
      kernels::decayed_outer_sum(View<const S>(decay), View<const S, Dynamic, 1>(ws.pushed.view()),
                                 View<const S, Dynamic, 1>(ws.into.view().column(t)), memory);
      for (Index i = 0; i < m; ++i) {
        S y = S(c.direct[i]) * ws.u(i, t);
        for (Index j = 0; j < n; ++j) y = multiply_add(memory(j, i), ws.out_of(j, t), y);
        ws.y(i, t) = y;
        ws.out(i, t) = y * ws.z(i, t);
      }
    }
    detail::map(c.output, ws.out, Y);
  }

  /// From out = y * silu(g):  y_bar = silu(g) out_bar,  g_bar = silu'(g) y out_bar. With R the cotangent of s_t,
  /// y_t = s_t c_t + D u_t gives R += y_bar c^T. The kernel's VJP gives the cotangents of Delta u, of b and of the
  /// decay L, and Delta_bar_i += sum_j L_bar_ij L_ij r_ij,  l_bar_ij += L_bar_ij L_ij r_ij Delta_i  with the rates
  /// r = -exp(l).
  template <class P, class S>
  void vjp(const Coefficients<P>& c, const Array<S>& X, const Array<S>& Y_bar, Array<S>& X_bar, Coefficients<S>& c_bar,
           Workspace<S>& ws) const {
    const Index n = states_, m = channels_;
    for (Array<S>* const bar : {&ws.out_bar, &ws.u_bar, &ws.out_of_bar, &ws.memory_bar}) bar->fill(S(0));
    detail::map_vjp(c.output, ws.out, Y_bar, c_bar.output, ws.out_bar);
    for (Index i = 0; i < ws.y.size(); ++i) {
      ws.y_bar[i] = ws.z[i] * ws.out_bar[i];
      ws.gate_bar[i] = silu_derivative(ws.gate[i]) * ws.y[i] * ws.out_bar[i];
    }
    for (Index t = X.cols() - 1; t >= 0; --t) {
      const View<const S> decay = ws.decays.view().columns(t * m, m), memory = ws.memories.view().columns(t * m, m);
      for (Index i = 0; i < m; ++i) {
        const S y_bar = ws.y_bar(i, t);
        c_bar.direct[i] = multiply_add(y_bar, ws.u(i, t), c_bar.direct[i]);
        ws.u_bar(i, t) = multiply_add(S(c.direct[i]), y_bar, ws.u_bar(i, t));
        for (Index j = 0; j < n; ++j) {
          ws.out_of_bar(j, t) = multiply_add(memory(j, i), y_bar, ws.out_of_bar(j, t));
          ws.memory_bar(j, i) = multiply_add(y_bar, ws.out_of(j, t), ws.memory_bar(j, i));
        }
        ws.pushed[i] = ws.Delta(i, t) * ws.u(i, t);
      }
      const View<const S, Dynamic, 1> pushed(ws.pushed.view()), into = ws.into.view().column(t);
      const View<const S> before =
          t > 0 ? View<const S>(ws.memories.view().columns((t - 1) * m, m)) : View<const S>::absent();
      ws.decay_bar.fill(S(0));
      kernels::decayed_outer_sum_vjp(
          decay, pushed, into, before, ws.memory_bar.view(), t > 0 ? ws.decay_bar.view() : View<S>::absent(),
          View<S, Dynamic, 1>(ws.pushed_bar.view()), View<S, Dynamic, 1>(ws.into_bar.view().column(t)));
      for (Index i = 0; i < m; ++i) {
        ws.u_bar(i, t) = multiply_add(ws.Delta(i, t), ws.pushed_bar[i], ws.u_bar(i, t));
        S Delta_bar = ws.u(i, t) * ws.pushed_bar[i];
        for (Index j = 0; j < n; ++j) {
          const S slope = ws.decay_bar(j, i) * decay(j, i) * ws.rates(j, i);
          Delta_bar += slope;
          c_bar.log_decay(j, i) = multiply_add(slope, ws.Delta(i, t), c_bar.log_decay(j, i));
        }
        ws.Delta_bar(i, t) = Delta_bar;
      }
    }
    for (Index i = 0; i < ws.Delta_bar.size(); ++i) ws.Delta_bar[i] = ws.Delta_bar[i] * logistic(ws.step[i]);
    detail::affine_vjp(c.step, ws.u, ws.Delta_bar, c_bar.step, c_bar.step_bias, ws.u_bar);
    detail::map_vjp(c.into, ws.u, ws.into_bar, c_bar.into, ws.u_bar);
    detail::map_vjp(c.out_of, ws.u, ws.out_of_bar, c_bar.out_of, ws.u_bar);
    for (Index i = 0; i < ws.u_bar.size(); ++i) ws.u_bar[i] = ws.u_bar[i] * silu_derivative(ws.raw[i]);
    detail::map_vjp(c.input, X, ws.u_bar, c_bar.input, X_bar);
    detail::map_vjp(c.gate, X, ws.gate_bar, c_bar.gate, X_bar);
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

}  // namespace gdssm
