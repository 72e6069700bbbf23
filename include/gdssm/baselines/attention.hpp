// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/core/elementary.hpp"
#include "gdssm/core/initial_laws.hpp"

namespace gdssm {

/// Softmax self-attention on a context: every column attends to those that are written, of a mask of pairs and a query
/// to the pairs, with q_t = W_Q h_t, k_t = W_K h_t and v_t = W_V h_t, (B5),
///     o_t = sum_i p_ti v_i,   p_t = softmax_i(<k_i, q_t> / sqrt(keys)),   layer(H)_t = W_O o_t     (B6)
/// It reads a context as a whole and has no state. A mask must leave something written.
/// Shapes  W_Q, W_K (keys x width), W_V (values x width), W_O (width x values)
/// Source  von Oswald et al., arXiv:2212.07677        VJP  `columns_vjp`
class SoftmaxAttention : public PlainBlock<SoftmaxAttention>, public Stateless {
 public:
  /// For contexts of so many pairs at most.
  SoftmaxAttention(Index width, Index keys, Index values, Index pairs)
      : width_(detail::expect_size("SoftmaxAttention", "width", width)),
        keys_(detail::expect_size("SoftmaxAttention", "number of keys' coordinates", keys)),
        values_(detail::expect_size("SoftmaxAttention", "number of values' coordinates", values)),
        pairs_(detail::expect_size("SoftmaxAttention", "number of pairs", pairs)) {}
  Index width() const { return width_; }
  Index context() const { return pairs_ + 1; }  ///< columns of the longest context

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> query, key, value, output;  ///< W_Q, W_K, W_V, W_O of (B5)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"query"}, self.query...);
      visitor(Name{"key"}, self.key...);
      visitor(Name{"value"}, self.value...);
      visitor(Name{"output"}, self.output...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage>(keys_, width_), zeros_in<Storage>(keys_, width_), zeros_in<Storage>(values_, width_),
            zeros_in<Storage>(width_, values_)};
  }

  template <class T>
  struct History {
    Array<T> q, k, v, o, q_bar, k_bar, v_bar, o_bar;  ///< (d x N), a head below the other
    Array<T> p, p_bar;                                ///< weights, a query a column (N x T)
  };
  template <class T>
  History<T> history(Index length) const {
    const Array<T> keys(keys_, length), values(values_, length), weights(length, length);
    return {keys, keys, values, values, keys, keys, values, values, weights, weights};
  }

  template <class P, class S>
  void columns(const Coefficients<P>& c, View<const S> X, const S* mask, State<S>&, View<S> Y, History<S>& h) const {
    const Index T = X.cols();
    detail::map(T, c.query, X, h.q);
    detail::map(T, c.key, X, h.k);
    detail::map(T, c.value, X, h.v);
    h.o.fill(S(0));
    for (Index t = 0; t < T; ++t) {
      S* const p = &h.p(0, t);
      for (Index i = 0; i < T; ++i) p[i] = scale<S>() * product(h.k, i, h.q, t);
      softmax(p, mask, T);
      for (Index i = 0; i < T; ++i) add_column(p[i], h.v, i, h.o, t);
    }
    detail::map(T, c.output, h.o, Y);
  }

  /// Of o_t = sum_i p_ti v_i:  p_bar_ti = <v_i, o_bar_t>,  v_bar_i += p_ti o_bar_t;  of the softmax of s:
  /// s_bar_i = p_i (p_bar_i - sum_j p_j p_bar_j);  of s_ti = <k_i, q_t> / sqrt(keys):
  /// q_bar_t += s_bar_ti / sqrt(keys) k_i,  k_bar_i += s_bar_ti / sqrt(keys) q_t.
  template <class P, class S>
  void columns_vjp(const Coefficients<P>& c, View<const S> X, const S*, View<const S> Y_bar, State<S>&, View<S> X_bar,
                   Coefficients<S>& c_bar, History<S>& h) const {
    const Index T = X.cols();
    for (Array<S>* const bar : {&h.q_bar, &h.k_bar, &h.v_bar, &h.o_bar}) bar->fill(S(0));
    detail::map_vjp(T, c.output, h.o, Y_bar, c_bar.output, h.o_bar);
    for (Index t = 0; t < T; ++t) {
      S mean = S(0);
      for (Index i = 0; i < T; ++i) {
        h.p_bar(i, t) = product(h.v, i, h.o_bar, t);
        add_column(h.p(i, t), h.o_bar, t, h.v_bar, i);
        mean = multiply_add(h.p(i, t), h.p_bar(i, t), mean);
      }
      for (Index i = 0; i < T; ++i) {
        const S s_bar = scale<S>() * (h.p(i, t) * (h.p_bar(i, t) - mean));
        add_column(s_bar, h.k, i, h.q_bar, t);
        add_column(s_bar, h.q, t, h.k_bar, i);
      }
    }
    detail::map_vjp(T, c.query, X, h.q_bar, c_bar.query, X_bar);
    detail::map_vjp(T, c.key, X, h.k_bar, c_bar.key, X_bar);
    detail::map_vjp(T, c.value, X, h.v_bar, c_bar.value, X_bar);
  }

  /// W_Q, W_K and W_V by LeCun's law, W_O zero.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    for (auto* const W : {&p.query, &p.key, &p.value}) detail::draw_map(*W, stream);
  }

 private:
  template <class S>
  S scale() const {
    return detail::constant<S>(1 / std::sqrt(static_cast<double>(keys_)));
  }
  /// Turns n products into weights, in place: zero where a mask is.
  template <class S>
  static void softmax(S* s, const S* mask, Index n) {
    using std::exp;
    S most = s[0], sum = S(0);
    for (Index i = 1; i < n; ++i) most = larger(most, s[i]);
    for (Index i = 0; i < n; ++i) {
      s[i] = exp(s[i] - most);
      if (mask) s[i] = select(mask[i], s[i], S(0));
      sum += s[i];
    }
    for (Index i = 0; i < n; ++i) s[i] = s[i] / sum;
  }
  /// sum_r A(r, i) B(r, j)
  template <class S>
  static S product(const Array<S>& A, Index i, const Array<S>& B, Index j) {
    S sum = S(0);
    for (Index r = 0; r < A.rows(); ++r) sum = multiply_add(A(r, i), B(r, j), sum);
    return sum;
  }
  /// Adds w times column i of A to column j of B.
  template <class S>
  static void add_column(const S& w, const Array<S>& A, Index i, Array<S>& B, Index j) {
    for (Index r = 0; r < A.rows(); ++r) B(r, j) = multiply_add(w, A(r, i), B(r, j));
  }

  Index width_, keys_, values_, pairs_;
};

/// (B6) as a layer.
using SoftmaxAttentionLayer = ColumnLayer<SoftmaxAttention>;

}  // namespace gdssm
