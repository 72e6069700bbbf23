// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/key_value_projection.hpp"
#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/elimination.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/parameters.hpp"

// Ridge regression in slots: pairs and their second moments add up in the state of any diagonal recurrence, and the
// readout solves. Between them, without decay, stands recurrences::Mesa with alpha = beta = 1.
namespace gdssm {

namespace detail {

/// The rows of M and of H below it.
template <Index Values, Index Keys>
inline constexpr Index stacked = Values == Dynamic || Keys == Dynamic ? Dynamic : Values + Keys;

}  // namespace detail

/// A token's key and, as its value, v and the key below it, so that a sum of products is [M; H],
///     left = k_t,   right = [v_t; k_t],   k_t = W_K h_t,   v_t = W_V h_t
/// Shapes  h_t (Tokens), W_K (Keys x Tokens), W_V (Values x Tokens), right (Values + Keys)        VJP  `step_vjp`
template <Index Keys = Dynamic, Index Values = Keys, Index Tokens = Keys>
class MomentProjection : public KeyValueProjection<1, Keys, Values, Tokens> {
  using Base = KeyValueProjection<1, Keys, Values, Tokens>;

 public:
  static constexpr Index cols = detail::stacked<Values, Keys>;
  template <class T>
  using Coefficients = typename Base::template Coefficients<T>;

  MomentProjection(Index token_size, Index key_size, Index value_size) : Base(token_size, key_size, value_size) {}

  Index col_count() const { return Base::col_count() + this->row_count(); }

  template <class T>
  struct Workspace {
    Array<T, Keys, 1> left;   ///< k_t
    Array<T, cols, 1> right;  ///< v_t, k_t
  };
  template <class T>
  Workspace<T> workspace() const {
    return {{this->row_count(), 1}, {col_count(), 1}};
  }

  /// One token's factors.
  template <class P, class S>
  Factors<const S, Keys, cols, 1> step(const Coefficients<P>& c, View<const S, Tokens, 1> token,
                                       Workspace<S>& ws) const {
    const View<S, Keys, 1> k = ws.left.view();
    kernels::multiply(c.key.view(), token, k);
    kernels::multiply(c.value.view(), token, value(ws.right.view()));
    detail::copy(k.as_const(), key(ws.right.view()));
    return {ws.left.view(), ws.right.view()};
  }

  /// VJP of `step`, as of `KeyValueProjection`; the key's cotangents add up.
  template <class P, class S>
  void step_vjp(const Coefficients<P>& c, View<const S, Tokens, 1> token, View<const S, Keys, 1> left_bar,
                View<const S, cols, 1> right_bar, Coefficients<S>& c_bar, View<S, Tokens, 1> token_bar) const {
    Base::step_vjp(c, token, left_bar, value(right_bar), c_bar, token_bar);
    kernels::multiply_vjp(c.key, token, key(right_bar), c_bar.key, token_bar);
  }

 private:
  template <class T>
  View<T, Values, 1> value(View<T, cols, 1> right) const {
    return {right.data(), Base::col_count(), 1};
  }
  template <class T>
  View<T, Keys, 1> key(View<T, cols, 1> right) const {
    return {right.data() + Base::col_count(), this->row_count(), 1};
  }
};

/// The readout of a state Z_t^T = [M_t; H_t] that answers the gate's query by ridge regression: with rho = exp(l),
///     yhat_t = -C M_t x,   x = (H_t + diag(rho))^{-1} o_t                                          (B9)
/// H_t + diag(rho) must have no pivot of zero, as where H_t is positive semidefinite.
/// Shapes  C (Outputs x Values), l (Keys), Z_t^T (Values + Keys x Keys), o_t (Keys)
/// Source  von Oswald et al., arXiv:2309.05858        VJP  `step_vjp`
template <Index Outputs = Dynamic, Index Values = Outputs, Index Keys = Values>
class RidgeReadout : public PlainBlock<RidgeReadout<Outputs, Values, Keys>>, public Stateless {
 public:
  static constexpr Index outputs = Outputs;
  static constexpr Index cols = detail::stacked<Values, Keys>;

  RidgeReadout(Index output_count, Index value_count, Index key_count)
      : outputs_(detail::fixed_or<Outputs>(output_count)),
        values_(detail::fixed_or<Values>(value_count)),
        keys_(detail::fixed_or<Keys>(key_count)) {
    if (output_count < 1 || value_count < 1 || key_count < 1)
      refuse("RidgeReadout", "there are ", output_count, " outputs, ", value_count, " values and ", key_count,
             " keys, expected at least 1 of each");
    if (Outputs != Dynamic) expect_equal("RidgeReadout", "the number of outputs", output_count, Outputs);
    if (Values != Dynamic) expect_equal("RidgeReadout", "the number of values", value_count, Values);
    if (Keys != Dynamic) expect_equal("RidgeReadout", "the number of keys", key_count, Keys);
  }

  Index output_count() const { return outputs_.value(); }
  Index col_count() const { return values_.value() + row_count(); }
  Index row_count() const { return keys_.value(); }  ///< rows of the state that it reads, the keys' length

  template <class Storage>
  struct Weights {
    MatrixIn<Storage, Outputs, Values> C;  ///< readout (Outputs x Values)
    MatrixIn<Storage, Keys, 1> log_ridge;  ///< l (Keys)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"C"}, self.C...);
      visitor(Name{"log_ridge"}, self.log_ridge...);
    }
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  template <class T>
  struct Workspace {
    Array<T, Keys, Keys> factors;  ///< of H + diag(rho)
    Array<T, Keys, 1> rho;
    Array<T, Keys, 1> x;  ///< the memory's cotangent is v x^T
    Array<T, cols, 1> v;  ///< of M and of H
    Array<T, cols, 1> u;  ///< M x, and H x below it
    Array<T, Keys, 1> y;  ///< (H + diag(rho))^{-T} M^T v
    Array<T, Outputs, 1> minus_g;
  };

  template <class Storage>
  Weights<Storage> weights() const {
    return {zeros_in<Storage, Outputs, Values>(output_count(), values_.value()),
            zeros_in<Storage, Keys, 1>(row_count(), 1)};
  }
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Keys, 1> key(row_count(), 1);
    const Array<T, cols, 1> column(col_count(), 1);
    return {{row_count(), row_count()}, key, key, column, column, key, {output_count(), 1}};
  }

  /// C = 0, as of `ResidualReadout`, and rho = 1.
  template <class P>
  void draw(Parameters<P>&, RandomStream<>&) const {}

  /// yhat = -C M x.
  template <class P, class S, Index Rows>
  void step(const Coefficients<P>& c, View<const S, cols, Rows> memory, View<const S, Rows, 1> o,
            View<S, Outputs, 1> prediction, Workspace<S>& ws) const {
    using std::exp;
    const Index values = values_.value();
    for (Index j = 0; j < row_count(); ++j) {
      for (Index i = 0; i < row_count(); ++i) ws.factors(i, j) = memory(values + i, j);
      ws.rho[j] = S(exp(P(c.log_ridge[j])));
      ws.factors(j, j) += ws.rho[j];
      ws.x[j] = o[j];
    }
    detail::factorise(ws.factors);
    detail::solve(ws.factors, ws.x);
    kernels::multiply(memory, View<const S, Rows, 1>(ws.x.view()), ws.u.view());
    kernels::multiply(c.C.view(), top(ws.u), prediction);
    for (Index i = 0; i < prediction.size(); ++i) prediction[i] = -prediction[i];
  }

  /// VJP of `step` for the prediction's cotangent g, right after it in the same workspace. With p = -C^T g and
  /// y = (H + diag(rho))^{-T} M^T p:  C_bar -= g (M x)^T,  o_bar = y,  l_bar -= rho * y * x,  and the memory's
  /// cotangent is [p; -y] x^T.
  template <class P, class S, Index Rows>
  void step_vjp(const Coefficients<P>& c, View<const S, cols, Rows> memory, View<const S, Outputs, 1> g,
                Coefficients<S>& c_bar, View<S, Rows, 1> o_bar, Workspace<S>& ws) const {
    const Index values = values_.value();
    for (Index i = 0; i < output_count(); ++i) ws.minus_g[i] = -g[i];
    const View<const S, Outputs, 1> minus_g = ws.minus_g.view();
    kernels::add_outer(minus_g, top(ws.u), c_bar.C.view());
    ws.v.fill(S(0));
    kernels::multiply_transposed(c.C.view(), minus_g, View<S, Values, 1>(ws.v.data(), values, 1));
    kernels::multiply_transposed(memory, View<const S, cols, 1>(ws.v.view()), View<S, Rows, 1>(ws.y.view()));
    detail::solve_transposed(ws.factors, ws.y);
    for (Index j = 0; j < row_count(); ++j) {
      o_bar[j] = ws.y[j];
      ws.v[values + j] = -ws.y[j];
      c_bar.log_ridge[j] = multiply_add(-ws.y[j] * ws.x[j], ws.rho[j], c_bar.log_ridge[j]);
    }
  }

 private:
  template <class S>
  View<const S, Values, 1> top(const Array<S, cols, 1>& column) const {
    return {column.data(), values_.value(), 1};
  }

  [[no_unique_address]] detail::Extent<Outputs> outputs_;
  [[no_unique_address]] detail::Extent<Values> values_;
  [[no_unique_address]] detail::Extent<Keys> keys_;
};

}  // namespace gdssm
