// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include "gdssm/baselines/hippo.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/complex.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// S5, a diagonal recurrence of complex states between dense maps. States are conjugate pairs, of which one is kept:
///     x_t = L * x_{t-1} + Bd u_t,   y_t = 2 Re(C x_t) + D * u_t,   x_0 = 0,
///     L_j = exp(Lambda_j Delta_j),   Bd_j = (L_j - 1) / Lambda_j B_j,   Delta_j = exp(log_step_j),
///     layer(H)_t = y_t * logistic(W gelu(y_t) + b),   u_t = h_t                                    (B11)
/// The recurrence is the kernel of (2) in complex numbers, with G_t = Bd u_t of rank one.
/// Shapes  Lambda, log_step (p), B (p x width), C (width x p), all in real and imaginary parts; D, b (width),
///         W (width x width). Lambda must not be zero.
/// Source  Smith et al., arXiv:2208.04933; without normalisation and dropout        VJP  `vjp`
class S5Layer {
 public:
  /// For p conjugate pairs of states.
  S5Layer(Index width, Index pairs)
      : width_(detail::expect_size("S5Layer", "width", width)),
        pairs_(detail::expect_size("S5Layer", "number of pairs of states", pairs)) {}
  Index width() const { return width_; }
  Index pairs() const { return pairs_; }  ///< p, conjugate pairs of states

  template <class T>
  struct Parameters {
    Eigen::MatrixX<T> Lambda_re, Lambda_im, log_step;  ///< (p x 1)
    Eigen::MatrixX<T> B_re, B_im;                      ///< (p x width)
    Eigen::MatrixX<T> C_re, C_im;                      ///< (width x p)
    Eigen::MatrixX<T> D;                               ///< (width x 1)
    Eigen::MatrixX<T> gate, gate_bias;                 ///< W (width x width), b (width x 1)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda_re"}, self.Lambda_re...);
      visitor(Name{"Lambda_im"}, self.Lambda_im...);
      visitor(Name{"log_step"}, self.log_step...);
      visitor(Name{"B_re"}, self.B_re...);
      visitor(Name{"B_im"}, self.B_im...);
      visitor(Name{"C_re"}, self.C_re...);
      visitor(Name{"C_im"}, self.C_im...);
      visitor(Name{"D"}, self.D...);
      visitor(Name{"gate"}, self.gate...);
      visitor(Name{"gate_bias"}, self.gate_bias...);
    }
  };

  /// The parameters after discretisation.
  template <class T>
  struct Coefficients {
    Array<T> decay_re, decay_im;              ///< L (p x 1)
    Array<T> B_re, B_im;                      ///< Bd (p x width)
    Array<T> C_re, C_im, D, gate, gate_bias;  ///< as the parameters

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"decay_re"}, self.decay_re...);
      visitor(Name{"decay_im"}, self.decay_im...);
      visitor(Name{"B_re"}, self.B_re...);
      visitor(Name{"B_im"}, self.B_im...);
      visitor(Name{"C_re"}, self.C_re...);
      visitor(Name{"C_im"}, self.C_im...);
      visitor(Name{"D"}, self.D...);
      visitor(Name{"gate"}, self.gate...);
      visitor(Name{"gate_bias"}, self.gate_bias...);
    }
  };

  template <class T>
  struct Workspace {
    Array<Complex<T>> decay, decay_bar, state;  ///< (p x 1)
    Array<Complex<T>> inputs, states;           ///< Bd u_t, or its cotangent; x_t (p x T)
    Array<Complex<T>> one;                      ///< (1 x 1)
    Array<T> re, im, re_bar, im_bar;            ///< (p x T)
    Array<T> y, y_bar, bent, bent_bar, gate, gate_bar;
  };

  template <class T>
  Parameters<T> parameters() const {
    const auto zeros = [](Index rows, Index cols) { return zeros_in<InMatrices<T>>(rows, cols); };
    return {zeros(pairs_, 1),      zeros(pairs_, 1),      zeros(pairs_, 1),      zeros(pairs_, width_),
            zeros(pairs_, width_), zeros(width_, pairs_), zeros(width_, pairs_), zeros(width_, 1),
            zeros(width_, width_), zeros(width_, 1)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {Array<T>(pairs_, 1),      Array<T>(pairs_, 1),      Array<T>(pairs_, width_),
            Array<T>(pairs_, width_), Array<T>(width_, pairs_), Array<T>(width_, pairs_),
            Array<T>(width_, 1),      Array<T>(width_, width_), Array<T>(width_, 1)};
  }
  template <class T>
  Workspace<T> workspace(Index length) const {
    const Array<Complex<T>> state(pairs_, 1), states(pairs_, length);
    const Array<T> part(pairs_, length), row(width_, length);
    Workspace<T> ws{state, state, state, states, states, Array<Complex<T>>(1, 1), part, part, part, part, row,
                    row,   row,   row,   row,    row};
    ws.one.fill(Complex<T>(1));
    return ws;
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    using std::exp;
    for (Index j = 0; j < pairs_; ++j) {
      const Complex<P> Lambda{p.Lambda_re(j), p.Lambda_im(j)}, Delta{exp(p.log_step(j)), P(0)};
      const Complex<P> L = exp(Lambda * Delta), scale = (L - Complex<P>(1)) / Lambda;
      c.decay_re[j] = L.re;
      c.decay_im[j] = L.im;
      for (Index i = 0; i < width_; ++i) {
        const Complex<P> B = scale * Complex<P>{p.B_re(j, i), p.B_im(j, i)};
        c.B_re(j, i) = B.re;
        c.B_im(j, i) = B.im;
      }
    }
    c.C_re.matrix() = p.C_re;
    c.C_im.matrix() = p.C_im;
    c.D.matrix() = p.D;
    c.gate.matrix() = p.gate;
    c.gate_bias.matrix() = p.gate_bias;
  }

  /// With s = (L - 1) / Lambda:  B_bar_j += s Bd_bar_j,  s_bar = sum_i B_ji Bd_bar_ji;  L_bar += s_bar / Lambda,
  /// Lambda_bar += L Delta L_bar - s s_bar / Lambda,  log_step_bar += Delta Re(Lambda L L_bar), in complex cotangents.
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    using std::exp;
    for (Index j = 0; j < pairs_; ++j) {
      const Complex<P> Lambda{p.Lambda_re(j), p.Lambda_im(j)}, Delta{exp(p.log_step(j)), P(0)};
      const Complex<P> L{c.decay_re[j], c.decay_im[j]}, scale = (L - Complex<P>(1)) / Lambda;
      Complex<P> scale_bar(0);
      for (Index i = 0; i < width_; ++i) {
        const Complex<P> Bd_bar{c_bar.B_re(j, i), -c_bar.B_im(j, i)}, B_bar = scale * Bd_bar;
        p_bar.B_re(j, i) += B_bar.re;
        p_bar.B_im(j, i) -= B_bar.im;
        scale_bar += Complex<P>{p.B_re(j, i), p.B_im(j, i)} * Bd_bar;
      }
      const Complex<P> L_bar = Complex<P>{c_bar.decay_re[j], -c_bar.decay_im[j]} + scale_bar / Lambda;
      const Complex<P> Lambda_bar = L * Delta * L_bar - scale * scale_bar / Lambda;
      p_bar.Lambda_re(j) += Lambda_bar.re;
      p_bar.Lambda_im(j) -= Lambda_bar.im;
      p_bar.log_step(j) += Delta.re * (Lambda * L * L_bar).re;
    }
    p_bar.C_re += c_bar.C_re.matrix();
    p_bar.C_im += c_bar.C_im.matrix();
    p_bar.D += c_bar.D.matrix();
    p_bar.gate += c_bar.gate.matrix();
    p_bar.gate_bias += c_bar.gate_bias.matrix();
  }

  template <class P, class S>
  void forward(const Coefficients<P>& c, const Array<S>& X, Array<S>& Y, Workspace<S>& ws) const {
    for (Index j = 0; j < pairs_; ++j) ws.decay[j] = {S(c.decay_re[j]), S(c.decay_im[j])};
    detail::map(c.B_re, X, ws.re);
    detail::map(c.B_im, X, ws.im);
    for (Index i = 0; i < ws.inputs.size(); ++i) ws.inputs[i] = {ws.re[i], ws.im[i]};
    ws.state.fill(Complex<S>(0));
    for (Index t = 0; t < X.cols(); ++t) {
      kernels::decayed_outer_sum(read(ws.decay), left(ws), right(ws, t), memory(ws.state));
      std::copy_n(ws.state.data(), pairs_, ws.states.data() + t * pairs_);
    }
    for (Index i = 0; i < ws.states.size(); ++i) {
      ws.re[i] = ws.states[i].re + ws.states[i].re;
      ws.im[i] = -(ws.states[i].im + ws.states[i].im);
    }
    // bent holds C_im's share until y is complete.
    detail::map(c.C_re, ws.re, ws.y);
    detail::map(c.C_im, ws.im, ws.bent);
    for (Index t = 0; t < X.cols(); ++t)
      for (Index i = 0; i < width_; ++i) ws.y(i, t) = multiply_add(S(c.D[i]), X(i, t), ws.y(i, t) + ws.bent(i, t));
    for (Index i = 0; i < ws.y.size(); ++i) ws.bent[i] = gelu(ws.y[i]);
    detail::affine(c.gate, c.gate_bias, ws.bent, ws.gate);
    for (Index i = 0; i < ws.y.size(); ++i) {
      ws.gate[i] = logistic(ws.gate[i]);
      Y[i] = ws.y[i] * ws.gate[i];
    }
  }

  /// Of y * g, g = logistic(z):  y_bar = g Y_bar,  z_bar = y Y_bar g (1 - g);  of z = W gelu(y) + b: y_bar +=
  /// gelu'(y) * W^T z_bar;  of y = C_re (2 re) + C_im (-2 im) + D * u: re_bar = 2 C_re^T y_bar, im_bar = -2 C_im^T
  /// y_bar, u_bar += D * y_bar;  of the recurrence: the kernel's own VJP in complex cotangents.
  template <class P, class S>
  void vjp(const Coefficients<P>& c, const Array<S>& X, const Array<S>& Y_bar, Array<S>& X_bar, Coefficients<S>& c_bar,
           Workspace<S>& ws) const {
    for (Index i = 0; i < ws.y.size(); ++i) {
      ws.y_bar[i] = ws.gate[i] * Y_bar[i];
      ws.gate_bar[i] = ws.y[i] * Y_bar[i] * ws.gate[i] * (S(1) - ws.gate[i]);
      ws.bent_bar[i] = S(0);
    }
    detail::affine_vjp(c.gate, ws.bent, ws.gate_bar, c_bar.gate, c_bar.gate_bias, ws.bent_bar);
    for (Index i = 0; i < ws.y.size(); ++i)
      ws.y_bar[i] = multiply_add(gelu_derivative(ws.y[i]), ws.bent_bar[i], ws.y_bar[i]);
    ws.re_bar.fill(S(0));
    ws.im_bar.fill(S(0));
    detail::map_vjp(c.C_re, ws.re, ws.y_bar, c_bar.C_re, ws.re_bar);
    detail::map_vjp(c.C_im, ws.im, ws.y_bar, c_bar.C_im, ws.im_bar);
    for (Index t = 0; t < X.cols(); ++t)
      for (Index i = 0; i < width_; ++i) {
        c_bar.D[i] = multiply_add(ws.y_bar(i, t), X(i, t), c_bar.D[i]);
        X_bar(i, t) = multiply_add(S(c.D[i]), ws.y_bar(i, t), X_bar(i, t));
      }

    ws.state.fill(Complex<S>(0));  // from here on the state's cotangent
    ws.decay_bar.fill(Complex<S>(0));
    for (Index t = X.cols() - 1; t >= 0; --t) {
      for (Index j = 0; j < pairs_; ++j)
        ws.state[j] += {ws.re_bar(j, t) + ws.re_bar(j, t), ws.im_bar(j, t) + ws.im_bar(j, t)};
      const View<const Complex<S>, Dynamic, 1> before =
          t > 0 ? View<const Complex<S>, Dynamic, 1>(ws.states.view().column(t - 1))
                : View<const Complex<S>, Dynamic, 1>::absent();
      kernels::decayed_outer_sum_vjp(read(ws.decay), left(ws), right(ws, t), before, memory(ws.state),
                                     t > 0 ? memory(ws.decay_bar) : View<Complex<S>, Dynamic, 1>::absent(),
                                     View<Complex<S>, 1, 1>::absent(), input_bar(ws, t));
    }
    for (Index i = 0; i < ws.inputs.size(); ++i) {
      ws.re_bar[i] = ws.inputs[i].re;
      ws.im_bar[i] = -ws.inputs[i].im;
    }
    detail::map_vjp(c.B_re, X, ws.re_bar, c_bar.B_re, X_bar);
    detail::map_vjp(c.B_im, X, ws.im_bar, c_bar.B_im, X_bar);
    for (Index j = 0; j < pairs_; ++j) {
      c_bar.decay_re[j] += ws.decay_bar[j].re;
      c_bar.decay_im[j] -= ws.decay_bar[j].im;
    }
  }

  /// The reference's initial values: Lambda from HiPPO-LegS, B and C by LeCun's law in its eigenvectors' coordinates,
  /// Delta ~ exp U(log 0.001, log 0.1), D ~ N(0, 1).
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    const HippoSpectrum spectrum = hippo_spectrum(2 * pairs_);
    Eigen::MatrixXd B(2 * pairs_, width_), C(width_, 2 * pairs_);
    detail::draw_map(B, stream);
    detail::draw_map(C, stream);
    const Eigen::MatrixXcd B_ = spectrum.V.adjoint() * B, C_ = C * spectrum.V;
    p.Lambda_re = spectrum.Lambda.real().cast<T>();
    p.Lambda_im = spectrum.Lambda.imag().cast<T>();
    p.B_re = B_.real().cast<T>();
    p.B_im = B_.imag().cast<T>();
    p.C_re = C_.real().cast<T>();
    p.C_im = C_.imag().cast<T>();
    detail::draw_entries(p.log_step, [&] { return detail::draw_log_step(stream); });
    detail::draw_entries(p.D, [&] { return stream.normal(); });
    detail::draw_map(p.gate, stream);
  }

 private:
  // The state as the memory of (2) with one row, and its factors.
  template <class S>
  static View<const Complex<S>, Dynamic, 1> read(const Array<Complex<S>>& array) {
    return array.view().column(0);
  }
  template <class S>
  static View<Complex<S>, Dynamic, 1> memory(Array<Complex<S>>& array) {
    return array.view().column(0);
  }
  template <class S>
  static View<const Complex<S>, 1, 1> left(const Workspace<S>& ws) {
    return View<const Complex<S>, 1, 1>(ws.one.view());
  }
  template <class S>
  static View<const Complex<S>, Dynamic, 1> right(const Workspace<S>& ws, Index t) {
    return ws.inputs.view().column(t);
  }
  template <class S>
  static View<Complex<S>, Dynamic, 1> input_bar(Workspace<S>& ws, Index t) {
    return ws.inputs.view().column(t);
  }

  Index width_, pairs_;
};

}  // namespace gdssm
