// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>

#include "gdssm/baselines/sequence_layer.hpp"
#include "gdssm/blocks/local_attention.hpp"

// Inputs of the sequence models of the literature, made from the tokens x_1, y_1, ..., x_N, y_N, x_{N+1}.

namespace gdssm {

/// Makes the columns that the encoder of a `SequenceModel` reads from normal tokens: `length(N)` columns of `size()`
/// numbers, the last of them the query's. `every_window` tells whether column t is window t, so that every column has a
/// prediction; `trains` whether there are parameters.
template <class Input, class S = Lanes<float>>
concept SequenceInput = requires(const Input& input, const typename Input::template Coefficients<float>& c,
                                 View<const S> tokens, Array<S>& columns) {
  { input.features() + input.size() + input.length(Index(1)) } -> std::same_as<Index>;
  { Input::every_window&& Input::trains } -> std::same_as<bool>;
  input.read(c, tokens, columns);
};

namespace detail {

/// An input without parameters.
struct FixedInput : PlainBlock<FixedInput> {
  static constexpr bool trains = false;

  template <class Storage>
  struct Weights {
    template <class Visitor, class... Self>
    static void visit(Visitor&&, Self&&...) {}
  };
  template <class T>
  using Parameters = Weights<InMatrices<T>>;
  template <class T>
  using Coefficients = Weights<InArrays<T>>;

  explicit FixedInput(Index features) : features_(expect_size("SequenceInput", "number of features", features)) {}
  Index features() const { return features_; }

  template <class Storage>
  Weights<Storage> weights() const {
    return {};
  }
  template <class P>
  void draw(P&, RandomStream<>&) const {}

 private:
  Index features_;
};

}  // namespace detail

/// Concatenated windows, u_t = vec(X_t) = [x_t; y_t; x_{t+1}], t = 1..N                              (B2)
struct WindowInput : detail::FixedInput {
  static constexpr bool every_window = true;  ///< every column has a prediction

  using FixedInput::FixedInput;
  Index size() const { return 3 * features(); }       ///< entries of u_t
  static Index length(Index pairs) { return pairs; }  ///< columns of U

  /// Shapes  tokens (f x (2N+1)), columns (3f x N)
  template <class C, class S>
  void read(const C&, View<const S> tokens, Array<S>& columns) const {
    for (Index t = 0; t < columns.cols(); ++t)
      std::copy_n(tokens.data() + 2 * t * features(), size(), columns.data() + t * size());
  }
};

/// Pairs, u_i = [x_i; y_i], i = 1..N, and the query without a target, u_{N+1} = [x_{N+1}; 0]   (B3)
struct PairInput : detail::FixedInput {
  static constexpr bool every_window = false;  ///< only the last column has a prediction

  using FixedInput::FixedInput;
  Index size() const { return 2 * features(); }           ///< entries of u_i
  static Index length(Index pairs) { return pairs + 1; }  ///< columns of U

  /// Shapes  tokens (f x (2N+1)), columns (2f x (N+1))
  template <class C, class S>
  void read(const C&, View<const S> tokens, Array<S>& columns) const {
    std::copy_n(tokens.data(), tokens.size(), columns.data());
    std::fill_n(columns.data() + tokens.size(), features(), S(0));
  }
};

/// Windows and their local attention (1), u_t = [vec(X_t); vec(G_t)], G_t = X_t^T A X_t, with A trained   (B4)
/// The window is included because vec(G_t) holds the query only in products: from them alone a recurrence could not
/// tell which input the query is.
class AttentionInput {
  using Attention = LocalAttention<>;

 public:
  static constexpr bool every_window = true;  ///< every column has a prediction
  static constexpr bool trains = true;        ///< A is trained

  template <class T>
  using Parameters = Attention::Parameters<T>;
  template <class T>
  using Coefficients = Attention::Coefficients<T>;

  explicit AttentionInput(Index features) : attention_(features) {}
  Index features() const { return attention_.row_count(); }                ///< f, the entries of a token
  Index size() const { return 3 * features() + features() * features(); }  ///< entries of u_t
  static Index length(Index pairs) { return pairs; }                       ///< columns of U

  template <class T>
  Parameters<T> parameters() const {
    return attention_.parameters<T>();
  }
  template <class T>
  Coefficients<T> coefficients() const {
    return attention_.coefficients<T>();
  }
  template <class P>
  void prepare(const Parameters<P>& p, Coefficients<P>& c) const {
    attention_.prepare(p, c);
  }
  template <class P>
  void prepare_vjp(const Parameters<P>& p, const Coefficients<P>& c, const Coefficients<P>& c_bar,
                   Parameters<P>& p_bar) const {
    attention_.prepare_vjp(p, c, c_bar, p_bar);
  }
  /// Entries of variance 1/3. Those of G_t, sums of nine, then begin sqrt(3) times as large as products of two of X_t.
  template <class T>
  void draw(Parameters<T>& p, RandomStream<>& stream) const {
    detail::draw_map(p.A, stream);
  }

  /// Entry (i, j) of G_t is sum_ab A_ab X_ai X_bj; it is row 3f + i + j f of column t.
  /// Shapes  tokens (f x (2N+1)), columns ((3f + f^2) x N)
  template <class P, class S>
  void read(const Coefficients<P>& c, View<const S> tokens, Array<S>& columns) const {
    const Index f = features();
    for (Index t = 0; t < columns.cols(); ++t) {
      const View<const S, Dynamic, 3> X = tokens.template columns<3>(2 * t);
      S* const u = columns.data() + t * size();
      std::copy_n(X.data(), 3 * f, u);
      for (Index j = 0; j < f; ++j) {
        S right[3];
        for (Index a = 0; a < 3; ++a) {
          right[a] = S(c.A(a, 0)) * X(j, 0);
          for (Index b = 1; b < 3; ++b) right[a] = multiply_add(S(c.A(a, b)), X(j, b), right[a]);
        }
        for (Index i = 0; i < f; ++i) {
          S g = X(i, 0) * right[0];
          for (Index a = 1; a < 3; ++a) g = multiply_add(X(i, a), right[a], g);
          u[3 * f + i + j * f] = g;
        }
      }
    }
  }

  /// VJP of `read` for A: A_bar_ab += sum_ij X_ai G_bar_ij X_bj.
  template <class P, class S>
  void read_vjp(const Coefficients<P>&, View<const S> tokens, const Array<S>& columns_bar,
                Coefficients<S>& c_bar) const {
    const Index f = features();
    for (Index t = 0; t < columns_bar.cols(); ++t) {
      const View<const S, Dynamic, 3> X = tokens.template columns<3>(2 * t);
      const S* const G_bar = columns_bar.data() + t * size() + 3 * f;
      for (Index j = 0; j < f; ++j)
        for (Index a = 0; a < 3; ++a) {
          S right_bar = S(0);
          for (Index i = 0; i < f; ++i) right_bar = multiply_add(X(i, a), G_bar[i + j * f], right_bar);
          for (Index b = 0; b < 3; ++b) c_bar.A(a, b) = multiply_add(right_bar, X(j, b), c_bar.A(a, b));
        }
    }
  }

 private:
  Attention attention_;
};

}  // namespace gdssm
