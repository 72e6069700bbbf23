// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <vector>

#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/blocks/local_attention.hpp"
#include "gdssm/core/initial_laws.hpp"

// Inputs of the sequence models of the literature, made from the windows [x_t; y_t; x_{t+1}] of normal tokens.
namespace gdssm {

/// Makes the column of `size()` numbers that the encoder of a `SequenceModel` reads from a window. Where `asks`, the
/// column holds the window's pair alone, and `ask` makes another of its query, which writes nothing.
template <class Input, class S = Lanes<float>>
concept SequenceInput = requires(const Input& input, const typename Input::template Coefficients<float>& c,
                                 typename Input::template Coefficients<S>& c_bar, View<const S, Dynamic, 3> window,
                                 View<S, Dynamic, 1> column, View<const S, Dynamic, 1> column_bar,
                                 View<S, Dynamic, 3> window_bar, typename Input::template Workspace<S>& ws) {
  { input.features() + input.size() } -> std::same_as<Index>;
  { Input::asks } -> std::convertible_to<bool>;
  input.read(c, window, column, ws);
  input.read_vjp(c, window, column_bar, c_bar, window_bar, ws);
};

/// Concatenated windows, and as many local attentions (1) of each as there are heads, with A trained,
///     u_t = vec(X_t) = [x_t; y_t; x_{t+1}], t = 1..N                                               (B2)
///     u_t = [vec(X_t); vec(G_t)], G_t = X_t^T A X_t, with one head                                 (B4)
/// The window is included because vec(G_t) holds the query only in products: from them alone a recurrence could not
/// tell which input the query is.        VJP  `read_vjp`
class WindowInput {
  using Attention = LocalAttention<>;

 public:
  static constexpr bool asks = false;  ///< every column asks and writes

  /// Errors  std::invalid_argument: less than one feature, heads below zero
  explicit WindowInput(Index features, Index heads = 0)
      : attention_(features), heads_(static_cast<std::size_t>(heads < 0 ? 0 : heads)) {
    if (heads < 0) refuse("WindowInput", "the number of heads is ", heads, ", expected at least 0");
  }
  Index features() const { return attention_.row_count(); }  ///< f, the entries of a token
  /// Entries of u_t.
  Index size() const { return 3 * features() + static_cast<Index>(heads_) * features() * features(); }

  /// One local attention a head.
  template <class Head>
  struct Heads {
    std::vector<Head> heads;  ///< one after the other

    template <class Visitor, class First, class... More>
    static void visit(Visitor&& visitor, First&& first, More&&... more) {
      visit_list("heads", visitor, first.heads, more.heads...);
    }
  };
  template <class T>
  using Parameters = Heads<Attention::Parameters<T>>;
  template <class T>
  using Coefficients = Heads<Attention::Coefficients<T>>;
  template <class T>
  struct Workspace {
    Attention::Workspace<T> attention;
    Array<T, Dynamic, 3> left_bar, right_bar;
  };

  template <class T>
  Parameters<T> parameters() const {
    return {std::vector(heads_, attention_.parameters<T>())};
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return {std::vector(heads_, attention_.coefficients<T>())};
  }
  template <class T>
  Workspace<T> workspace() const {
    return {attention_.workspace<T>(), {features(), 3}, {features(), 3}};
  }
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    for (std::size_t h = 0; h < heads_; ++h) attention_.prepare(p.heads[h], c.heads[h]);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    for (std::size_t h = 0; h < heads_; ++h)
      attention_.prepare_vjp(p.heads[h], c.heads[h], c_bar.heads[h], p_bar.heads[h]);
  }
  /// Entries of A of variance 1/3. Those of G_t, sums of nine, then begin sqrt(3) times as large as products of two of
  /// X_t.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    for (auto& head : p.heads) detail::draw_map(head.A, stream);
  }

  /// Entry (i, j) of G_t of head h is row 3f + h f^2 + i + j f of u.
  /// Shapes  window (f x 3), u (size)
  template <class P, class S>
  void read(const Coefficients<P>& c, View<const S, Dynamic, 3> window, View<S, Dynamic, 1> u, Workspace<S>& ws) const {
    const Index f = features();
    std::copy_n(window.data(), 3 * f, u.data());
    for (std::size_t h = 0; h < heads_; ++h) {
      const auto G = attention_.step(c.heads[h], window, ws.attention);
      const View<S> out = block(u, h);
      for (Index j = 0; j < f; ++j)
        for (Index i = 0; i < f; ++i) {
          out(i, j) = G.left(i, 0) * G.right(j, 0);
          for (Index a = 1; a < 3; ++a) out(i, j) = multiply_add(G.left(i, a), G.right(j, a), out(i, j));
        }
    }
  }

  /// VJP of `read`: of G = sum_a left_a right_a^T, left_bar_a = G_bar right_a, right_bar_a = G_bar^T left_a, and then
  /// that of the attention. Adds to c_bar and, unless it is absent, to window_bar.
  template <class P, class S>
  void read_vjp(const Coefficients<P>& c, View<const S, Dynamic, 3> window, View<const S, Dynamic, 1> u_bar,
                Coefficients<S>& c_bar, View<S, Dynamic, 3> window_bar, Workspace<S>& ws) const {
    const Index f = features();
    if (window_bar.present())
      for (Index i = 0; i < 3 * f; ++i) window_bar[i] += u_bar[i];
    for (std::size_t h = 0; h < heads_; ++h) {
      const auto G = attention_.step(c.heads[h], window, ws.attention);
      const View<const S> G_bar = block(u_bar, h);
      for (Index a = 0; a < 3; ++a) {
        kernels::multiply(G_bar, G.right.column(a), ws.left_bar.view().column(a));
        kernels::multiply_transposed(G_bar, G.left.column(a), ws.right_bar.view().column(a));
      }
      attention_.step_vjp(c.heads[h], window, ws.left_bar.view().as_const(), ws.right_bar.view().as_const(),
                          c_bar.heads[h], window_bar);
    }
  }

 private:
  /// The part of u that is head h's.
  template <class S>
  View<S> block(View<S, Dynamic, 1> u, std::size_t h) const {
    const Index f = features();
    return {u.data() + 3 * f + static_cast<Index>(h) * f * f, f, f};
  }

  Attention attention_;
  std::size_t heads_;
};

/// Pairs, u_i = [x_i; y_i], i = 1..N, and the query without a target, u_{N+1} = [x_{N+1}; 0]   (B3)
class PairInput : public PlainBlock<PairInput>, public Stateless {
 public:
  static constexpr bool asks = true;  ///< a window makes a pair, and a query that writes nothing

  explicit PairInput(Index features) : features_(detail::expect_size("PairInput", "number of features", features)) {}
  Index features() const { return features_; }  ///< f
  Index size() const { return 2 * features_; }  ///< entries of u_i

  template <class T>
  using Parameters = NoWeights<InMatrices<T>>;
  template <class T>
  using Coefficients = NoWeights<InArrays<T>>;
  template <class Storage>
  NoWeights<Storage> weights() const {
    return {};
  }
  template <class P>
  void draw(P&, RandomStream<>&) const {}

  /// The pair.        Shapes  window (f x 3), u (2f)
  template <class C, class S>
  void read(const C&, View<const S, Dynamic, 3> window, View<S, Dynamic, 1> u, Workspace<S>&) const {
    std::copy_n(window.data(), size(), u.data());
  }
  /// The query.
  template <class S>
  void ask(View<const S, Dynamic, 3> window, View<S, Dynamic, 1> u) const {
    std::copy_n(window.data() + size(), features_, u.data());
    std::fill_n(u.data() + features_, features_, S(0));
  }
  /// VJP of `read`.
  template <class C, class S, class CBar>
  void read_vjp(const C&, View<const S, Dynamic, 3>, View<const S, Dynamic, 1> u_bar, CBar&,
                View<S, Dynamic, 3> window_bar, Workspace<S>&) const {
    if (window_bar.present())
      for (Index i = 0; i < size(); ++i) window_bar[i] += u_bar[i];
  }
  /// VJP of `ask`.
  template <class S>
  void ask_vjp(View<const S, Dynamic, 1> u_bar, View<S, Dynamic, 3> window_bar) const {
    if (window_bar.present())
      for (Index i = 0; i < features_; ++i) window_bar[size() + i] += u_bar[i];
  }

 private:
  Index features_;
};

}  // namespace gdssm
