// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/diagonal_scan.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/initial_laws.hpp"

namespace gdssm {

/// Griffin's recurrent block with the real-gated linear recurrent unit, in which the token controls how much is kept:
///     u_t = W_u h_t + b_u,   r_t = logistic(W_r u_t + b_r),   i_t = logistic(W_i u_t + b_i),
///     a_t = exp(-8 softplus(l) * r_t),   s_t = a_t * s_{t-1} + sqrt(1 - a_t^2 + 1e-6) * i_t * u_t,   s_0 = 0,
///     layer(H)_t = W_O (gelu(W_g h_t + b_g) * s_t)                                                 (B14)
/// Windows take the place of Griffin's short convolution. The term 1e-6 bounds the root's slope where a token keeps
/// everything; Griffin's code clips that slope.
/// Shapes  W_u, W_g (n x width), W_r, W_i (n x n), b_u, b_g, b_r, b_i, l, s (n), W_O (width x n)
/// Source  De et al., arXiv:2402.19427; without normalisation and multi-layer perceptrons        VJP  `columns_vjp`
class RgLru : public PlainBlock<RgLru> {
 public:
  RgLru(Index width, Index states)
      : width_(detail::expect_size("RgLruLayer", "width", width)),
        states_(detail::expect_size("RgLruLayer", "number of states", states)) {}
  Index width() const { return width_; }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> input, input_bias;                      ///< W_u, b_u
    MatrixIn<Storage> branch, branch_bias;                    ///< W_g, b_g
    MatrixIn<Storage> recurrence_gate, recurrence_gate_bias;  ///< W_r, b_r of (B14)
    MatrixIn<Storage> input_gate, input_gate_bias;            ///< W_i, b_i of (B14)
    MatrixIn<Storage> decay;                                  ///< l
    MatrixIn<Storage> output;                                 ///< W_O

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"input"}, self.input...);
      visitor(Name{"input_bias"}, self.input_bias...);
      visitor(Name{"branch"}, self.branch...);
      visitor(Name{"branch_bias"}, self.branch_bias...);
      visitor(Name{"recurrence_gate"}, self.recurrence_gate...);
      visitor(Name{"recurrence_gate_bias"}, self.recurrence_gate_bias...);
      visitor(Name{"input_gate"}, self.input_gate...);
      visitor(Name{"input_gate_bias"}, self.input_gate_bias...);
      visitor(Name{"decay"}, self.decay...);
      visitor(Name{"output"}, self.output...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    const auto zeros = [](Index rows, Index cols) { return zeros_in<Storage>(rows, cols); };
    return {zeros(states_, width_),  zeros(states_, 1),     zeros(states_, width_),  zeros(states_, 1),
            zeros(states_, states_), zeros(states_, 1),     zeros(states_, states_), zeros(states_, 1),
            zeros(states_, 1),       zeros(width_, states_)};
  }

  template <class T>
  using State = detail::ScanState<T>;  ///< s_t (n x 1)
  template <class T>
  State<T> initial_state() const {
    return {Array<T>(states_, 1)};
  }

  template <class T>
  struct History {
    Array<T> u, branch, bent, r, i, a, size, states, out;           ///< (n x T); size = sqrt(1 - a^2 + 1e-6)
    Array<T> u_bar, branch_bar, r_bar, i_bar, states_bar, out_bar;  ///< (n x T)
    Array<T> rate, rate_slope, first;                               ///< -8 softplus(l), its derivative, s_0 (n x 1)
  };
  template <class T>
  History<T> history(Index length) const {
    const Array<T> s(states_, length), column(states_, 1);
    return {s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, column, column, column};
  }

  template <class P, class S>
  void columns(const Coefficients<P>& c, View<const S> X, const S* mask, State<S>& state, View<S> Y,
               History<S>& h) const {
    using std::exp, std::sqrt;
    const Index T = X.cols();
    h.first = state.memory;
    for (Index j = 0; j < states_; ++j) {
      h.rate[j] = S(P(-8) * softplus(P(c.decay[j])));
      h.rate_slope[j] = S(P(-8) * logistic(P(c.decay[j])));
    }
    detail::affine(T, c.input, c.input_bias, X, h.u);
    detail::affine(T, c.branch, c.branch_bias, X, h.branch);
    detail::affine(T, c.recurrence_gate, c.recurrence_gate_bias, h.u, h.r);
    detail::affine(T, c.input_gate, c.input_gate_bias, h.u, h.i);
    for (Index t = 0; t < T; ++t)
      for (Index j = 0; j < states_; ++j) {
        const S r = logistic(h.r(j, t)), i = logistic(h.i(j, t)), a = exp(h.rate[j] * r);
        const S size = sqrt(multiply_add(S(-a), a, detail::constant<S>(1 + 1e-6)));
        h.r(j, t) = r;
        h.i(j, t) = i;
        h.a(j, t) = a;
        h.size(j, t) = size;
        h.states(j, t) = size * (i * h.u(j, t));
        h.bent(j, t) = gelu(h.branch(j, t));
      }
    detail::scan(detail::first(h.states, T), mask, state.memory, [&](Index j, Index t) { return h.a(j, t); });
    for (Index e = 0; e < states_ * T; ++e) h.out[e] = h.bent[e] * h.states[e];
    detail::map(T, c.output, h.out, Y);
  }

  /// With R the cotangent of s_t's input and z the root:  a_bar = R s_{t-1} - R i u a / z,  i_bar = R z u,
  /// u_bar = R z i. From a = exp(q r), q = -8 softplus(l):  r_bar = a_bar a q, q_bar += a_bar a r,
  /// l_bar = -8 logistic(l) q_bar. From a logistic g:  its argument's cotangent g_bar g (1 - g).
  template <class P, class S>
  void columns_vjp(const Coefficients<P>& c, View<const S> X, const S* mask, View<const S> Y_bar, State<S>& state_bar,
                   View<S> X_bar, Coefficients<S>& c_bar, History<S>& h) const {
    const Index T = X.cols();
    h.out_bar.fill(S(0));
    detail::map_vjp(T, c.output, h.out, Y_bar, c_bar.output, h.out_bar);
    for (Index e = 0; e < states_ * T; ++e) {
      h.branch_bar[e] = gelu_derivative(h.branch[e]) * h.states[e] * h.out_bar[e];
      h.states_bar[e] = h.bent[e] * h.out_bar[e];
    }
    detail::scan_vjp(
        detail::first(h.states, T).as_const(), h.first, mask, detail::first(h.states_bar, T), state_bar.memory,
        [&](Index j, Index t) { return h.a(j, t); },
        [&](Index j, Index t, const S& R, const S& before) {
          const S a = h.a(j, t), r = h.r(j, t), i = h.i(j, t), u = h.u(j, t), size = h.size(j, t);
          const S a_bar = multiply_add(R, before, -(R * i * u * a) / size);
          h.r_bar(j, t) = a_bar * a * h.rate[j] * r * (S(1) - r);
          h.i_bar(j, t) = R * size * u * i * (S(1) - i);
          h.u_bar(j, t) = R * size * i;
          c_bar.decay[j] = multiply_add(a_bar * a * r, h.rate_slope[j], c_bar.decay[j]);
        });
    detail::affine_vjp(T, c.recurrence_gate, h.u, h.r_bar, c_bar.recurrence_gate, c_bar.recurrence_gate_bias, h.u_bar);
    detail::affine_vjp(T, c.input_gate, h.u, h.i_bar, c_bar.input_gate, c_bar.input_gate_bias, h.u_bar);
    detail::affine_vjp(T, c.input, X, h.u_bar, c_bar.input, c_bar.input_bias, X_bar);
    detail::affine_vjp(T, c.branch, X, h.branch_bar, c_bar.branch, c_bar.branch_bias, X_bar);
  }

  /// Griffin's initial values: exp(-8 softplus(l)) uniform on [0.9, 0.999]; maps by LeCun's law, W_O and biases zero.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    for (auto* const W : {&p.input, &p.branch, &p.recurrence_gate, &p.input_gate}) detail::draw_map(*W, stream);
    detail::draw_entries(p.decay, [&] { return detail::inverse_softplus(-std::log(detail::draw_decay(stream)) / 8); });
  }

 private:
  Index width_, states_;
};

/// (B14) as a layer.
using RgLruLayer = ColumnLayer<RgLru>;

}  // namespace gdssm
