// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/baselines/sequence_layer.hpp"

namespace gdssm {

/// Queries, keys, values and the output map of the layers that answer queries from keys and values:
///     q_t = W_Q h_t,   k_t = W_K h_t,   v_t = W_V h_t,   layer(H)_t = W_O o_t                      (B5)
/// where each layer computes its own o_t. The last column is a query: it reads what the pairs, the other columns, have
/// written, and writes nothing.
/// Shapes  W_Q, W_K (keys x width), W_V (values x width), W_O (width x values)
class Projections {
 public:
  Projections(const char* where, Index width, Index keys, Index values)
      : width_(detail::expect_size(where, "width", width)),
        keys_(detail::expect_size(where, "number of keys' coordinates", keys)),
        values_(detail::expect_size(where, "number of values' coordinates", values)) {}

  Index width() const { return width_; }
  Index keys() const { return keys_; }      ///< length of a key
  Index values() const { return values_; }  ///< length of a value

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
  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage>(keys_, width_), zeros_in<Storage>(keys_, width_), zeros_in<Storage>(values_, width_),
            zeros_in<Storage>(width_, values_)};
  }

  template <class T>
  struct Workspace {
    Array<T> q, k, v, o;
    Array<T> q_bar, k_bar, v_bar, o_bar;
  };
  template <class T>
  Workspace<T> workspace(Index length) const {
    const Array<T> keys(keys_, length), values(values_, length);
    return {keys, keys, values, values, keys, keys, values, values};
  }

  /// q_t, k_t and v_t of every column.
  template <class P, class S>
  void read(const Weights<InArrays<P>>& c, const Array<S>& X, Workspace<S>& ws) const {
    detail::map(c.query, X, ws.q);
    detail::map(c.key, X, ws.k);
    detail::map(c.value, X, ws.v);
  }
  /// W_O o_t of every column.
  template <class P, class S>
  void write(const Weights<InArrays<P>>& c, Array<S>& Y, Workspace<S>& ws) const {
    detail::map(c.output, ws.o, Y);
  }

  /// VJP of `write`: W_O_bar += Y_bar o^T, o_bar = W_O^T Y_bar. Sets the other cotangents to zero.
  template <class P, class S>
  void write_vjp(const Weights<InArrays<P>>& c, const Array<S>& Y_bar, Weights<InArrays<S>>& c_bar,
                 Workspace<S>& ws) const {
    for (Array<S>* const bar : {&ws.q_bar, &ws.k_bar, &ws.v_bar, &ws.o_bar}) bar->fill(S(0));
    detail::map_vjp(c.output, ws.o, Y_bar, c_bar.output, ws.o_bar);
  }
  /// VJP of `read`.
  template <class P, class S>
  void read_vjp(const Weights<InArrays<P>>& c, const Array<S>& X, Array<S>& X_bar, Weights<InArrays<S>>& c_bar,
                Workspace<S>& ws) const {
    detail::map_vjp(c.query, X, ws.q_bar, c_bar.query, X_bar);
    detail::map_vjp(c.key, X, ws.k_bar, c_bar.key, X_bar);
    detail::map_vjp(c.value, X, ws.v_bar, c_bar.value, X_bar);
  }

  /// W_Q, W_K and W_V with LeCun's initial values, W_O zero.
  template <class P>
  void draw(P& p, RandomStream<>& stream) const {
    for (auto* const W : {&p.query, &p.key, &p.value}) detail::draw_map(*W, stream);
  }

 private:
  Index width_, keys_, values_;
};

namespace detail {

/// sum_r A(r, i) B(r, j)
template <class S>
S column_product(const Array<S>& A, Index i, const Array<S>& B, Index j) {
  S sum = S(0);
  for (Index r = 0; r < A.rows(); ++r) sum = multiply_add(A(r, i), B(r, j), sum);
  return sum;
}

/// Adds w times column i of A to column j of B.
template <class S>
void add_column(const S& w, const Array<S>& A, Index i, Array<S>& B, Index j) {
  for (Index r = 0; r < A.rows(); ++r) B(r, j) = multiply_add(w, A(r, i), B(r, j));
}

}  // namespace detail
}  // namespace gdssm
