// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "gdssm/blocks/recurrences/ttt_linear.hpp"
#include "gdssm/core/elementary.hpp"

namespace gdssm::recurrences {

/// TTT-linear as published, with a layer norm LN(z) = w * zh + b, zh = r (z - mean z), r = (var z + eps)^(-1/2), a bias
/// c and residuals: in mini-batches of `batch` tokens, S_n and c_n the memory and the bias before one,
///     z_s = S_n k_s + c_n,   f_s = gradient by z_s of 1/2 |LN(z_s) - (v_s - k_s)|^2,
///     S_t = S_n - theta_t sum eta_s f_s k_s^T,   c_t = c_n - theta_t sum eta_s f_s,
///     o_t = q_t + LN(S_t q_t + c_t)                                                                   (42)
/// theta_t times one step on sum_s eta_s/2 |LN(S k_s + c) - (v_s - k_s)|^2 at (S_n, c_n).
/// Shapes  as `MatrixMemory`, values as long as keys; w, b (Size) for the sequence, eta, theta one number each
/// Errors  std::invalid_argument: a batch of less than one token
/// Source  Sun et al., arXiv:2407.04620        VJP  `step_vjp`, `read_vjp`
template <Index Size = Dynamic>
class TttLinearNormed : public MiniBatchMemory<Size, Size> {
  using Base = MiniBatchMemory<Size, Size>;

 public:
  /// A rule whose mini-batches have `batch` tokens.
  TttLinearNormed(Index size, Index batch, double eps = 1e-6) : Base("TttLinearNormed", size, size, batch), eps_(eps) {}
  template <class Storage>
  using Token = typename Base::template Token<Storage>;

  template <class Storage>
  struct Constants {
    MatrixIn<Storage, Size, 1> ln_weight;  ///< w
    MatrixIn<Storage, Size, 1> ln_bias;    ///< b

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"ln_weight"}, self.ln_weight...);
      visitor(Name{"ln_bias"}, self.ln_bias...);
    }
  };
  template <class Storage>
  Constants<Storage> constants() const {
    return {this->template key<Storage>(), this->template key<Storage>()};
  }

  template <class T>
  struct State {
    Array<T, Size, Size> memory, start, descent;          ///< S_t, S_n, -sum eta_s f_s k_s^T
    Array<T, Size, 1> bias, start_bias, descent_of_bias;  ///< c_t, c_n, -sum eta_s f_s
    Index position = 0;                                   ///< in the batch; at 0 only `memory` and `bias` are read

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visitor(Name{"start"}, self.start...);
      visitor(Name{"descent"}, self.descent...);
      visitor(Name{"bias"}, self.bias...);
      visitor(Name{"start_bias"}, self.start_bias...);
      visitor(Name{"descent_of_bias"}, self.descent_of_bias...);
    }
    template <class Visitor, class... Self>
    static void visit_counters(Visitor&& visitor, Self&&... self) {
      visitor(Name{"position"}, self.position...);
    }
    friend bool operator==(const State&, const State&) = default;
  };
  template <class T>
  State<T> initial_state() const {
    const Array<T, Size, Size> memory = this->template memory<T>();
    const Array<T, Size, 1> bias(this->key_count(), 1);
    return {memory, memory, memory, bias, bias, bias};
  }

  template <class T>
  struct Workspace : MatrixWorkspace<T, Size, Size> {
    Array<T, Size, 1> normed, slope, descent;  ///< zh, u = w * (LN(z) - (v - k)), -sum eta f
    T scale;                                   ///< r
  };
  template <class T>
  Workspace<T> workspace() const {
    const Array<T, Size, 1> key(this->key_count(), 1);
    return {Base::template workspace<T>(), key, key, key, T(0)};
  }

  /// One step of the recurrence.
  template <class S>
  void step(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x, State<S>& state,
            Workspace<S>& ws) const {
    if (state.position == 0) {
      state.start = state.memory;
      state.start_bias = state.bias;
      state.descent.fill(S(0));
      state.descent_of_bias.fill(S(0));
    }
    find_descent(c, x, state.start, state.start_bias, ws);
    write_rated(x.eta, ws.y, x.k, state.descent, ws);
    add_scaled(x.eta[0], ws.y, state.descent_of_bias);
    state.memory = state.start;
    state.bias = state.start_bias;
    add_scaled(x.theta[0], state.descent, state.memory);
    add_scaled(x.theta[0], state.descent_of_bias, state.bias);
    state.position = (state.position + 1) % this->batch();
  }
  /// VJP of `step`: as of `TttLinear` with e = -f, and likewise for c, h = -sum eta f. With J u = r (u - mean u -
  /// zh mean(zh * u)), f = J u, u = w * (w * zh + b - (v - k)), f_bar = -eta (R_G k + h_bar):
  ///     eta_bar -= <f, R_G k + h_bar>,   k_bar -= eta R_G^T f,   u_bar = J f_bar,
  ///     w_bar += u_bar * (2 w * zh + b - (v - k)),   b_bar += w * u_bar,   v_bar -= w * u_bar,   k_bar += w * u_bar,
  ///     zh_bar = w * w * u_bar - r (mean(u * zh) f_bar + mean(f_bar * zh) u),
  ///     z_bar = J zh_bar - (r/Size) zh <f_bar, f>,   k_bar += S_n^T z_bar,   R_n += z_bar k^T,   c_n_bar += z_bar
  template <class S>
  void step_vjp(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x, const State<S>& before,
                State<S>& state_bar, Constants<InArrays<S>>& c_bar, const Token<InViews<S>>& x_bar,
                Workspace<S>& ws) const {
    const bool first = before.position == 0;
    const Array<S, Size, Size>& start = first ? before.memory : before.start;
    const Array<S, Size, 1>& start_bias = first ? before.bias : before.start_bias;
    find_descent(c, x, start, start_bias, ws);
    ws.decayed.fill(S(0));
    ws.descent.fill(S(0));
    if (!first) ws.decayed = before.descent, ws.descent = before.descent_of_bias;
    write_rated(x.eta, ws.y, x.k, ws.decayed, ws);
    add_scaled(x.eta[0], ws.y, ws.descent);

    add(state_bar.memory, state_bar.start);
    add(state_bar.bias, state_bar.start_bias);
    add_dot(state_bar.memory, ws.decayed, x_bar.theta);
    add_dot(state_bar.bias, ws.descent, x_bar.theta);
    add_scaled(x.theta[0], state_bar.memory, state_bar.descent);
    add_scaled(x.theta[0], state_bar.bias, state_bar.descent_of_bias);
    state_bar.memory.fill(S(0));
    state_bar.bias.fill(S(0));

    ws.error_bar.fill(S(0));
    write_rated_vjp(x.eta, ws.y, x.k, state_bar.descent, x_bar.eta, ws.error_bar, x_bar.k, ws);
    add_dot(ws.y, state_bar.descent_of_bias, x_bar.eta);
    add_scaled(x.eta[0], state_bar.descent_of_bias, ws.error_bar);
    scaled(S(-1), ws.error_bar, ws.e);  // f_bar
    pull_back_gradient(c, x, c_bar, x_bar, ws);
    scaled(S(-1), ws.p_bar, ws.e);  // error_vjp takes the error's sign
    error_vjp(start, x.k, ws.e, x_bar.k, state_bar.start);
    add(ws.p_bar, state_bar.start_bias);
    if (!first) return;
    state_bar.memory = state_bar.start;
    state_bar.bias = state_bar.start_bias;
    for (auto* matrix : {&state_bar.start, &state_bar.descent}) matrix->fill(S(0));
    for (auto* column : {&state_bar.start_bias, &state_bar.descent_of_bias}) column->fill(S(0));
  }

  /// o = q + LN(S q + c).
  template <class S>
  void read(const Constants<InArrays<S>>& c, const State<S>& state, View<const S, Size, 1> q, View<S, Size, 1> o,
            Workspace<S>& ws) const {
    normalise(state.memory, state.bias, q, ws);
    for (Index i = 0; i < o.size(); ++i) o[i] = q[i] + multiply_add(c.ln_weight[i], ws.normed[i], c.ln_bias[i]);
  }
  /// VJP of `read`: w_bar += o_bar * zh, b_bar += o_bar, z_bar = J (w * o_bar), q_bar += o_bar + S^T z_bar,
  /// R += z_bar q^T, c's += z_bar.
  template <class S>
  void read_vjp(const Constants<InArrays<S>>& c, const State<S>& state, View<const S, Size, 1> q,
                View<const S, Size, 1> o_bar, State<S>& state_bar, Constants<InArrays<S>>& c_bar,
                View<S, Size, 1> q_bar, Workspace<S>& ws) const {
    normalise(state.memory, state.bias, q, ws);
    add_product(o_bar, ws.normed, c_bar.ln_weight);
    add(o_bar, c_bar.ln_bias);
    product(c.ln_weight, o_bar, ws.p);
    through_norm(ws.p, ws, ws.p_bar);
    kernels::multiply_transposed(state.memory.view(), detail::seen(ws.p_bar), ws.sum.view());
    add(o_bar, q_bar);
    add(ws.sum, q_bar);
    write(ws.p_bar, q, state_bar.memory);
    add(ws.p_bar, state_bar.bias);
  }

 private:
  /// <x, y> / Size.
  template <class X, class Y>
  static auto mean_product(const X& x, const Y& y) {
    auto sum = x[0] * y[0];
    for (Index i = 1; i < x.size(); ++i) sum = multiply_add(x[i], y[i], sum);
    return sum / decltype(sum)(static_cast<float>(x.size()));
  }
  template <class X>
  static auto mean(const X& x) {
    auto sum = x[0];
    for (Index i = 1; i < x.size(); ++i) sum += x[i];
    return sum / decltype(sum)(static_cast<float>(x.size()));
  }

  /// zh and r of z = S k + c.
  template <class S>
  void normalise(const Array<S, Size, Size>& memory, const Array<S, Size, 1>& bias, View<const S, Size, 1> k,
                 Workspace<S>& ws) const {
    using std::sqrt;
    kernels::multiply(memory.view(), k, ws.normed.view());
    add(bias, ws.normed);
    const S middle = mean(ws.normed);
    for (Index i = 0; i < k.size(); ++i) ws.normed[i] -= middle;
    ws.scale = S(1) / sqrt(mean_product(ws.normed, ws.normed) + gdssm::detail::constant<S>(eps_));
    scaled(ws.scale, ws.normed, ws.normed);
  }
  /// J u = r (u - mean u - zh mean(zh * u)), which is J^T u.
  template <class S>
  static void through_norm(const Array<S, Size, 1>& u, const Workspace<S>& ws, Array<S, Size, 1>& Ju) {
    const S middle = mean(u), along = mean_product(ws.normed, u);
    for (Index i = 0; i < u.size(); ++i) Ju[i] = ws.scale * (u[i] - middle - ws.normed[i] * along);
  }
  /// Into y, -f at k, S_n, c_n.
  template <class S>
  void find_descent(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x,
                    const Array<S, Size, Size>& start, const Array<S, Size, 1>& start_bias, Workspace<S>& ws) const {
    normalise(start, start_bias, x.k, ws);
    for (Index i = 0; i < x.k.size(); ++i)
      ws.slope[i] = c.ln_weight[i] * (multiply_add(c.ln_weight[i], ws.normed[i], c.ln_bias[i]) - (x.v[i] - x.k[i]));
    through_norm(ws.slope, ws, ws.y);
    scaled(S(-1), ws.y, ws.y);
  }
  /// From f_bar in e, where y is -f, z_bar into p_bar.
  template <class S>
  static void pull_back_gradient(const Constants<InArrays<S>>& c, const Token<InViews<const S>>& x,
                                 Constants<InArrays<S>>& c_bar, const Token<InViews<S>>& x_bar, Workspace<S>& ws) {
    const S m = mean_product(ws.slope, ws.normed), n = mean_product(ws.e, ws.normed), l = mean_product(ws.e, ws.y);
    through_norm(ws.e, ws, ws.p);  // u_bar
    for (Index i = 0; i < x.k.size(); ++i) {
      const S w = c.ln_weight[i], aim = x.v[i] - x.k[i], by_w = w * ws.p[i];
      c_bar.ln_weight[i] += ws.p[i] * (S(2) * w * ws.normed[i] + c.ln_bias[i] - aim);
      c_bar.ln_bias[i] += by_w;
      x_bar.v[i] -= by_w;
      x_bar.k[i] += by_w;
      ws.kappa[i] = w * by_w - ws.scale * (m * ws.e[i] + n * ws.slope[i]);  // zh_bar
    }
    through_norm(ws.kappa, ws, ws.p_bar);
    add_scaled(ws.scale * l, ws.normed, ws.p_bar);
  }

  double eps_;
};

}  // namespace gdssm::recurrences
