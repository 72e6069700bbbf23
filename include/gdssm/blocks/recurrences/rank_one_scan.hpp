// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm::recurrences {

/// What one token of a rank-one recurrence is to its loops, or the cotangents of that.
/// Shapes  Keys each; `decay` one number for each channel of the keys
template <class T>
struct RankOneToken {
  T* read;   ///< p, in S p; p = D p' for rules that read after their decay
  T* write;  ///< kappa
  T* decay;  ///< the diagonal of D
  T* query;  ///< q
};

/// Rank-one recurrences of one sequence, made for one core's vectors,
///     e_t = y_t - S_{t-1} p_t,   S_t = S_{t-1} D_t + e_t kappa_t^T,   o_t = S_t q_t                    (22)
/// in one pass over S a token: the pass that writes a token also sums up S p and S D q of the next one, and
/// o = S D q + e (kappa . q). A block of S's rows stays in the first cache for a chunk of tokens. The results equal
/// those of a rule's `step` and `read` except for rounding, and have the same bits wherever a sequence is cut.
///
/// The derivative (23) keeps the state at the start of every chunk of 64 tokens, and computes the others again, a chunk
/// of one block of rows at a time.
///     `T`      float or double
/// Shapes  values and outputs (Values x T), a token a column; states (Values x Keys)
/// Errors  std::invalid_argument: sizes below 1, views of other shapes
/// VJP  `vjp`
template <class T>
class RankOneScan {
  using Vector = typename Lanes<T>::Vector;
  static constexpr Index native = static_cast<Index>(sizeof(Vector) / sizeof(T));
  static constexpr Index vectors = gdssm::detail::native_bytes == 64 ? 4 : 2;  ///< of a column of a block
  static constexpr Index rows = native * vectors;                              ///< of a block
  static constexpr Index chunk = 64;                                           ///< tokens
  static constexpr Index together = native < 4 ? native : 4;                   ///< columns whose sums are folded

 public:
  RankOneScan(Index keys, Index values)
      : keys_(keys),
        values_(values),
        blocks_((values + rows - 1) / rows),
        padded_((keys + together - 1) / together * together) {
    if (keys < 1 || values < 1)
      refuse("RankOneScan", "the state is ", values, " x ", keys, ", expected at least 1 x 1");
    numbers_.assign(static_cast<std::size_t>(5 * padded_ * chunk), T(0));
    of_query_.assign(static_cast<std::size_t>(padded_), T(0));
    state_.assign(static_cast<std::size_t>(padded_ * vectors), Vector{});
    cotangent_ = state_;
    outer_.assign(static_cast<std::size_t>(chunk), T(0));
  }

  /// Moves `state` through the tokens: make(t, token) fills token t's numbers.
  template <class Make>
  void forward(Index length, const Make& make, View<const T> targets, View<T> state, View<T> outputs) {
    expect_shape("targets", targets, values_, length);
    expect_shape("the state's entries", state, values_, keys_);
    expect_shape("outputs", outputs, values_, length);
    for (Index begin = 0; begin < length; begin += chunk) {
      const Index count = (std::min)(chunk, length - begin);
      fill(begin, count, make);
      for (Index block = 0; block < blocks_; ++block) {
        load(state, block, state_.data());
        run(begin, count, block, targets, state_.data(), false, nullptr, outputs);
        store(state_.data(), block, state);
      }
    }
  }

  /// VJP of `forward` from `first`: turns `state_bar` from the cotangent of the last state into that of `first`, adds
  /// to `targets_bar`, and hands the cotangents of token t to take(t, token, token_bar), last token first.
  template <class Make, class Take>
  void vjp(Index length, const Make& make, const Take& take, View<const T> targets, View<const T> first,
           View<const T> outputs_bar, View<T> state_bar, View<T> targets_bar) {
    expect_shape("targets", targets, values_, length);
    expect_shape("first state", first, values_, keys_);
    expect_shape("outputs' cotangent", outputs_bar, values_, length);
    expect_shape("state's cotangent", state_bar, values_, keys_);
    expect_shape("targets' cotangent", targets_bar, values_, length);
    const Index chunks = (length + chunk - 1) / chunk, size = padded_ * vectors;
    starts_.resize(static_cast<std::size_t>((std::max)(Index(1), chunks) * blocks_ * size));
    within_.resize(static_cast<std::size_t>((chunk + 1) * size));
    errors_.resize(static_cast<std::size_t>(chunk * vectors));
    const auto start = [&](Index n, Index block) { return starts_.data() + (n * blocks_ + block) * size; };
    for (Index block = 0; block < blocks_; ++block) load(first, block, start(0, block));
    for (Index n = 0; n + 1 < chunks; ++n) {
      fill(n * chunk, chunk, make);
      for (Index block = 0; block < blocks_; ++block) {
        std::copy_n(start(n, block), size, start(n + 1, block));
        run(n * chunk, chunk, block, targets, start(n + 1, block), false, nullptr, View<T>::absent());
      }
    }
    token_bars_.assign(static_cast<std::size_t>(4 * padded_ * chunk), T(0));
    for (Index n = chunks - 1; n >= 0; --n) {
      const Index begin = n * chunk, count = (std::min)(chunk, length - begin);
      fill(begin, count, make);
      std::fill(token_bars_.begin(), token_bars_.end(), T(0));
      for (Index block = 0; block < blocks_; ++block) {
        std::copy_n(start(n, block), size, within_.data());
        run(begin, count, block, targets, within_.data(), true, errors_.data(), View<T>::absent());
        load(state_bar.as_const(), block, cotangent_.data());
        for (Index s = count - 1; s >= 0; --s) pull(begin, s, block, outputs_bar, targets_bar);
        store(cotangent_.data(), block, state_bar);
      }
      for (Index s = count - 1; s >= 0; --s) take(begin + s, token(s), token_in(token_bars_, s));
    }
  }

 private:
  static void expect_shape(const char* what, const View<const T>& got, Index row_count, Index col_count) {
    if (got.rows() != row_count || got.cols() != col_count)
      refuse("RankOneScan", what, " are ", got.rows(), " x ", got.cols(), ", expected ", row_count, " x ", col_count);
  }

  RankOneToken<T> token_in(std::vector<T>& numbers, Index s) const {
    T* const at = numbers.data() + 4 * padded_ * s;
    return {at, at + padded_, at + 2 * padded_, at + 3 * padded_};
  }
  RankOneToken<T> token(Index s) { return token_in(numbers_, s); }
  /// D q of token s.
  T* decayed_query(Index s) { return numbers_.data() + 4 * padded_ * chunk + padded_ * s; }

  /// Has the tokens of a chunk made, and what all blocks need of them.
  template <class Make>
  void fill(Index begin, Index count, const Make& make) {
    for (Index s = 0; s < count; ++s) {
      const RankOneToken<T> x = token(s);
      make(begin + s, x);
      T* const decayed = decayed_query(s);
      T sum = T(0);
      for (Index j = 0; j < keys_; ++j) {
        decayed[j] = x.decay[j] * x.query[j];
        sum = multiply_add(x.write[j], x.query[j], sum);
      }
      outer_[static_cast<std::size_t>(s)] = sum;
    }
  }

  // Rows of a view beyond its last are zeros of a block.
  template <class Column>
  static void load_column(const Column* from, Index count, Vector* to) {
    for (Index k = 0; k < vectors; ++k) to[k] = Vector{};
    if (count > 0) std::memcpy(to, from, sizeof(T) * static_cast<std::size_t>((std::min)(count, rows)));
  }
  static void store_column(const Vector* from, Index count, T* to) {
    if (count > 0) std::memcpy(to, from, sizeof(T) * static_cast<std::size_t>((std::min)(count, rows)));
  }
  void load(View<const T> from, Index block, Vector* to) const {
    for (Index j = 0; j < padded_; ++j)
      load_column(j < keys_ ? &from(block * rows, j) : nullptr, j < keys_ ? values_ - block * rows : 0,
                  to + j * vectors);
  }
  void store(const Vector* from, Index block, View<T> to) const {
    for (Index j = 0; j < keys_; ++j) store_column(from + j * vectors, values_ - block * rows, &to(block * rows, j));
  }

  static Vector all(T value) { return value - Vector{}; }

  /// Tokens of a chunk on one block of rows, whose states S becomes one after the other; or, where they are `kept`, S
  /// is followed by them, and `errors` gets every e.
  void run(Index begin, Index count, Index block, View<const T> targets, Vector* S, bool kept, Vector* errors,
           View<T> outputs) {
    Vector u[vectors], w[vectors], e[vectors];
    if (count == 0) return;
    read(S, token(0).read, decayed_query(0), u, w);
    for (Index s = 0; s < count; ++s) {
      load_column(&targets(block * rows, begin + s), values_ - block * rows, e);
#pragma GCC unroll 4
      for (Index k = 0; k < vectors; ++k) e[k] -= u[k];
      if (outputs.present()) {
        const Vector c = all(outer_[static_cast<std::size_t>(s)]);
#pragma GCC unroll 4
        for (Index k = 0; k < vectors; ++k) w[k] = gdssm::detail::fused(e[k], c, w[k]);
        store_column(w, values_ - block * rows, &outputs(block * rows, begin + s));
      }
      Vector* const next = kept ? S + padded_ * vectors : S;
      if (kept) std::copy_n(e, vectors, errors + s * vectors);
      const RankOneToken<T> x = token(s);
      if (s + 1 < count)
        write_and_read(S, next, e, x.write, x.decay, token(s + 1).read, decayed_query(s + 1), u, w);
      else
        write(S, next, e, x.write, x.decay);
      S = next;
    }
  }

  /// u = S p, w = S q.
  void read(const Vector* S, const T* p, const T* q, Vector* u, Vector* w) const {
    Vector a[vectors] = {}, b[vectors] = {};
    for (Index j = 0; j < keys_; ++j) {
      const Vector pj = all(p[j]), qj = all(q[j]);
#pragma GCC unroll 4
      for (Index k = 0; k < vectors; ++k) {
        a[k] = gdssm::detail::fused(S[j * vectors + k], pj, a[k]);
        b[k] = gdssm::detail::fused(S[j * vectors + k], qj, b[k]);
      }
    }
    std::copy_n(a, vectors, u);
    std::copy_n(b, vectors, w);
  }
  /// S <- S D + e kappa^T.
  void write(const Vector* S, Vector* to, const Vector* error, const T* kappa, const T* decay) const {
    Vector e[vectors];
    std::copy_n(error, vectors, e);
    for (Index j = 0; j < keys_; ++j) {
      const Vector w = all(kappa[j]), d = all(decay[j]);
#pragma GCC unroll 4
      for (Index k = 0; k < vectors; ++k) to[j * vectors + k] = gdssm::detail::fused(d, S[j * vectors + k], e[k] * w);
    }
  }
  /// `write`, and `read` of what was written, in one pass.
  void write_and_read(const Vector* S, Vector* to, const Vector* error, const T* kappa, const T* decay, const T* p,
                      const T* q, Vector* u, Vector* w) const {
    Vector e[vectors], a[vectors] = {}, b[vectors] = {};
    std::copy_n(error, vectors, e);
    for (Index j = 0; j < keys_; ++j) {
      const Vector kj = all(kappa[j]), d = all(decay[j]), pj = all(p[j]), qj = all(q[j]);
#pragma GCC unroll 4
      for (Index k = 0; k < vectors; ++k) {
        const Vector s = gdssm::detail::fused(d, S[j * vectors + k], e[k] * kj);
        to[j * vectors + k] = s;
        a[k] = gdssm::detail::fused(s, pj, a[k]);
        b[k] = gdssm::detail::fused(s, qj, b[k]);
      }
    }
    std::copy_n(a, vectors, u);
    std::copy_n(b, vectors, w);
  }

  /// One vector's share of the dot product of two columns.
  static Vector product(const Vector* x, const Vector* y) {
    Vector sum = x[0] * y[0];
#pragma GCC unroll 4
    for (Index k = 1; k < vectors; ++k) sum = gdssm::detail::fused_in_long_body(x[k], y[k], sum);
    return sum;
  }
  /// Each block of 2 `Half` elements summed up in its first.
  template <Index Half>
  static Vector sum_blocks(Vector v) {
    if constexpr (Half == 0) {
      return v;
    } else {
      const Vector sums = [&]<std::size_t... i>(std::index_sequence<i...>) {
        return v + __builtin_shufflevector(v, v, ((i + static_cast<std::size_t>(Half)) % sizeof...(i))...);
      }
      (std::make_index_sequence<static_cast<std::size_t>(native)>());
      return sum_blocks<Half / 2>(sums);
    }
  }
  /// to_j += the sum of the elements of v_j, for the columns that are folded together.
  static void add_sums(const Vector* v, T* to) {
    constexpr Index size = native / together;
    const Vector sums = sum_blocks<size / 2>(gdssm::detail::sums_of_elements<static_cast<std::size_t>(together)>(v));
    for (Index j = 0; j < together; ++j) to[j] += sums[static_cast<std::size_t>(j * size)];
  }

  /// (23) of token s on one block: R is `cotangent_`.
  ///     R += o_bar q^T,   e_bar = y_bar = R kappa,   kappa_bar = R^T e,   q_bar = D S^T o_bar + kappa (e . o_bar),
  ///     D_bar = R * S summed over rows,   p_bar = -S^T e_bar,   R <- R D - e_bar p^T
  void pull(Index begin, Index s, Index block, View<const T> outputs_bar, View<T> targets_bar) {
    const RankOneToken<T> x = token(s), bar = token_in(token_bars_, s);
    const Vector* const S = within_.data() + s * padded_ * vectors;
    Vector* const R = cotangent_.data();
    Vector e[vectors], o_bar[vectors], e_bar[vectors] = {};
    std::copy_n(errors_.data() + s * vectors, vectors, e);
    load_column(&outputs_bar(block * rows, begin + s), values_ - block * rows, o_bar);
    const T both = gdssm::detail::sum_elements<static_cast<std::size_t>(native)>(product(e, o_bar));
    T* const of_query = of_query_.data();
    std::fill_n(of_query, padded_, T(0));
    for (Index first = 0; first < padded_; first += together) {
      Vector of_write[together], of_decay[together], of_read[together];
#pragma GCC unroll 4
      for (Index c = 0; c < together; ++c) {
        const Index j = first + c;
        const Vector q = all(x.query[j]), kappa = all(x.write[j]);
        Vector* const Rj = R + j * vectors;
        const Vector* const Sj = S + j * vectors;
#pragma GCC unroll 4
        for (Index k = 0; k < vectors; ++k) {
          Rj[k] = gdssm::detail::fused_in_long_body(o_bar[k], q, Rj[k]);
          e_bar[k] = gdssm::detail::fused_in_long_body(Rj[k], kappa, e_bar[k]);
        }
        of_write[c] = product(Rj, e);
        of_decay[c] = product(Rj, Sj);
        of_read[c] = product(Sj, o_bar);
      }
      add_sums(of_write, bar.write + first);
      add_sums(of_decay, bar.decay + first);
      add_sums(of_read, of_query + first);
    }
    for (Index j = 0; j < keys_; ++j) bar.query[j] += multiply_add(x.decay[j], of_query[j], x.write[j] * both);
    for (Index first = 0; first < padded_; first += together) {
      Vector of_read[together];
#pragma GCC unroll 4
      for (Index c = 0; c < together; ++c) {
        const Index j = first + c;
        const Vector p = all(-x.read[j]), d = all(x.decay[j]);
        Vector* const Rj = R + j * vectors;
        of_read[c] = -product(S + j * vectors, e_bar);
#pragma GCC unroll 4
        for (Index k = 0; k < vectors; ++k) Rj[k] = gdssm::detail::fused_in_long_body(d, Rj[k], e_bar[k] * p);
      }
      add_sums(of_read, bar.read + first);
    }
    Vector y_bar[vectors];
    T* const target_bar = &targets_bar(block * rows, begin + s);
    load_column(target_bar, values_ - block * rows, y_bar);
#pragma GCC unroll 4
    for (Index k = 0; k < vectors; ++k) y_bar[k] += e_bar[k];
    store_column(y_bar, values_ - block * rows, target_bar);
  }

  Index keys_, values_, blocks_, padded_;
  std::vector<T> numbers_;     // of a chunk's tokens, and D q
  std::vector<T> outer_;       // kappa . q
  std::vector<T> of_query_;    // S^T o_bar of a token
  std::vector<T> token_bars_;  // of a chunk
  std::vector<Vector> state_, cotangent_, starts_, within_, errors_;
};

/// The gated delta rule (30) of one sequence by `RankOneScan`: the results of `GatedDeltaRule` but for rounding.
/// Shapes  keys, queries (Keys x T), values, outputs (Values x T), betas, alphas (1 x T), states (Values x Keys)
template <class T>
class GatedDeltaScan {
 public:
  /// What a sequence brings; or, where T is not const, its cotangents.
  template <class U>
  struct Sequence {
    View<U> keys;     ///< k
    View<U> values;   ///< v
    View<U> queries;  ///< q
    View<U> betas;    ///< rates
    View<U> alphas;   ///< decays
  };

  GatedDeltaScan(Index keys, Index values) : scan_(keys, values) {}

  /// Moves `state` on; o_t is read after token t.
  void forward(const Sequence<const T>& x, View<T> state, View<T> outputs) {
    scan_.forward(x.keys.cols(), maker(x), x.values, state, outputs);
  }

  /// VJP of `forward` from `first`: turns `state_bar` into the cotangent of `first` and adds to `bar`.
  void vjp(const Sequence<const T>& x, View<const T> first, View<const T> outputs_bar, View<T> state_bar,
           const Sequence<T>& bar) {
    const Index keys = x.keys.rows();
    const auto take = [&](Index t, const RankOneToken<T>&, const RankOneToken<T>& of) {
      const T alpha = x.alphas(0, t), beta = x.betas(0, t);
      T alpha_bar = T(0), beta_bar = T(0);
      for (Index j = 0; j < keys; ++j) {
        bar.keys(j, t) += multiply_add(alpha, of.read[j], beta * of.write[j]);
        bar.queries(j, t) += of.query[j];
        beta_bar = multiply_add(x.keys(j, t), of.write[j], beta_bar);
        alpha_bar = multiply_add(x.keys(j, t), of.read[j], alpha_bar + of.decay[j]);
      }
      bar.betas(0, t) += beta_bar;
      bar.alphas(0, t) += alpha_bar;
    };
    scan_.vjp(x.keys.cols(), maker(x), take, x.values, first, outputs_bar, state_bar, bar.values);
  }

 private:
  static auto maker(const Sequence<const T>& x) {
    return [&x](Index t, const RankOneToken<T>& token) {
      const T alpha = x.alphas(0, t), beta = x.betas(0, t);
      for (Index j = 0; j < x.keys.rows(); ++j) {
        token.read[j] = alpha * x.keys(j, t);
        token.write[j] = beta * x.keys(j, t);
        token.decay[j] = alpha;
        token.query[j] = x.queries(j, t);
      }
    };
  }

  RankOneScan<T> scan_;
};

}  // namespace gdssm::recurrences
