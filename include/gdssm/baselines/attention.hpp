// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/projections.hpp"
#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm {

/// Weights of linear attention: the products of keys and query themselves.
struct LinearWeighting {
  static double scale(Index) { return 1; }  ///< of the products <k_i, q>
  /// Turns N products for one query into N weights, in place.
  template <class S>
  static void weigh(S*, Index) {}
  /// VJP of `weigh`: turns cotangents of weights into those of products, in place.
  template <class S>
  static void weigh_vjp(const S*, S*, Index) {}
};

/// Weights of softmax attention: exp(s_i) / sum_j exp(s_j), with s the products over the square root of a key's length.
struct SoftmaxWeighting {
  static double scale(Index keys) { return 1 / std::sqrt(static_cast<double>(keys)); }  ///< of the products <k_i, q>
  /// Turns n products into weights, in place.
  template <class S>
  static void weigh(S* s, Index n) {
    using std::exp;
    S most = s[0], sum = S(0);
    for (Index i = 1; i < n; ++i) most = larger(most, s[i]);
    for (Index i = 0; i < n; ++i) {
      s[i] = exp(s[i] - most);
      sum += s[i];
    }
    for (Index i = 0; i < n; ++i) s[i] = s[i] / sum;
  }
  /// s_bar_i = p_i (p_bar_i - sum_j p_j p_bar_j)
  template <class S>
  static void weigh_vjp(const S* p, S* bar, Index n) {
    S mean = S(0);
    for (Index i = 0; i < n; ++i) mean = multiply_add(p[i], bar[i], mean);
    for (Index i = 0; i < n; ++i) bar[i] = p[i] * (bar[i] - mean);
  }
};

/// Self-attention on pairs: every column, including the query's, attends to the N pairs,
///     o_t = sum_{i <= N} p_ti v_i,   p_t = weighting(<k_i, q_t> scale), i = 1..N                   (B6)
/// with the products as weights (linear attention) or their softmax. Under
///     W_Q = W_K = [I 0],   W_V = I,   W_O = -diag(gamma I, a I)                                    (B7)
/// a layer of linear attention on [x; y] is the step y_i <- y_i - a M x_i, x_i <- x_i - gamma S x_i of GD++ (10b), or
/// of gradient descent for gamma = 0; the query's second half becomes minus the prediction.
/// Shapes  as `Projections`
/// Source  von Oswald et al., arXiv:2212.07677        VJP  `vjp`
template <class Weighting>
class AttentionLayer : public PlainBlock<AttentionLayer<Weighting>> {
 public:
  template <class Storage>
  using Weights = Projections::Weights<Storage>;
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  AttentionLayer(Index width, Index keys, Index values) : maps_("AttentionLayer", width, keys, values) {}
  Index width() const { return maps_.width(); }

  template <class Storage>
  Weights<Storage> weights() const {
    return maps_.weights<Storage>();
  }

  template <class T>
  struct Workspace {
    Projections::Workspace<T> maps;
    Array<T> p, p_bar;  ///< weights, a query a column (N x T)
  };
  template <class T>
  Workspace<T> workspace(Index length) const {
    return {maps_.workspace<T>(length), Array<T>(length - 1, length), Array<T>(length - 1, length)};
  }

  template <class P, class S>
  void forward(const Coefficients<P>& c, const Array<S>& X, Array<S>& Y, Workspace<S>& ws) const {
    auto& [q, k, v, o, q_bar, k_bar, v_bar, o_bar] = ws.maps;
    const Index N = ws.p.rows();
    const S scale = detail::constant<S>(Weighting::scale(maps_.keys()));
    maps_.read(c, X, ws.maps);
    o.fill(S(0));
    for (Index t = 0; t < X.cols(); ++t) {
      for (Index i = 0; i < N; ++i) ws.p(i, t) = scale * detail::column_product(k, i, q, t);
      Weighting::weigh(&ws.p(0, t), N);
      for (Index i = 0; i < N; ++i) detail::add_column(ws.p(i, t), v, i, o, t);
    }
    maps_.write(c, Y, ws.maps);
  }

  /// Of o_t = sum_i p_ti v_i:  p_bar_ti = <v_i, o_bar_t>,  v_bar_i += p_ti o_bar_t;  of s_ti = <k_i, q_t> scale:
  /// q_bar_t += s_bar_ti scale k_i,  k_bar_i += s_bar_ti scale q_t.
  template <class P, class S>
  void vjp(const Coefficients<P>& c, const Array<S>& X, const Array<S>& Y_bar, Array<S>& X_bar, Coefficients<S>& c_bar,
           Workspace<S>& ws) const {
    auto& [q, k, v, o, q_bar, k_bar, v_bar, o_bar] = ws.maps;
    const Index N = ws.p.rows();
    const S scale = detail::constant<S>(Weighting::scale(maps_.keys()));
    maps_.write_vjp(c, Y_bar, c_bar, ws.maps);
    for (Index t = 0; t < X.cols(); ++t) {
      for (Index i = 0; i < N; ++i) {
        ws.p_bar(i, t) = detail::column_product(v, i, o_bar, t);
        detail::add_column(ws.p(i, t), o_bar, t, v_bar, i);
      }
      Weighting::weigh_vjp(&ws.p(0, t), &ws.p_bar(0, t), N);
      for (Index i = 0; i < N; ++i) {
        const S s_bar = scale * ws.p_bar(i, t);
        detail::add_column(s_bar, k, i, q_bar, t);
        detail::add_column(s_bar, q, t, k_bar, i);
      }
    }
    maps_.read_vjp(c, X, X_bar, c_bar, ws.maps);
  }

  /// Random initial weights; the map out of the layer is zero.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    maps_.draw(p, stream);
  }

 private:
  Projections maps_;
};

/// (B6) with the products as weights.
using LinearAttentionLayer = AttentionLayer<LinearWeighting>;
using SoftmaxAttentionLayer = AttentionLayer<SoftmaxWeighting>;  ///< (B6) with the softmax of the products

}  // namespace gdssm
