// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// Griffin's recurrent block with the real-gated linear recurrent unit, in which the token controls how much is kept:
///     u_t = W_u h_t + b_u,   r_t = logistic(W_r u_t + b_r),   i_t = logistic(W_i u_t + b_i),
///     a_t = exp(-8 softplus(l) * r_t),   s_t = a_t * s_{t-1} + sqrt(1 - a_t^2 + 1e-6) * i_t * u_t,   s_0 = 0,
///     layer(H)_t = W_O (gelu(W_g h_t + b_g) * s_t)                                                 (B14)
/// Windows take the place of Griffin's short convolution. The term 1e-6 bounds the root's slope where a token keeps
/// everything; Griffin's code clips that slope.
/// Shapes  W_u, W_g (n x width), W_r, W_i (n x n), b_u, b_g, b_r, b_i, l, s (n), W_O (width x n)
/// Source  De et al., arXiv:2402.19427; without normalisation and multi-layer perceptrons        VJP  `vjp`
class RgLruLayer : public PlainBlock<RgLruLayer> {
 public:
  RgLruLayer(Index width, Index states)
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
  struct Workspace {
    Array<T> u, branch, bent, r, i, a, size, states, out;  ///< (n x T); size = sqrt(1 - a^2 + 1e-6)
    Array<T> u_bar, branch_bar, bent_bar, r_bar, i_bar, states_bar, out_bar;
    Array<T> rate, rate_slope;  ///< -8 softplus(l) and its derivative (n x 1)
  };
  template <class T>
  Workspace<T> workspace(Index length) const {
    const Array<T> s(states_, length), column(states_, 1);
    return {s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, column, column};
  }

  template <class P, class S>
  void forward(const Coefficients<P>& c, const Array<S>& X, Array<S>& Y, Workspace<S>& ws) const {
    using std::exp, std::sqrt;
    for (Index j = 0; j < states_; ++j) {
      ws.rate[j] = S(P(-8) * softplus(P(c.decay[j])));
      ws.rate_slope[j] = S(P(-8) * logistic(P(c.decay[j])));
    }
    detail::affine(c.input, c.input_bias, X, ws.u);
    detail::affine(c.branch, c.branch_bias, X, ws.branch);
    detail::affine(c.recurrence_gate, c.recurrence_gate_bias, ws.u, ws.r);
    detail::affine(c.input_gate, c.input_gate_bias, ws.u, ws.i);
    for (Index t = 0; t < X.cols(); ++t)
      for (Index j = 0; j < states_; ++j) {
        const S r = logistic(ws.r(j, t)), i = logistic(ws.i(j, t)), a = exp(ws.rate[j] * r);
        const S size = sqrt(multiply_add(S(-a), a, detail::constant<S>(1 + 1e-6))), in = size * (i * ws.u(j, t));
        ws.r(j, t) = r;
        ws.i(j, t) = i;
        ws.a(j, t) = a;
        ws.size(j, t) = size;
        ws.states(j, t) = t > 0 ? multiply_add(a, ws.states(j, t - 1), in) : in;
        ws.bent(j, t) = gelu(ws.branch(j, t));
        ws.out(j, t) = ws.bent(j, t) * ws.states(j, t);
      }
    detail::map(c.output, ws.out, Y);
  }

  /// With R the cotangent of s_t and z the root:  a_bar = R s_{t-1} - R i u a / z,  i_bar = R z u,  u_bar = R z i,  and
  /// a R is passed on to s_{t-1}. From a = exp(q r), q = -8 softplus(l):  r_bar = a_bar a q, q_bar += a_bar a r,
  /// l_bar = -8 logistic(l) q_bar. From a logistic g:  its argument's cotangent g_bar g (1 - g).
  template <class P, class S>
  void vjp(const Coefficients<P>& c, const Array<S>& X, const Array<S>& Y_bar, Array<S>& X_bar, Coefficients<S>& c_bar,
           Workspace<S>& ws) const {
    ws.out_bar.fill(S(0));
    detail::map_vjp(c.output, ws.out, Y_bar, c_bar.output, ws.out_bar);
    for (Index e = 0; e < ws.out.size(); ++e) {
      ws.branch_bar[e] = gelu_derivative(ws.branch[e]) * ws.states[e] * ws.out_bar[e];
      ws.states_bar[e] = ws.bent[e] * ws.out_bar[e];
    }
    for (Index t = X.cols() - 1; t >= 0; --t)
      for (Index j = 0; j < states_; ++j) {
        const S R = ws.states_bar(j, t), a = ws.a(j, t), r = ws.r(j, t), i = ws.i(j, t), u = ws.u(j, t);
        const S size = ws.size(j, t);
        S a_bar = -(R * i * u * a) / size;
        if (t > 0) {
          a_bar = multiply_add(R, ws.states(j, t - 1), a_bar);
          ws.states_bar(j, t - 1) = multiply_add(a, R, ws.states_bar(j, t - 1));
        }
        ws.r_bar(j, t) = a_bar * a * ws.rate[j] * r * (S(1) - r);
        ws.i_bar(j, t) = R * size * u * i * (S(1) - i);
        ws.u_bar(j, t) = R * size * i;
        c_bar.decay[j] = multiply_add(a_bar * a * r, ws.rate_slope[j], c_bar.decay[j]);
      }
    detail::affine_vjp(c.recurrence_gate, ws.u, ws.r_bar, c_bar.recurrence_gate, c_bar.recurrence_gate_bias, ws.u_bar);
    detail::affine_vjp(c.input_gate, ws.u, ws.i_bar, c_bar.input_gate, c_bar.input_gate_bias, ws.u_bar);
    detail::affine_vjp(c.input, X, ws.u_bar, c_bar.input, c_bar.input_bias, X_bar);
    detail::affine_vjp(c.branch, X, ws.branch_bar, c_bar.branch, c_bar.branch_bias, X_bar);
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

}  // namespace gdssm
