// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "gdssm/blocks/plain_block.hpp"
#include "gdssm/core/column_kernels.hpp"
#include "gdssm/core/error.hpp"
#include "gdssm/core/initial_laws.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/pieces.hpp"
#include "gdssm/deep/mixer.hpp"

namespace gdssm {

/// The augmented SSM as a mixer: heads side by side, each the layer (1)-(4) without the minus sign on windows of w
/// tokens with stride 1, of any width w. Of every column u_t, with p_t = W_P u_t, X_t = (p_(t-w+1), ..., p_t)^T and
/// zeros before the start,
///     S_t = L^T * S_(t-1) + X_t^T A^T X_t,   o_t = X_t^T d,   r_t = C S_t o_t                     (56)
/// with S = Z^T and L_ij = exp(Lambda_ij exp(l_j)). With C = a I, A = e_0 e_1^T, d = e_2 and L = 1 it is a step of size
/// a of gradient descent on the pairs of consecutive tokens.
/// Shapes  u (width x T), r (heads n x T), head h in rows h n, ..., h n + n - 1
/// Errors  std::invalid_argument: sizes below 1
/// Source  Sushma et al., arXiv:2410.11687v1        VJP  `vjp`
class GrilMixer : public PlainBlock<GrilMixer> {
  static constexpr Index chunk = 16;  // tokens between states that `vjp` keeps

 public:
  GrilMixer(Index width, Index heads, Index head_size, Index window)
      : width_(width), heads_(heads), n_(head_size), w_(window) {
    if (width < 1 || heads < 1 || head_size < 1 || window < 1)
      refuse("GrilMixer", "width, heads, head size and window are ", width, ", ", heads, ", ", head_size, " and ",
             window, ", expected at least 1 each");
  }

  template <class Storage>
  struct Weights {
    MatrixIn<Storage> w_p;       ///< W_P (heads n x width)
    MatrixIn<Storage> a;         ///< A of every head (w x w heads)
    MatrixIn<Storage> lambda;    ///< Lambda of every head (n x n heads)
    MatrixIn<Storage> log_step;  ///< l (n x heads)
    MatrixIn<Storage> c;         ///< C of every head (n x n heads)
    MatrixIn<Storage> d;         ///< d (w x heads)

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"w_p"}, self.w_p...);
      visitor(Name{"a"}, self.a...);
      visitor(Name{"lambda"}, self.lambda...);
      visitor(Name{"log_step"}, self.log_step...);
      visitor(Name{"c"}, self.c...);
      visitor(Name{"d"}, self.d...);
    }
  };
  template <class Storage>
  Weights<Storage> weights() const {
    return {made_in<Storage>(channels(), width_), made_in<Storage>(w_, w_ * heads_), made_in<Storage>(n_, n_ * heads_),
            made_in<Storage>(n_, heads_),         made_in<Storage>(n_, n_ * heads_), made_in<Storage>(w_, heads_)};
  }
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  /// All that later tokens depend on.
  template <class Storage>
  struct State {
    MatrixIn<Storage> state;   ///< S of every head (n x n heads)
    MatrixIn<Storage> tokens;  ///< the last p, the oldest first (heads n x w - 1)

    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      visitor(Name{"state"}, first.state, more.state...);
      if (first.tokens.cols() > 0) visitor(Name{"tokens"}, first.tokens, more.tokens...);
    }
  };
  /// No token seen.
  template <class Storage>
  State<Storage> state() const {
    return {made_in<Storage>(n_, n_ * heads_), made_in<Storage>(channels(), w_ - 1)};
  }

  /// W_P normal with variance 1 / width, A = e_(w-3) e_(w-2)^T plus normal entries of deviation 0.1, C = I,
  /// d = e_(w-1), Lambda = -1/2, exp(l) from 0.001 to 0.1, uniform in its logarithm.
  template <class P>
  void draw(const Weights<InViews<P>>& w, RandomStream<>& stream) const {
    detail::draw_normal_map(w.w_p, 1, stream);
    for (Index i = 0; i < w.a.size(); ++i) w.a[i] = static_cast<P>(0.1 * stream.normal());
    w.lambda.fill(P(-0.5));
    for (Index i = 0; i < w.log_step.size(); ++i) w.log_step[i] = static_cast<P>(detail::draw_log_step(stream));
    w.c.fill(P(0));
    w.d.fill(P(0));
    for (Index h = 0; h < heads_; ++h) {
      w.a((std::max)(w_ - 3, Index(0)), h * w_ + (std::max)(w_ - 2, Index(0))) += P(1);
      for (Index i = 0; i < n_; ++i) w.c(i, h * n_ + i) = P(1);
      w.d(w_ - 1, h) = P(1);
    }
  }

  /// What `forward` leaves for `vjp`, of up to `columns` tokens.
  template <class T>
  struct Workspace {
    Array<T> p, p_bar;           ///< tokens with those of the state in front
    Array<T> decay, decay_bar;   ///< L^T of every head, of one
    Array<T> answers, products;  ///< S_t o_t, head after head, and C S_t o_t of one
    Array<T> answers_bar, products_bar;
    Array<T> m, m_bar, o, o_bar;   ///< X_t^T A^T, and o_t, of one token
    Array<T> starts, within, bar;  ///< states before chunks and in one, their cotangent
  };
  template <class T>
  Workspace<T> workspace(Index columns) const {
    const Array<T> tokens(channels(), columns + w_ - 1), of_head(n_, columns), of_window(n_, w_), one(n_, 1);
    return {tokens,
            tokens,
            Array<T>(n_, n_ * heads_),
            Array<T>(n_, n_),
            Array<T>(n_, columns * heads_),
            of_head,
            of_head,
            of_head,
            of_window,
            of_window,
            one,
            one,
            Array<T>(n_ * n_, (columns + chunk - 1) / chunk),
            Array<T>(n_ * n_, chunk + 1),
            Array<T>(n_, n_)};
  }

  /// r of every token; moves the state on. Its bits do not depend on where a sequence is cut.
  template <class T>
  void forward(const Weights<InViews<const T>>& w, View<const T> u, const State<InViews<T>>& state, View<T> r, Along,
               Workspace<T>& ws) const {
    const View<T> p = ws.p.view().columns(0, u.cols() + w_ - 1);
    std::copy_n(state.tokens.data(), state.tokens.size(), p.data());
    kernels::multiply_columns(w.w_p, u, p.columns(w_ - 1, u.cols()));
    std::copy_n(p.data() + u.cols() * channels(), state.tokens.size(), state.tokens.data());
    for (Index h = 0; h < heads_; ++h) {
      make_decay(w, h, ws);
      T* const S = state.state.data() + h * n_ * n_;
      const View<T> answers = ws.answers.view().columns(h * u.cols(), u.cols()),
                    products = ws.products.view().columns(0, u.cols());
      answers.fill(T(0));
      for (Index t = 0; t < u.cols(); ++t) {
        step(w, h, t, ws, S);
        read_at(w, h, t, ws);
        for (Index j = 0; j < n_; ++j)
          kernels::each_piece<T>(n_, [&](const auto& at) {
            using Value = decltype(at.load(S));
            T* const answer = answers.data() + t * n_;
            at.store(answer, multiply_add(at.load(S + j * n_), Value(ws.o[j]), at.load(answer)));
          });
      }
      kernels::multiply_columns(w.c.columns(h * n_, n_), answers.as_const(), products);
      for (Index t = 0; t < u.cols(); ++t)
        std::copy_n(products.data() + t * n_, n_, r.data() + t * channels() + h * n_);
    }
  }

  /// VJP of `forward`, after it with the same workspace: turns `state_bar` from the cotangent of the last state into
  /// that of `first`, the state before, of which only S is read; adds to `w_bar` and `u_bar`. With R the cotangent of
  /// S_t, s = S_t o_t and m_a = sum_b A_ab p_b of a window's tokens: s_bar = C^T r_bar, C_bar += r_bar s^T,
  /// R += s_bar o^T, o_bar = S_t^T s_bar, m_bar_a = R p_a, p_bar_a += R^T m_a + d_a o_bar, d_bar_a += p_a . o_bar,
  /// A_bar_ab += m_bar_a . p_b, p_bar_b += A_ab m_bar_a, L_bar^T += R * S_(t-1), R <- L^T * R.
  template <class T>
  void vjp(const Weights<InViews<const T>>& w, View<const T> u, View<const T> first, View<const T> r_bar,
           const State<InViews<T>>& state_bar, const Weights<InViews<T>>& w_bar, View<T> u_bar,
           Workspace<T>& ws) const {
    const Index T_ = u.cols(), chunks = (T_ + chunk - 1) / chunk, size = n_ * n_;
    const View<T> p_bar = ws.p_bar.view().columns(0, T_ + w_ - 1);
    p_bar.fill(T(0));
    std::copy_n(state_bar.tokens.data(), state_bar.tokens.size(), p_bar.data() + T_ * channels());
    for (Index h = 0; h < heads_; ++h) {
      const View<T> answers = ws.answers.view().columns(h * T_, T_), answers_bar = ws.answers_bar.view().columns(0, T_),
                    products_bar = ws.products_bar.view().columns(0, T_);
      for (Index t = 0; t < T_; ++t)
        std::copy_n(r_bar.data() + t * channels() + h * n_, n_, products_bar.data() + t * n_);
      answers_bar.fill(T(0));
      kernels::add_transposed(w.c.columns(h * n_, n_), products_bar.as_const(), answers_bar);
      T* const S = ws.within.data();
      std::copy_n(first.data() + h * size, size, S);
      for (Index t = 0; t < T_; ++t) {
        if (t % chunk == 0) std::copy_n(S, size, ws.starts.data() + t / chunk * size);
        if (t / chunk + 1 < chunks) step(w, h, t, ws, S);
      }
      std::copy_n(state_bar.state.data() + h * size, size, ws.bar.data());
      ws.decay_bar.fill(T(0));
      for (Index n = chunks - 1; n >= 0; --n) {
        const Index begin = n * chunk, end = (std::min)(begin + chunk, T_);
        std::copy_n(ws.starts.data() + n * size, size, S);
        for (Index t = begin; t < end; ++t) {
          T* const next = S + (t - begin + 1) * size;
          std::copy_n(next - size, size, next);
          step(w, h, t, ws, next);
        }
        for (Index t = end - 1; t >= begin; --t) pull(w, h, t, S + (t - begin) * size, answers_bar, w_bar, p_bar, ws);
      }
      std::copy_n(ws.bar.data(), size, state_bar.state.data() + h * size);
      kernels::add_outer_products(products_bar.as_const(), answers.as_const(), w_bar.c.columns(h * n_, n_));
      pull_decay(w, h, w_bar, ws);
    }
    std::copy_n(p_bar.data(), state_bar.tokens.size(), state_bar.tokens.data());
    kernels::add_outer_products(p_bar.columns(w_ - 1, T_).as_const(), u, w_bar.w_p);
    kernels::add_transposed(w.w_p, p_bar.columns(w_ - 1, T_).as_const(), u_bar);
  }

 private:
  Index channels() const { return heads_ * n_; }
  /// Token a of the window of token t.
  template <class P>
  auto* token(P& tokens, Index h, Index t, Index a) const {
    return tokens.data() + (t + a) * channels() + h * n_;
  }

  /// L^T of head h.
  template <class T>
  void make_decay(const Weights<InViews<const T>>& w, Index h, Workspace<T>& ws) const {
    using std::exp;
    for (Index i = 0; i < n_; ++i) {
      const T step = exp(w.log_step(i, h));
      const T* const rate = w.lambda.data() + (h * n_ + i) * n_;
      kernels::each_piece<T>(n_, [&](const auto& at) {
        using Value = decltype(at.load(rate));
        at.store(ws.m.data(), exp(at.load(rate) * Value(step)));
      });
      for (Index j = 0; j < n_; ++j) ws.decay(i, h * n_ + j) = ws.m[j];
    }
  }
  /// Lambda_bar += L_bar * L exp(l), l_bar_j += sum_i (L_bar * L * Lambda)_ij exp(l_j).
  template <class T>
  void pull_decay(const Weights<InViews<const T>>& w, Index h, const Weights<InViews<T>>& w_bar,
                  Workspace<T>& ws) const {
    using std::exp;
    for (Index i = 0; i < n_; ++i) {
      const T step = exp(w.log_step(i, h));
      for (Index j = 0; j < n_; ++j) {
        const T bar = ws.decay_bar(i, j) * ws.decay(i, h * n_ + j) * step;
        w_bar.lambda(j, h * n_ + i) += bar;
        w_bar.log_step(i, h) += bar * w.lambda(j, h * n_ + i);
      }
    }
  }

  /// m_a of the window of token t.
  template <class T>
  void mix(const Weights<InViews<const T>>& w, Index h, Index t, Workspace<T>& ws) const {
    for (Index a = 0; a < w_; ++a)
      kernels::each_piece<T>(n_, [&](const auto& at) {
        using Value = typename std::remove_cvref_t<decltype(at)>::Value;
        auto sum = Value(w.a(a, h * w_)) * at.load(token(ws.p, h, t, 0));
        for (Index b = 1; b < w_; ++b)
          sum = multiply_add(Value(w.a(a, h * w_ + b)), at.load(token(ws.p, h, t, b)), sum);
        at.store(ws.m.data() + a * n_, sum);
      });
  }
  /// o of token t.
  template <class T>
  void read_at(const Weights<InViews<const T>>& w, Index h, Index t, Workspace<T>& ws) const {
    kernels::each_piece<T>(n_, [&](const auto& at) {
      using Value = typename std::remove_cvref_t<decltype(at)>::Value;
      auto sum = Value(w.d(0, h)) * at.load(token(ws.p, h, t, 0));
      for (Index a = 1; a < w_; ++a) sum = multiply_add(Value(w.d(a, h)), at.load(token(ws.p, h, t, a)), sum);
      at.store(ws.o.data(), sum);
    });
  }
  /// S_t from S_(t-1), in place.
  template <class T>
  void step(const Weights<InViews<const T>>& w, Index h, Index t, Workspace<T>& ws, T* S) const {
    mix(w, h, t, ws);
    for (Index j = 0; j < n_; ++j)
      kernels::each_piece<T>(n_, [&](const auto& at) {
        using Value = typename std::remove_cvref_t<decltype(at)>::Value;
        auto sum = at.load(ws.m.data()) * Value(token(ws.p, h, t, 0)[j]);
        for (Index a = 1; a < w_; ++a)
          sum = multiply_add(at.load(ws.m.data() + a * n_), Value(token(ws.p, h, t, a)[j]), sum);
        T* const column = S + j * n_;
        at.store(column, multiply_add(at.load(ws.decay.data() + (h * n_ + j) * n_), at.load(column), sum));
      });
  }

  /// VJP of token t, for the states before it and, behind that, after it.
  template <class T>
  void pull(const Weights<InViews<const T>>& w, Index h, Index t, const T* before, View<T> answers_bar,
            const Weights<InViews<T>>& w_bar, View<T> p_bar, Workspace<T>& ws) const {
    const T* const after = before + n_ * n_;
    const T* const bar = answers_bar.data() + t * n_;
    mix(w, h, t, ws);
    read_at(w, h, t, ws);
    ws.m_bar.fill(T(0));
    for (Index j = 0; j < n_; ++j) {
      T* const R = ws.bar.data() + j * n_;
      const T* const L = ws.decay.data() + (h * n_ + j) * n_;
      ws.o_bar[j] = kernels::sum_of_pieces<T>(
          n_, [&](const auto& at, auto& sum) { sum = multiply_add(at.load(after + j * n_), at.load(bar), sum); });
      kernels::each_piece<T>(n_, [&](const auto& at) {
        using Value = typename std::remove_cvref_t<decltype(at)>::Value;
        at.store(R, multiply_add(at.load(bar), Value(ws.o[j]), at.load(R)));
        T* const L_bar = ws.decay_bar.data() + j * n_;
        at.store(L_bar, multiply_add(at.load(R), at.load(before + j * n_), at.load(L_bar)));
      });
      for (Index a = 0; a < w_; ++a) {
        T* const m_bar = ws.m_bar.data() + a * n_;
        kernels::each_piece<T>(n_, [&](const auto& at) {
          using Value = typename std::remove_cvref_t<decltype(at)>::Value;
          at.store(m_bar, multiply_add(at.load(R), Value(token(ws.p, h, t, a)[j]), at.load(m_bar)));
        });
        token(p_bar, h, t, a)[j] += kernels::sum_of_pieces<T>(
            n_, [&](const auto& at, auto& sum) { sum = multiply_add(at.load(R), at.load(ws.m.data() + a * n_), sum); });
      }
      kernels::each_piece<T>(n_, [&](const auto& at) { at.store(R, at.load(L) * at.load(R)); });
    }
    const auto dot = [&](const T* x, const T* y) {
      return kernels::sum_of_pieces<T>(
          n_, [&](const auto& at, auto& sum) { sum = multiply_add(at.load(x), at.load(y), sum); });
    };
    const auto add_scaled = [&](const T& factor, const T* x, T* to) {
      kernels::each_piece<T>(n_, [&](const auto& at) {
        using Value = typename std::remove_cvref_t<decltype(at)>::Value;
        at.store(to, multiply_add(Value(factor), at.load(x), at.load(to)));
      });
    };
    for (Index a = 0; a < w_; ++a) {
      w_bar.d(a, h) += dot(token(ws.p, h, t, a), ws.o_bar.data());
      add_scaled(w.d(a, h), ws.o_bar.data(), token(p_bar, h, t, a));
      for (Index b = 0; b < w_; ++b) {
        w_bar.a(a, h * w_ + b) += dot(ws.m_bar.data() + a * n_, token(ws.p, h, t, b));
        add_scaled(w.a(a, h * w_ + b), ws.m_bar.data() + a * n_, token(p_bar, h, t, b));
      }
    }
  }

  Index width_, heads_, n_, w_;
};

}  // namespace gdssm
