// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/diagonal_scan.hpp"
#include "gdssm/baselines/hippo.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/complex.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/initial_laws.hpp"

namespace gdssm {

/// S5, a diagonal recurrence of complex states between dense maps. States are conjugate pairs, of which one is kept:
///     x_t = L * x_{t-1} + Bd u_t,   y_t = 2 Re(C x_t) + D * u_t,   x_0 = 0,
///     L_j = exp(Lambda_j Delta_j),   Bd_j = (L_j - 1) / Lambda_j B_j,   Delta_j = exp(log_step_j),
///     layer(H)_t = y_t * logistic(W gelu(y_t) + b),   u_t = h_t                                    (B11)
/// Shapes  Lambda, log_step (p), B (p x width), C (width x p), all in real and imaginary parts; D, b (width),
///         W (width x width). Lambda must not be zero.
/// Source  Smith et al., arXiv:2208.04933; without normalisation and dropout        VJP  `columns_vjp`
class S5 {
 public:
  /// For p conjugate pairs of states.
  S5(Index width, Index pairs)
      : width_(detail::expect_size("S5Layer", "width", width)),
        pairs_(detail::expect_size("S5Layer", "number of pairs of states", pairs)) {}
  Index width() const { return width_; }
  Index pairs() const { return pairs_; }  ///< p, conjugate pairs of states

  /// The weights that discretisation leaves as they are.
  template <class Storage>
  struct Maps {
    MatrixIn<Storage> C_re, C_im;       ///< (width x p)
    MatrixIn<Storage> D;                ///< (width x 1)
    MatrixIn<Storage> gate, gate_bias;  ///< W (width x width), b (width x 1)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"C_re"}, self.C_re...);
      visitor(Name{"C_im"}, self.C_im...);
      visitor(Name{"D"}, self.D...);
      visitor(Name{"gate"}, self.gate...);
      visitor(Name{"gate_bias"}, self.gate_bias...);
    }
  };
  template <class T>
  struct Parameters : Maps<InMatrices<T>> {
    Eigen::MatrixX<T> Lambda_re, Lambda_im, log_step;  ///< (p x 1)
    Eigen::MatrixX<T> B_re, B_im;                      ///< (p x width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"Lambda_re"}, self.Lambda_re...);
      visitor(Name{"Lambda_im"}, self.Lambda_im...);
      visitor(Name{"log_step"}, self.log_step...);
      visitor(Name{"B_re"}, self.B_re...);
      visitor(Name{"B_im"}, self.B_im...);
      Maps<InMatrices<T>>::visit(visitor, self...);
    }
  };

  /// The parameters after discretisation.
  template <class T>
  struct Coefficients : Maps<InArrays<T>> {
    Array<T> decay_re, decay_im;  ///< L (p x 1)
    Array<T> B_re, B_im;          ///< Bd (p x width)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"decay_re"}, self.decay_re...);
      visitor(Name{"decay_im"}, self.decay_im...);
      visitor(Name{"B_re"}, self.B_re...);
      visitor(Name{"B_im"}, self.B_im...);
      Maps<InArrays<T>>::visit(visitor, self...);
    }
  };

  /// x_t.
  template <class T>
  struct State {
    Array<T> re, im;  ///< (p x 1)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"re"}, self.re...);
      visitor(Name{"im"}, self.im...);
    }
    friend bool operator==(const State&, const State&) = default;
  };

  template <class T>
  struct History {
    Array<Complex<T>> decay, decay_bar, first, state;   ///< L, x_0 (p x 1)
    Array<Complex<T>> states;                           ///< x_t, and then their cotangents (p x T)
    Array<Complex<T>> states_bar;                       ///< (p x T)
    Array<T> re, im, re_bar, im_bar;                    ///< (p x T)
    Array<T> y, y_bar, bent, bent_bar, gate, gate_bar;  ///< (channels x T)
  };

  template <class T>
  Parameters<T> parameters() const {
    const auto zeros = [](Index rows, Index cols) { return zeros_in<InMatrices<T>>(rows, cols); };
    return {maps<InMatrices<T>>(), zeros(pairs_, 1),      zeros(pairs_, 1),
            zeros(pairs_, 1),      zeros(pairs_, width_), zeros(pairs_, width_)};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    const Array<T> decay(pairs_, 1), B(pairs_, width_);
    return {maps<InArrays<T>>(), decay, decay, B, B};
  }
  template <class T>
  State<T> initial_state() const {
    return {Array<T>(pairs_, 1), Array<T>(pairs_, 1)};
  }
  template <class T>
  History<T> history(Index length) const {
    const Array<Complex<T>> state(pairs_, 1), states(pairs_, length);
    const Array<T> part(pairs_, length), row(width_, length);
    return {state, state, state, state, states, states, part, part, part, part, row, row, row, row, row, row};
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
    Maps<InMatrices<P>>::visit([](const Name&, const auto& from, auto& to) { detail::copy(from, to); }, p, c);
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
    Maps<InMatrices<P>>::visit([](const Name&, const auto& from, auto& to) { to += from.matrix(); }, c_bar, p_bar);
  }

  template <class P, class S>
  void columns(const Coefficients<P>& c, View<const S> X, const S* mask, State<S>& state, View<S> Y,
               History<S>& h) const {
    const Index T = X.cols();
    for (Index j = 0; j < pairs_; ++j) {
      h.decay[j] = {S(c.decay_re[j]), S(c.decay_im[j])};
      h.first[j] = h.state[j] = {state.re[j], state.im[j]};
    }
    detail::map(T, c.B_re, X, h.re);
    detail::map(T, c.B_im, X, h.im);
    for (Index e = 0; e < pairs_ * T; ++e) h.states[e] = {h.re[e], h.im[e]};
    detail::scan(detail::first(h.states, T), mask, h.state, [&](Index j, Index) { return h.decay[j]; });
    for (Index j = 0; j < pairs_; ++j) {
      state.re[j] = h.state[j].re;
      state.im[j] = h.state[j].im;
    }
    for (Index e = 0; e < pairs_ * T; ++e) {
      h.re[e] = h.states[e].re + h.states[e].re;
      h.im[e] = -(h.states[e].im + h.states[e].im);
    }
    // bent holds C_im's share until y is complete.
    detail::map(T, c.C_re, h.re, h.y);
    detail::map(T, c.C_im, h.im, h.bent);
    for (Index t = 0; t < T; ++t)
      for (Index i = 0; i < width_; ++i) {
        h.y(i, t) = multiply_add(S(c.D[i]), X(i, t), h.y(i, t) + h.bent(i, t));
        h.bent(i, t) = gelu(h.y(i, t));
      }
    detail::affine(T, c.gate, c.gate_bias, h.bent, h.gate);
    for (Index i = 0; i < width_ * T; ++i) {
      h.gate[i] = logistic(h.gate[i]);
      Y[i] = h.y[i] * h.gate[i];
    }
  }

  /// Of y * g, g = logistic(z):  y_bar = g Y_bar,  z_bar = y Y_bar g (1 - g);  of z = W gelu(y) + b: y_bar +=
  /// gelu'(y) * W^T z_bar;  of y = C_re (2 re) + C_im (-2 im) + D * u: re_bar = 2 C_re^T y_bar, im_bar = -2 C_im^T
  /// y_bar, u_bar += D * y_bar;  of the recurrence, in complex cotangents: L_bar += R_t * x_{t-1}.
  template <class P, class S>
  void columns_vjp(const Coefficients<P>& c, View<const S> X, const S* mask, View<const S> Y_bar, State<S>& state_bar,
                   View<S> X_bar, Coefficients<S>& c_bar, History<S>& h) const {
    const Index T = X.cols();
    for (Index i = 0; i < width_ * T; ++i) {
      h.y_bar[i] = h.gate[i] * Y_bar[i];
      h.gate_bar[i] = h.y[i] * Y_bar[i] * h.gate[i] * (S(1) - h.gate[i]);
    }
    for (Array<S>* const bar : {&h.bent_bar, &h.re_bar, &h.im_bar}) bar->fill(S(0));
    detail::affine_vjp(T, c.gate, h.bent, h.gate_bar, c_bar.gate, c_bar.gate_bias, h.bent_bar);
    for (Index i = 0; i < width_ * T; ++i)
      h.y_bar[i] = multiply_add(gelu_derivative(h.y[i]), h.bent_bar[i], h.y_bar[i]);
    detail::map_vjp(T, c.C_re, h.re, h.y_bar, c_bar.C_re, h.re_bar);
    detail::map_vjp(T, c.C_im, h.im, h.y_bar, c_bar.C_im, h.im_bar);
    for (Index t = 0; t < T; ++t)
      for (Index i = 0; i < width_; ++i) {
        c_bar.D[i] = multiply_add(h.y_bar(i, t), X(i, t), c_bar.D[i]);
        X_bar(i, t) = multiply_add(S(c.D[i]), h.y_bar(i, t), X_bar(i, t));
      }

    for (Index e = 0; e < pairs_ * T; ++e) h.states_bar[e] = {h.re_bar[e] + h.re_bar[e], h.im_bar[e] + h.im_bar[e]};
    for (Index j = 0; j < pairs_; ++j) h.state[j] = {state_bar.re[j], -state_bar.im[j]};
    h.decay_bar.fill(Complex<S>(0));
    detail::scan_vjp(
        detail::first(h.states, T).as_const(), h.first, mask, detail::first(h.states_bar, T), h.state,
        [&](Index j, Index) { return h.decay[j]; },
        [&](Index j, Index t, const Complex<S>& R, const Complex<S>& before) {
          h.decay_bar[j] = multiply_add(R, before, h.decay_bar[j]);
          h.re_bar(j, t) = R.re;
          h.im_bar(j, t) = -R.im;
        });
    detail::map_vjp(T, c.B_re, X, h.re_bar, c_bar.B_re, X_bar);
    detail::map_vjp(T, c.B_im, X, h.im_bar, c_bar.B_im, X_bar);
    for (Index j = 0; j < pairs_; ++j) {
      state_bar.re[j] = h.state[j].re;
      state_bar.im[j] = -h.state[j].im;
      c_bar.decay_re[j] += h.decay_bar[j].re;
      c_bar.decay_im[j] -= h.decay_bar[j].im;
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
  template <class Storage>
  Maps<Storage> maps() const {
    return {zeros_in<Storage>(width_, pairs_), zeros_in<Storage>(width_, pairs_), zeros_in<Storage>(width_, 1),
            zeros_in<Storage>(width_, width_), zeros_in<Storage>(width_, 1)};
  }

  Index width_, pairs_;
};

/// (B11) as a layer.
using S5Layer = ColumnLayer<S5>;

}  // namespace gdssm
