// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/diagonal_scan.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/initial_laws.hpp"

namespace gdssm {

/// A linear recurrence between two bilinear gates:
///     s_t = lambda * s_{t-1} + (W_m h_t + b_m) * (W_x h_t + b_x),   s_0 = 0,   lambda = exp(-exp(l)),
///     layer(H)_t = W_O ((U_m s_t + d_m) * (U_x s_t + d_x))                                         (B13)
/// It can express any linear attention: the first gate forms products of keys and values, which stay (lambda = 1), and
/// products of queries and a constant, which are forgotten at once (lambda = 0); the second gate multiplies the two.
/// Shapes  W_m, W_x (n x width), b_m, b_x, l, s (n), U_m, U_x (gates x n), d_m, d_x (gates), W_O (width x gates)
/// Source  Zucchet et al., arXiv:2309.01775; the decay's form is the LRU's, arXiv:2303.06349        VJP  `columns_vjp`
class GatedLinearRnn : public PlainBlock<GatedLinearRnn> {
  using Plain = PlainBlock<GatedLinearRnn>;

 public:
  GatedLinearRnn(Index width, Index states, Index gates)
      : width_(detail::expect_size("GatedLinearRnnLayer", "width", width)),
        states_(detail::expect_size("GatedLinearRnnLayer", "number of states", states)),
        gates_(detail::expect_size("GatedLinearRnnLayer", "number of gates", gates)) {}
  Index width() const { return width_; }

  /// In parameters `decay` is l; in coefficients it is lambda.
  template <class Storage>
  struct Weights {
    MatrixIn<Storage> in_m, in_m_bias, in_x, in_x_bias;      ///< W_m, b_m, W_x, b_x of (B13)
    MatrixIn<Storage> decay;                                 ///< l, of lambda = exp(-e^l)
    MatrixIn<Storage> out_m, out_m_bias, out_x, out_x_bias;  ///< U_m, d_m, U_x, d_x
    MatrixIn<Storage> output;                                ///< W_O

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"in_m"}, self.in_m...);
      visitor(Name{"in_m_bias"}, self.in_m_bias...);
      visitor(Name{"in_x"}, self.in_x...);
      visitor(Name{"in_x_bias"}, self.in_x_bias...);
      visitor(Name{"decay"}, self.decay...);
      visitor(Name{"out_m"}, self.out_m...);
      visitor(Name{"out_m_bias"}, self.out_m_bias...);
      visitor(Name{"out_x"}, self.out_x...);
      visitor(Name{"out_x_bias"}, self.out_x_bias...);
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
    return {zeros(states_, width_), zeros(states_, 1),      zeros(states_, width_), zeros(states_, 1),
            zeros(states_, 1),      zeros(gates_, states_), zeros(gates_, 1),       zeros(gates_, states_),
            zeros(gates_, 1),       zeros(width_, gates_)};
  }

  template <class T>
  using State = detail::ScanState<T>;  ///< s_t (n x 1)
  template <class T>
  State<T> initial_state() const {
    return {Array<T>(states_, 1)};
  }

  template <class T>
  struct History {
    Array<T> first;                                               ///< s_0
    Array<T> in_m, in_x, states, in_m_bar, in_x_bar, states_bar;  ///< (n x T)
    Array<T> out_m, out_x, out, out_m_bar, out_x_bar, out_bar;    ///< (gates x T)
  };
  template <class T>
  History<T> history(Index length) const {
    const Array<T> s(states_, length), g(gates_, length);
    return {Array<T>(states_, 1), s, s, s, s, s, s, g, g, g, g, g, g};
  }

  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    using std::exp;
    Plain::prepare(p, c);
    for (Index j = 0; j < states_; ++j) c.decay[j] = exp(-exp(P(p.decay(j))));
  }
  /// l_bar = -exp(l) lambda lambda_bar; the others are unchanged.
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    using std::exp;
    const Eigen::MatrixX<P> before = p_bar.decay;
    Plain::prepare_vjp(p, c, c_bar, p_bar);
    for (Index j = 0; j < states_; ++j) p_bar.decay(j) = before(j) - exp(P(p.decay(j))) * c.decay[j] * c_bar.decay[j];
  }

  template <class P, class S>
  void columns(const Coefficients<P>& c, View<const S> X, const S* mask, State<S>& state, View<S> Y,
               History<S>& h) const {
    const Index T = X.cols();
    h.first = state.memory;
    detail::affine(T, c.in_m, c.in_m_bias, X, h.in_m);
    detail::affine(T, c.in_x, c.in_x_bias, X, h.in_x);
    for (Index e = 0; e < states_ * T; ++e) h.states[e] = h.in_m[e] * h.in_x[e];
    detail::scan(detail::first(h.states, T), mask, state.memory, [&](Index j, Index) { return S(c.decay[j]); });
    detail::affine(T, c.out_m, c.out_m_bias, h.states, h.out_m);
    detail::affine(T, c.out_x, c.out_x_bias, h.states, h.out_x);
    for (Index i = 0; i < gates_ * T; ++i) h.out[i] = h.out_m[i] * h.out_x[i];
    detail::map(T, c.output, h.out, Y);
  }

  /// From a product a * b:  a_bar = b * out_bar,  b_bar = a * out_bar. From the recurrence:  lambda_bar += R_t *
  /// s_{t-1}.
  template <class P, class S>
  void columns_vjp(const Coefficients<P>& c, View<const S> X, const S* mask, View<const S> Y_bar, State<S>& state_bar,
                   View<S> X_bar, Coefficients<S>& c_bar, History<S>& h) const {
    const Index T = X.cols();
    h.out_bar.fill(S(0));
    h.states_bar.fill(S(0));
    detail::map_vjp(T, c.output, h.out, Y_bar, c_bar.output, h.out_bar);
    for (Index i = 0; i < gates_ * T; ++i) {
      h.out_m_bar[i] = h.out_x[i] * h.out_bar[i];
      h.out_x_bar[i] = h.out_m[i] * h.out_bar[i];
    }
    detail::affine_vjp(T, c.out_m, h.states, h.out_m_bar, c_bar.out_m, c_bar.out_m_bias, h.states_bar);
    detail::affine_vjp(T, c.out_x, h.states, h.out_x_bar, c_bar.out_x, c_bar.out_x_bias, h.states_bar);
    detail::scan_vjp(
        detail::first(h.states, T).as_const(), h.first, mask, detail::first(h.states_bar, T), state_bar.memory,
        [&](Index j, Index) { return S(c.decay[j]); },
        [&](Index j, Index t, const S& R, const S& before) {
          c_bar.decay[j] = multiply_add(R, before, c_bar.decay[j]);
          h.in_m_bar(j, t) = h.in_x(j, t) * R;
          h.in_x_bar(j, t) = h.in_m(j, t) * R;
        });
    detail::affine_vjp(T, c.in_m, X, h.in_m_bar, c_bar.in_m, c_bar.in_m_bias, X_bar);
    detail::affine_vjp(T, c.in_x, X, h.in_x_bar, c_bar.in_x, c_bar.in_x_bias, X_bar);
  }

  /// Maps with LeCun's initial values, W_O zero, lambda uniform on [0.9, 0.999]. Biases are standard normal, so that
  /// the gates pass on single inputs as well as products.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    for (auto* const W : {&p.in_m, &p.in_x, &p.out_m, &p.out_x}) detail::draw_map(*W, stream);
    for (auto* const b : {&p.in_m_bias, &p.in_x_bias, &p.out_m_bias, &p.out_x_bias})
      detail::draw_entries(*b, [&] { return stream.normal(); });
    detail::draw_entries(p.decay, [&] { return std::log(-std::log(detail::draw_decay(stream))); });
  }

 private:
  Index width_, states_, gates_;
};

/// (B13) as a layer.
using GatedLinearRnnLayer = ColumnLayer<GatedLinearRnn>;

}  // namespace gdssm
