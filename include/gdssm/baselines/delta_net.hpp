// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/baselines/projections.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// Keys of length one, as in the published DeltaNet: with lambda^2 = |k|^2 + 1e-6,
///     k <- k / lambda                                                                              (B8a)
/// A step beta <= 1 on 1/2 |v - W k|^2 then never increases an error, whatever the trained maps are.
/// VJP     k_bar <- (k_bar - <k, k_bar> k) / lambda, with the normalised k
struct UnitKeys {
  /// Normalises the keys in place, one in each column; stores 1 / lambda of each.
  template <class S>
  static void apply(Array<S>& k, Array<S>& inverse_length) {
    using std::sqrt;
    for (Index t = 0; t < k.cols(); ++t) {
      inverse_length[t] = S(1) / sqrt(detail::column_product(k, t, k, t) + detail::constant<S>(1e-6));
      for (Index j = 0; j < k.rows(); ++j) k(j, t) *= inverse_length[t];
    }
  }
  /// Turns the cotangent of the normalised keys k into that of the original keys.
  template <class S>
  static void vjp(const Array<S>& k, const Array<S>& inverse_length, Array<S>& k_bar) {
    for (Index t = 0; t < k.cols(); ++t) {
      detail::add_column(S(-detail::column_product(k, t, k_bar, t)), k, t, k_bar, t);
      for (Index j = 0; j < k.rows(); ++j) k_bar(j, t) *= inverse_length[t];
    }
  }
};

/// Keys as W_K gives them. Only with these do W_Q = W_K = [I 0], W_V = [0 I], w = 0 make online least squares by
/// gradient steps (Widrow and Hoff), of size logistic(b) times the square of W_K's scale.
struct PlainKeys {
  /// Leaves the keys unchanged.
  template <class S>
  static void apply(Array<S>&, Array<S>&) {}
  /// Leaves the cotangents unchanged.
  template <class S>
  static void vjp(const Array<S>&, const Array<S>&, Array<S>&) {}
};

/// DeltaNet, the delta rule as a recurrence of matrices. With beta_t = logistic(w^T h_t + b),
///     e_t = v_t - W_{t-1} k_t,   W_t = W_{t-1} + beta_t e_t k_t^T,   W_0 = 0,   o_t = W_t q_t       (B8)
/// at a pair; the query reads W_N. This is a step of stochastic gradient descent of size beta_t on 1/2 |v_t - W k_t|^2.
/// Queries keep their length, since the answer of a linear map grows with it. Keys and queries have no feature map.
///     `Keys`  UnitKeys or PlainKeys
/// Shapes  as `Projections`; w (1 x width), b (1)
/// Source  Schlag et al., arXiv:2102.11174; Yang et al., arXiv:2406.06484        VJP  `vjp`
template <class Keys = UnitKeys>
class DeltaNetLayer : public PlainBlock<DeltaNetLayer<Keys>> {
 public:
  template <class Storage>
  struct Weights {
    Projections::Weights<Storage> maps;  ///< W_Q, W_K, W_V, W_O
    MatrixIn<Storage> rate, rate_bias;   ///< w (1 x width), b (1 x 1)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visit_part("maps", visitor, self.maps...);
      visitor(Name{"rate"}, self.rate...);
      visitor(Name{"rate_bias"}, self.rate_bias...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  DeltaNetLayer(Index width, Index keys, Index values) : maps_("DeltaNetLayer", width, keys, values) {}
  Index width() const { return maps_.width(); }

  template <class Storage>
  Weights<Storage> weights() const {
    return {maps_.weights<Storage>(), zeros_in<Storage>(1, width()), zeros_in<Storage>(1, 1)};
  }

  template <class T>
  struct Workspace {
    Projections::Workspace<T> maps;
    Array<T> beta, beta_bar;  ///< (1 x T)
    Array<T> inverse_length;  ///< of the keys that W_K gives (1 x T)
    Array<T> e;               ///< (values x T)
    Array<T> memories;        ///< W_t^T side by side, t = 0..N (keys x values (N + 1))
    Array<T> memory_bar;      ///< (keys x values)
  };
  template <class T>
  Workspace<T> workspace(Index length) const {
    return {maps_.workspace<T>(length),
            Array<T>(1, length),
            Array<T>(1, length),
            Array<T>(1, length),
            Array<T>(maps_.values(), length),
            Array<T>(maps_.keys(), maps_.values() * length),
            Array<T>(maps_.keys(), maps_.values())};
  }

  template <class P, class S>
  void forward(const Coefficients<P>& c, const Array<S>& X, Array<S>& Y, Workspace<S>& ws) const {
    auto& [q, k, v, o, q_bar, k_bar, v_bar, o_bar] = ws.maps;
    const Index T = X.cols(), n = maps_.values(), r = maps_.keys();
    maps_.read(c.maps, X, ws.maps);
    Keys::apply(k, ws.inverse_length);
    detail::affine(c.rate, c.rate_bias, X, ws.beta);
    for (Index i = 0; i < r * n; ++i) ws.memories[i] = S(0);
    for (Index t = 0; t < T; ++t) {
      const bool pair = t + 1 < T;
      if (pair) {
        ws.beta[t] = logistic(ws.beta[t]);
        for (Index i = 0; i < n; ++i) {
          const S e = v(i, t) - detail::column_product(ws.memories, t * n + i, k, t), step = ws.beta[t] * e;
          ws.e(i, t) = e;
          for (Index j = 0; j < r; ++j)
            ws.memories(j, (t + 1) * n + i) = multiply_add(step, k(j, t), ws.memories(j, t * n + i));
        }
      }
      for (Index i = 0; i < n; ++i) o(i, t) = detail::column_product(ws.memories, (pair ? t + 1 : t) * n + i, q, t);
    }
    maps_.write(c.maps, Y, ws.maps);
  }

  /// With R the cotangent of W_t, from o_t = W_t q_t: R += o_bar_t q_t^T, q_bar_t += W_t^T o_bar_t; from
  /// W_t = W_{t-1} + beta e k^T: beta_bar = e^T R k,  e_bar = beta R k,  k_bar += beta R^T e; from e = v - W_{t-1} k:
  /// v_bar += e_bar,  k_bar -= W_{t-1}^T e_bar,  R <- R - e_bar k^T; from beta = logistic(z):
  /// z_bar = beta_bar beta (1 - beta).
  template <class P, class S>
  void vjp(const Coefficients<P>& c, const Array<S>& X, const Array<S>& Y_bar, Array<S>& X_bar, Coefficients<S>& c_bar,
           Workspace<S>& ws) const {
    auto& [q, k, v, o, q_bar, k_bar, v_bar, o_bar] = ws.maps;
    const Index T = X.cols(), n = maps_.values();
    maps_.write_vjp(c.maps, Y_bar, c_bar.maps, ws.maps);
    ws.beta_bar.fill(S(0));
    ws.memory_bar.fill(S(0));
    for (Index t = T - 1; t >= 0; --t) {
      const bool pair = t + 1 < T;
      for (Index i = 0; i < n; ++i) {
        detail::add_column(o_bar(i, t), ws.memories, (pair ? t + 1 : t) * n + i, q_bar, t);
        detail::add_column(o_bar(i, t), q, t, ws.memory_bar, i);
      }
      if (!pair) continue;
      const S beta = ws.beta[t];
      S beta_bar = S(0);
      for (Index i = 0; i < n; ++i) {
        const S Rk = detail::column_product(ws.memory_bar, i, k, t), e_bar = beta * Rk;
        beta_bar = multiply_add(ws.e(i, t), Rk, beta_bar);
        v_bar(i, t) += e_bar;
        detail::add_column(S(beta * ws.e(i, t)), ws.memory_bar, i, k_bar, t);
        detail::add_column(S(-e_bar), ws.memories, t * n + i, k_bar, t);
        detail::add_column(S(-e_bar), k, t, ws.memory_bar, i);
      }
      ws.beta_bar[t] = beta_bar * beta * (S(1) - beta);
    }
    detail::affine_vjp(c.rate, X, ws.beta_bar, c_bar.rate, c_bar.rate_bias, X_bar);
    Keys::vjp(k, ws.inverse_length, k_bar);
    maps_.read_vjp(c.maps, X, X_bar, c_bar.maps, ws.maps);
  }

  /// Maps with LeCun's initial values; step sizes of 1/2 for every pair.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    maps_.draw(p.maps, stream);
  }

 private:
  Projections maps_;
};

}  // namespace gdssm
