// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include "gdssm/baselines/projections.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// The Mesa layer, which solves the regression of values on keys anew at every token. With rho = exp(l),
///     S_t = S_{t-1} + k_t k_t^T,   M_t = M_{t-1} + v_t k_t^T,   o_t = M_t (S_t + diag(rho))^{-1} q_t   (B9)
/// at a pair; the query reads S_N and M_N. Under W_Q = W_K = [I 0], W_V = [0 I], W_O = [0; I] and equal rho it is ridge
/// regression. The system is solved by the elimination S_t + diag(rho) = L D L^T, which requires no pivoting.
/// Shapes  as `Projections`; l (keys)
/// Source  von Oswald et al., arXiv:2309.05858, arXiv:2506.05233 (without their decays and conjugate gradients)
/// VJP     `vjp`
class MesaLayer : public PlainBlock<MesaLayer> {
 public:
  template <class Storage>
  struct Weights {
    Projections::Weights<Storage> maps;  ///< W_Q, W_K, W_V, W_O
    MatrixIn<Storage> log_ridge;         ///< l (keys x 1)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("maps", visitor, self.maps...);
      visitor(Name{"log_ridge"}, self.log_ridge...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  MesaLayer(Index width, Index keys, Index values) : maps_("MesaLayer", width, keys, values) {}
  Index width() const { return maps_.width(); }

  template <class Storage>
  Weights<Storage> weights() const {
    return {maps_.weights<Storage>(), zeros_in<Storage>(maps_.keys(), 1)};
  }

  template <class T>
  struct Workspace {
    Projections::Workspace<T> maps;
    Array<T> rho;      ///< (keys x 1)
    Array<T> S;        ///< S_t (keys x keys)
    Array<T> M;        ///< M_t^T (keys x values)
    Array<T> factors;  ///< L and D of every t side by side (keys x keys T)
    Array<T> x;        ///< (S_t + diag(rho))^{-1} q_t (keys x T)
    Array<T> x_bar;    ///< (keys x 1)
  };
  template <class T>
  Workspace<T> workspace(Index length) const {
    const Index r = maps_.keys();
    return {maps_.workspace<T>(length), Array<T>(r, 1),      Array<T>(r, r), Array<T>(r, maps_.values()),
            Array<T>(r, r * length),    Array<T>(r, length), Array<T>(r, 1)};
  }

  template <class P, class S>
  void forward(const Coefficients<P>& c, const Array<S>& X, Array<S>& Y, Workspace<S>& ws) const {
    using std::exp;
    auto& [q, k, v, o, q_bar, k_bar, v_bar, o_bar] = ws.maps;
    const Index T = X.cols(), r = maps_.keys(), n = maps_.values();
    maps_.read(c.maps, X, ws.maps);
    ws.S.fill(S(0));
    ws.M.fill(S(0));
    for (Index j = 0; j < r; ++j) ws.rho[j] = S(exp(P(c.log_ridge[j])));
    for (Index t = 0; t < T; ++t) {
      if (t + 1 < T) {
        for (Index j = 0; j < r; ++j) detail::add_column(k(j, t), k, t, ws.S, j);
        for (Index i = 0; i < n; ++i) detail::add_column(v(i, t), k, t, ws.M, i);
      }
      S* const LD = ws.factors.data() + t * r * r;
      for (Index i = 0; i < r * r; ++i) LD[i] = ws.S[i];
      for (Index j = 0; j < r; ++j) LD[j + j * r] += ws.rho[j];
      factor(LD, r);
      for (Index j = 0; j < r; ++j) ws.x(j, t) = q(j, t);
      solve(LD, r, &ws.x(0, t));
      for (Index i = 0; i < n; ++i) o(i, t) = detail::column_product(ws.M, i, ws.x, t);
    }
    maps_.write(c.maps, Y, ws.maps);
  }

  /// With o_t = sum_i v_i <k_i, x_t> over the pairs i up to t, x = H^{-1} q, H = S + diag(rho):
  /// v_bar_i += <k_i, x> o_bar,  k_bar_i += <v_i, o_bar> x,  x_bar = sum_i <v_i, o_bar> k_i;  q_bar = H^{-1} x_bar,
  /// H_bar = -q_bar x^T,  k_bar_i += (H_bar + H_bar^T) k_i for every such pair,  l_bar = rho * diag(H_bar).
  template <class P, class S>
  void vjp(const Coefficients<P>& c, const Array<S>& X, const Array<S>& Y_bar, Array<S>& X_bar, Coefficients<S>& c_bar,
           Workspace<S>& ws) const {
    auto& [q, k, v, o, q_bar, k_bar, v_bar, o_bar] = ws.maps;
    const Index T = X.cols(), r = maps_.keys();
    maps_.write_vjp(c.maps, Y_bar, c_bar.maps, ws.maps);
    for (Index t = 0; t < T; ++t) {
      const Index pairs = (std::min)(t + 1, T - 1);
      ws.x_bar.fill(S(0));
      for (Index i = 0; i < pairs; ++i) {
        const S weight_bar = detail::column_product(v, i, o_bar, t), weight = detail::column_product(k, i, ws.x, t);
        detail::add_column(weight_bar, k, i, ws.x_bar, 0);
        detail::add_column(weight, o_bar, t, v_bar, i);
        detail::add_column(weight_bar, ws.x, t, k_bar, i);
      }
      solve(ws.factors.data() + t * r * r, r, ws.x_bar.data());
      detail::add_column(S(1), ws.x_bar, 0, q_bar, t);
      for (Index i = 0; i < pairs; ++i) {
        detail::add_column(S(-detail::column_product(k, i, ws.x_bar, 0)), ws.x, t, k_bar, i);
        detail::add_column(S(-detail::column_product(k, i, ws.x, t)), ws.x_bar, 0, k_bar, i);
      }
      for (Index j = 0; j < r; ++j)
        c_bar.log_ridge[j] = multiply_add(-ws.x_bar[j] * ws.x(j, t), ws.rho[j], c_bar.log_ridge[j]);
    }
    maps_.read_vjp(c.maps, X, X_bar, c_bar.maps, ws.maps);
  }

  /// Maps with LeCun's initial values, rho = 1.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    maps_.draw(p.maps, stream);
  }

 private:
  /// Replaces a symmetric matrix by L D L^T: D on the diagonal, the unit lower triangle L below it.
  template <class S>
  static void factor(S* A, Index r) {
    for (Index j = 0; j < r; ++j)
      for (Index m = j + 1; m < r; ++m) {
        const S l = A[m + j * r] / A[j + j * r];
        for (Index i = m; i < r; ++i) A[i + m * r] = multiply_add(-l, A[i + j * r], A[i + m * r]);
      }
    for (Index j = 0; j < r; ++j)
      for (Index i = j + 1; i < r; ++i) A[i + j * r] = A[i + j * r] / A[j + j * r];
  }
  /// x <- (L D L^T)^{-1} x
  template <class S>
  static void solve(const S* LD, Index r, S* x) {
    for (Index j = 0; j < r; ++j)
      for (Index i = j + 1; i < r; ++i) x[i] = multiply_add(-LD[i + j * r], x[j], x[i]);
    for (Index j = 0; j < r; ++j) x[j] = x[j] / LD[j + j * r];
    for (Index j = r; j-- > 0;)
      for (Index i = j + 1; i < r; ++i) x[j] = multiply_add(-LD[i + j * r], x[i], x[j]);
  }

  Projections maps_;
};

}  // namespace gdssm
