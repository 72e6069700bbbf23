// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/core/kernels.hpp"
#include "gdssm/core/view.hpp"

// What learning rules are made of. With memory S (Values x Keys), decay D, elementwise product *,
//     K(D, p, kappa, y):   S~ = S * D,   e = y - S~ p  (after the decay)  or  e = y - S p  (before it),
//                          S' = S~ + e kappa^T                                                       (22)
// is three moves, each with its VJP: decay, error, write. No move divides, so decays of 0 and 1 and keys of length 0
// are nothing special. Matrices are arrays or views; R is the cotangent of the memory.
namespace gdssm::recurrences {

namespace detail {

/// An array or a view, to be read.
template <class T, Index Rows, Index Cols>
View<const T, Rows, Cols> seen(const View<T, Rows, Cols>& x) {
  return x;
}
/// An array or a view, to be read.
template <class T, Index Rows, Index Cols>
View<const T, Rows, Cols> seen(const Array<T, Rows, Cols>& x) {
  return x.view();
}
/// An array or a view, to be written.
template <class T, Index Rows, Index Cols>
View<T, Rows, Cols> written(const View<T, Rows, Cols>& x) {
  return x;
}
/// An array or a view, to be written.
template <class T, Index Rows, Index Cols>
View<T, Rows, Cols> written(Array<T, Rows, Cols>& x) {
  return x.view();
}

}  // namespace detail

/// D = 1.
struct NoDecay {};

/// D = alpha, one number.
template <class Number>
struct Decay {
  Number& alpha;  ///< (1 x 1)
};
template <class Number>
Decay(Number&) -> Decay<Number>;

/// D_ij = alpha_j, one number for each channel of the keys.
template <class Vector>
struct KeyDecay {
  Vector& alpha;  ///< (Keys)
};
template <class Vector>
KeyDecay(Vector&) -> KeyDecay<Vector>;

/// D_ij = alpha_i, one number for each channel of the values.
template <class Vector>
struct ValueDecay {
  Vector& alpha;  ///< (Values)
};
template <class Vector>
ValueDecay(Vector&) -> ValueDecay<Vector>;

/// S <- S * D.
template <class Memory>
void decay(NoDecay, Memory&) {}
template <class Number, class Memory>
void decay(Decay<Number> D, Memory& memory) {
  for (Index e = 0; e < memory.size(); ++e) memory[e] = D.alpha[0] * memory[e];
}
template <class Vector, class Memory>
void decay(KeyDecay<Vector> D, Memory& memory) {
  for (Index j = 0; j < memory.cols(); ++j)
    for (Index i = 0; i < memory.rows(); ++i) memory(i, j) = D.alpha[j] * memory(i, j);
}
template <class Vector, class Memory>
void decay(ValueDecay<Vector> D, Memory& memory) {
  for (Index j = 0; j < memory.cols(); ++j)
    for (Index i = 0; i < memory.rows(); ++i) memory(i, j) = D.alpha[i] * memory(i, j);
}

/// VJP of `decay`: D_bar += R * S, summed over what shares the decay, and R <- R * D.
template <class Memory>
void decay_vjp(NoDecay, const Memory&, NoDecay, Memory&) {}
template <class Number, class Memory, class NumberBar>
void decay_vjp(Decay<Number> D, const Memory& before, Decay<NumberBar> D_bar, Memory& R) {
  using S = typename Memory::Scalar;
  kernels::column_sums<S>(
      R.rows(), R.cols(), [&](Index i, Index j, S& sum) { sum = multiply_add(R(i, j), before(i, j), sum); },
      [&](Index, const S& sum) { D_bar.alpha[0] += sum; });
  decay(D, R);
}
template <class Vector, class Memory, class VectorBar>
void decay_vjp(KeyDecay<Vector> D, const Memory& before, KeyDecay<VectorBar> D_bar, Memory& R) {
  using S = typename Memory::Scalar;
  kernels::column_sums<S>(
      R.rows(), R.cols(), [&](Index i, Index j, S& sum) { sum = multiply_add(R(i, j), before(i, j), sum); },
      [&](Index j, const S& sum) { D_bar.alpha[j] += sum; });
  decay(D, R);
}
template <class Vector, class Memory, class VectorBar>
void decay_vjp(ValueDecay<Vector> D, const Memory& before, ValueDecay<VectorBar> D_bar, Memory& R) {
  for (Index j = 0; j < R.cols(); ++j)
    for (Index i = 0; i < R.rows(); ++i) D_bar.alpha[i] = multiply_add(R(i, j), before(i, j), D_bar.alpha[i]);
  decay(D, R);
}

/// S * D, in `room` where there is a decay.
template <class Memory>
const Memory& decayed(NoDecay, const Memory& memory, Memory&) {
  return memory;
}
template <class D, class Memory>
const Memory& decayed(const D& by, const Memory& memory, Memory& room) {
  for (Index e = 0; e < memory.size(); ++e) room[e] = memory[e];
  decay(by, room);
  return room;
}

/// e = y - S p.
template <class Memory, class P, class Y, class E>
void error(const Memory& memory, const P& p, const Y& y, E& e) {
  kernels::multiply(detail::seen(memory), detail::seen(p), detail::written(e));
  for (Index i = 0; i < e.rows(); ++i) e[i] = y[i] - e[i];
}
/// VJP of `error`: p_bar += -S^T e_bar, R += -e_bar p^T; y_bar is e_bar.
template <class Memory, class P, class E, class PBar>
void error_vjp(const Memory& memory, const P& p, const E& e_bar, PBar& p_bar, Memory& R) {
  using S = typename Memory::Scalar;
  kernels::column_sums<S>(
      R.rows(), R.cols(), [&](Index i, Index j, S& sum) { sum = multiply_add(memory(i, j), e_bar[i], sum); },
      [&](Index j, const S& sum) {
        p_bar[j] -= sum;
        const S less = -p[j];
        for (Index i = 0; i < R.rows(); ++i) R(i, j) = multiply_add(e_bar[i], less, R(i, j));
      });
}

/// S <- S + e kappa^T.
template <class E, class Kappa, class Memory>
void write(const E& e, const Kappa& kappa, Memory& memory) {
  kernels::add_outer(detail::seen(e), detail::seen(kappa), detail::written(memory));
}
/// VJP of `write`: e_bar = R kappa, kappa_bar = R^T e; both are set, not added to.
template <class E, class Kappa, class Memory, class EBar, class KappaBar>
void write_vjp(const E& e, const Kappa& kappa, const Memory& R, EBar& e_bar, KappaBar& kappa_bar) {
  kernels::multiply(detail::seen(R), detail::seen(kappa), detail::written(e_bar));
  kernels::multiply_transposed(detail::seen(R), detail::seen(e), detail::written(kappa_bar));
}

/// to += factor from.
template <class Factor, class From, class To>
void add_scaled(const Factor& factor, const From& from, To&& to) {
  for (Index i = 0; i < to.size(); ++i) to[i] = multiply_add(factor, from[i], to[i]);
}
/// to += from.
template <class From, class To>
void add(const From& from, To&& to) {
  for (Index i = 0; i < to.size(); ++i) to[i] += from[i];
}
/// to = factor from.
template <class Factor, class From, class To>
void scaled(const Factor& factor, const From& from, To&& to) {
  for (Index i = 0; i < to.size(); ++i) to[i] = factor * from[i];
}
/// to += x * y, elementwise.
template <class X, class Y, class To>
void add_product(const X& x, const Y& y, To&& to) {
  for (Index i = 0; i < to.size(); ++i) to[i] = multiply_add(x[i], y[i], to[i]);
}
/// to = x * y, elementwise.
template <class X, class Y, class To>
void product(const X& x, const Y& y, To&& to) {
  for (Index i = 0; i < to.size(); ++i) to[i] = x[i] * y[i];
}
/// to += <x, y>, one number.
template <class X, class Y, class To>
void add_dot(const X& x, const Y& y, To&& to) {
  auto sum = to[0];
  for (Index i = 0; i < x.size(); ++i) sum = multiply_add(x[i], y[i], sum);
  to[0] = sum;
}

/// S <- S + beta v k^T, for a number beta.
template <class Number, class V, class K, class Memory, class Workspace>
void write_rated(const Number& beta, const V& v, const K& k, Memory& memory, Workspace& ws) {
  scaled(beta[0], v, ws.e);
  write(ws.e, k, memory);
}
/// VJP of `write_rated`: v_bar += beta R k, k_bar += beta R^T v, beta_bar += v^T R k.
template <class Number, class V, class K, class Memory, class NumberBar, class VBar, class KBar, class Workspace>
void write_rated_vjp(const Number& beta, const V& v, const K& k, const Memory& R, NumberBar&& beta_bar, VBar& v_bar,
                     KBar& k_bar, Workspace& ws) {
  scaled(beta[0], v, ws.e);
  write_vjp(ws.e, k, R, ws.y_bar, ws.kappa_bar);
  add_dot(v, ws.y_bar, beta_bar);
  add_scaled(beta[0], ws.y_bar, v_bar);
  add(ws.kappa_bar, k_bar);
}
/// VJP of `write` that adds: v_bar += R k, k_bar += R^T v.
template <class V, class K, class Memory, class VBar, class KBar, class Workspace>
void add_write_vjp(const V& v, const K& k, const Memory& R, VBar& v_bar, KBar& k_bar, Workspace& ws) {
  write_vjp(v, k, R, ws.y_bar, ws.kappa_bar);
  add(ws.y_bar, v_bar);
  add(ws.kappa_bar, k_bar);
}

/// K(D, p, kappa, y), the error after the decay. Leaves e in the workspace.
template <class D, class P, class Kappa, class Y, class Memory, class Workspace>
void core_after(const D& by, const P& p, const Kappa& kappa, const Y& y, Memory& memory, Workspace& ws) {
  decay(by, memory);
  error(memory, p, y, ws.e);
  write(ws.e, kappa, memory);
}
/// VJP of `core_after`: R becomes the cotangent of the memory before, D_bar is added to, and the workspace gets
/// p_bar, kappa_bar and y_bar:                                                                       (23)
///     y_bar = e_bar = R kappa,   kappa_bar = R^T e,   p_bar = -S~^T e_bar,   R~ = R - e_bar p^T,
///     D_bar += R~ * S,   S_bar = R~ * D
template <class D, class P, class Kappa, class Y, class Memory, class DBar, class Workspace>
void core_after_vjp(const D& by, const P& p, const Kappa& kappa, const Y& y, const Memory& before, Memory& R,
                    const DBar& by_bar, Workspace& ws) {
  const Memory& S = decayed(by, before, ws.decayed);
  error(S, p, y, ws.e);
  write_vjp(ws.e, kappa, R, ws.y_bar, ws.kappa_bar);
  ws.p_bar.fill({});
  error_vjp(S, p, ws.y_bar, ws.p_bar, R);
  decay_vjp(by, before, by_bar, R);
}

/// K(D, p, kappa, y), the error before the decay. Leaves e in the workspace.
template <class D, class P, class Kappa, class Y, class Memory, class Workspace>
void core_before(const D& by, const P& p, const Kappa& kappa, const Y& y, Memory& memory, Workspace& ws) {
  error(memory, p, y, ws.e);
  decay(by, memory);
  write(ws.e, kappa, memory);
}
/// VJP of `core_before`, as of `core_after` but for p_bar = -S^T e_bar, D_bar += R * S, S_bar = R * D - e_bar p^T.
template <class D, class P, class Kappa, class Y, class Memory, class DBar, class Workspace>
void core_before_vjp(const D& by, const P& p, const Kappa& kappa, const Y& y, const Memory& before, Memory& R,
                     const DBar& by_bar, Workspace& ws) {
  error(before, p, y, ws.e);
  write_vjp(ws.e, kappa, R, ws.y_bar, ws.kappa_bar);
  decay_vjp(by, before, by_bar, R);
  ws.p_bar.fill({});
  error_vjp(before, p, ws.y_bar, ws.p_bar, R);
}

/// The chain rule of kappa = beta k, p = k, y = v after a core step's VJP:
///     k_bar += p_bar + beta kappa_bar,   beta_bar += <k, kappa_bar>,   v_bar += y_bar
template <class K, class Number, class KBar, class VBar, class NumberBar, class Workspace>
void add_rated(const K& k, const Number& beta, KBar& k_bar, VBar& v_bar, NumberBar& beta_bar, const Workspace& ws) {
  add(ws.p_bar, k_bar);
  add_scaled(beta[0], ws.kappa_bar, k_bar);
  add_dot(k, ws.kappa_bar, beta_bar);
  add(ws.y_bar, v_bar);
}

}  // namespace gdssm::recurrences
