// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/view.hpp"

// What a stretch of tokens does to a recurrent state, as a value: S -> F(S) + U, with F linear. Two stretches in a row
// are one, whose summary is the composition of theirs; no token at all is the neutral one. Merging states, chunks and
// machines need nothing else.
//
// The types of F follow, by what they keep of a memory (Values x Keys). Each is an aggregate with
//     add(first, whole)        whole += F(first); a type that couples two memories takes two of each
//     then(later)              first this, then `later`
//     adjoint()                F*, by which cotangents go back: <F(S), R> = <S, F*(R)>
//     probes(rows, cols)       how many starts show all of F
//     begin(n, memory...)      fills the memories, zeros, with start n
//     take(n, memory...)       keeps what start n has become
namespace gdssm {

namespace detail {

/// An F that a start of ones shows.
template <class T>
struct ShownAtOnce {
  /// How many starts show all of F.
  static Index probes(Index, Index) { return 1; }
  /// Fills memories, zeros, with a start.
  template <class... Memory>
  static void begin(Index, Memory&... memory) {
    (memory.fill(T(1)), ...);
  }
  friend bool operator==(const ShownAtOnce&, const ShownAtOnce&) = default;
};

/// whole += A B.
template <class A, class B, class Whole>
void add_product_of(const A& a, const B& b, Whole& whole) {
  for (Index j = 0; j < whole.cols(); ++j)
    for (Index l = 0; l < a.cols(); ++l)
      for (Index i = 0; i < whole.rows(); ++i) whole(i, j) = multiply_add(a(i, l), b(l, j), whole(i, j));
}

/// transposed = A^T.
template <class A>
void transpose(const A& a, A& transposed) {
  for (Index j = 0; j < a.cols(); ++j)
    for (Index i = 0; i < a.rows(); ++i) transposed(j, i) = a(i, j);
}

}  // namespace detail

/// F(S) = factor S, one number: decays that all entries share.
template <class T>
struct ScalarFactor : detail::ShownAtOnce<T> {
  Array<T, 1, 1> factor;  ///< of F

  ScalarFactor() { factor[0] = T(1); }
  ScalarFactor(Index, Index) : ScalarFactor() {}
  /// whole += F(first).
  template <class Memory>
  void add(const Memory& first, Memory& whole) const {
    for (Index e = 0; e < whole.size(); ++e) whole[e] = multiply_add(factor[0], first[e], whole[e]);
  }
  /// First this, then `later`.
  ScalarFactor then(const ScalarFactor& later) const {
    ScalarFactor both;
    both.factor[0] = factor[0] * later.factor[0];
    return both;
  }
  /// F itself: it acts on each entry.
  ScalarFactor adjoint() const { return *this; }
  /// Keeps what a start has become.
  template <class Memory, class... Same>
  void take(Index, const Memory& memory, const Same&...) {
    factor[0] = memory[0];
  }
  friend bool operator==(const ScalarFactor&, const ScalarFactor&) = default;
};

/// F(S) = S diag(factors): decays of the keys' channels.
template <class T, Index Keys = Dynamic>
struct KeyFactors : detail::ShownAtOnce<T> {
  Array<T, Keys, 1> factors;  ///< of F

  KeyFactors(Index, Index cols) : factors(cols, 1) { factors.fill(T(1)); }
  /// whole += F(first).
  template <class Memory>
  void add(const Memory& first, Memory& whole) const {
    for (Index j = 0; j < whole.cols(); ++j)
      for (Index i = 0; i < whole.rows(); ++i) whole(i, j) = multiply_add(factors[j], first(i, j), whole(i, j));
  }
  /// First this, then `later`.
  KeyFactors then(const KeyFactors& later) const {
    KeyFactors both = *this;
    for (Index j = 0; j < factors.size(); ++j) both.factors[j] = factors[j] * later.factors[j];
    return both;
  }
  /// F itself: it acts on each entry.
  KeyFactors adjoint() const { return *this; }
  /// Keeps what a start has become.
  template <class Memory>
  void take(Index, const Memory& memory) {
    for (Index j = 0; j < factors.size(); ++j) factors[j] = memory(0, j);
  }
  friend bool operator==(const KeyFactors&, const KeyFactors&) = default;
};

/// F(S) = factors * S, elementwise: each entry by itself.
template <class T, Index Rows = Dynamic, Index Cols = Dynamic>
struct EntryFactors : detail::ShownAtOnce<T> {
  Array<T, Rows, Cols> factors;  ///< of F

  explicit EntryFactors(const Array<T, Rows, Cols>& given) : factors(given) {}
  EntryFactors(Index rows, Index cols) : factors(rows, cols) { factors.fill(T(1)); }
  /// whole += F(first).
  template <class Memory>
  void add(const Memory& first, Memory& whole) const {
    for (Index e = 0; e < whole.size(); ++e) whole[e] = multiply_add(factors[e], first[e], whole[e]);
  }
  /// First this, then `later`.
  EntryFactors then(const EntryFactors& later) const {
    EntryFactors both = *this;
    for (Index e = 0; e < factors.size(); ++e) both.factors[e] = later.factors[e] * factors[e];
    return both;
  }
  /// F itself: it acts on each entry.
  EntryFactors adjoint() const { return *this; }
  /// Keeps what a start has become.
  template <class Memory>
  void take(Index, const Memory& memory) {
    for (Index e = 0; e < factors.size(); ++e) factors[e] = memory[e];
  }
  friend bool operator==(const EntryFactors&, const EntryFactors&) = default;
};

/// F(S) = S factor, a matrix (Keys x Keys): all rows of S move alike. Or, from the left, F(S) = factor S, a matrix
/// (Values x Values): all columns do.
template <class T, Index Size, bool Left>
struct MatrixFactor {
  Array<T, Size, Size> factor;  ///< of F

  MatrixFactor(Index rows, Index cols) : factor(Left ? rows : cols, Left ? rows : cols) {
    for (Index j = 0; j < factor.cols(); ++j) factor(j, j) = T(1);
  }
  /// whole += F(first).
  template <class Memory>
  void add(const Memory& first, Memory& whole) const {
    if constexpr (Left)
      detail::add_product_of(factor, first, whole);
    else
      detail::add_product_of(first, factor, whole);
  }
  /// First this, then `later`.
  MatrixFactor then(const MatrixFactor& later) const {
    MatrixFactor both = *this;
    both.factor.fill(T(0));
    later.add(factor, both.factor);
    return both;
  }
  /// The transpose.
  MatrixFactor adjoint() const {
    MatrixFactor other = *this;
    detail::transpose(factor, other.factor);
    return other;
  }
  /// How many starts show all of F.
  static Index probes(Index rows, Index cols) { return Left ? (rows + cols - 1) / cols : (cols + rows - 1) / rows; }
  /// Fills memories, zeros, with a start.
  template <class Memory>
  static void begin(Index n, Memory& memory) {
    const Index shown = Left ? memory.cols() : memory.rows(), all = Left ? memory.rows() : memory.cols();
    for (Index k = 0; k < shown && n * shown + k < all; ++k)
      (Left ? memory(n * shown + k, k) : memory(k, n * shown + k)) = T(1);
  }
  /// Keeps what a start has become.
  template <class Memory>
  void take(Index n, const Memory& memory) {
    const Index shown = Left ? memory.cols() : memory.rows(), all = factor.cols();
    for (Index k = 0; k < shown && n * shown + k < all; ++k)
      for (Index e = 0; e < all; ++e)
        if constexpr (Left)
          factor(e, n * shown + k) = memory(e, k);
        else
          factor(n * shown + k, e) = memory(k, e);
  }
  friend bool operator==(const MatrixFactor&, const MatrixFactor&) = default;
};
template <class T, Index Keys = Dynamic>
using RightFactor = MatrixFactor<T, Keys, false>;  ///< F(S) = S factor
template <class T, Index Values = Dynamic>
using LeftFactor = MatrixFactor<T, Values, true>;  ///< F(S) = factor S

/// F(S)_i = S_i factor_i, a matrix (Keys x Keys) for every row i of S: rows that move each by themselves.
template <class T>
struct RowFactors {
  Array<T> factors;  ///< entry (l, j) of factor i at (i, l + j Keys)

  RowFactors(Index rows, Index cols) : factors(rows, cols * cols) {
    for (Index j = 0; j < cols; ++j) factors.view().column(j + j * cols).fill(T(1));
  }
  /// whole += F(first).
  template <class Memory>
  void add(const Memory& first, Memory& whole) const {
    const Index keys = whole.cols();
    for (Index j = 0; j < keys; ++j)
      for (Index l = 0; l < keys; ++l)
        for (Index i = 0; i < whole.rows(); ++i)
          whole(i, j) = multiply_add(first(i, l), factors(i, l + j * keys), whole(i, j));
  }
  /// First this, then `later`.
  RowFactors then(const RowFactors& later) const {
    RowFactors both = *this;
    const Index keys = key_count();
    both.factors.fill(T(0));
    for (Index j = 0; j < keys; ++j)
      for (Index m = 0; m < keys; ++m)
        for (Index l = 0; l < keys; ++l)
          for (Index i = 0; i < factors.rows(); ++i)
            both.factors(i, l + j * keys) =
                multiply_add(factors(i, l + m * keys), later.factors(i, m + j * keys), both.factors(i, l + j * keys));
    return both;
  }
  /// The transposes.
  RowFactors adjoint() const {
    RowFactors other = *this;
    const Index keys = key_count();
    for (Index j = 0; j < keys; ++j)
      for (Index l = 0; l < keys; ++l)
        for (Index i = 0; i < factors.rows(); ++i) other.factors(i, l + j * keys) = factors(i, j + l * keys);
    return other;
  }
  /// How many starts show all of F.
  static Index probes(Index, Index cols) { return cols; }
  /// Fills memories, zeros, with a start.
  template <class Memory>
  static void begin(Index n, Memory& memory) {
    memory.view().column(n).fill(T(1));
  }
  /// Keeps what a start has become.
  template <class Memory>
  void take(Index n, const Memory& memory) {
    for (Index j = 0; j < memory.cols(); ++j)
      for (Index i = 0; i < memory.rows(); ++i) factors(i, n + j * memory.cols()) = memory(i, j);
  }
  friend bool operator==(const RowFactors&, const RowFactors&) = default;

 private:
  Index key_count() const {
    Index keys = 1;
    while (keys * keys < factors.cols()) ++keys;
    return keys;
  }
};

/// F([S B]) = [S B] factor, a matrix (2 Keys x 2 Keys): a memory and its momentum.
template <class T>
struct PairFactor {
  Array<T> factor;  ///< of F

  PairFactor(Index, Index cols) : factor(2 * cols, 2 * cols) {
    for (Index j = 0; j < 2 * cols; ++j) factor(j, j) = T(1);
  }
  /// whole += F(first).
  template <class Memory>
  void add(const Memory& S, const Memory& B, Memory& whole_S, Memory& whole_B) const {
    const Index keys = S.cols();
    for (Index j = 0; j < 2 * keys; ++j)
      for (Index l = 0; l < 2 * keys; ++l)
        for (Index i = 0; i < S.rows(); ++i) {
          T& to = j < keys ? whole_S(i, j) : whole_B(i, j - keys);
          to = multiply_add(l < keys ? S(i, l) : B(i, l - keys), factor(l, j), to);
        }
  }
  /// First this, then `later`.
  PairFactor then(const PairFactor& later) const {
    PairFactor both = *this;
    both.factor.fill(T(0));
    detail::add_product_of(factor, later.factor, both.factor);
    return both;
  }
  /// The transpose.
  PairFactor adjoint() const {
    PairFactor other = *this;
    detail::transpose(factor, other.factor);
    return other;
  }
  /// How many starts show all of F.
  static Index probes(Index rows, Index cols) { return 2 * RightFactor<T>::probes(rows, cols); }
  /// Fills memories, zeros, with a start.
  template <class Memory>
  static void begin(Index n, Memory& S, Memory& B) {
    const Index half = RightFactor<T>::probes(S.rows(), S.cols());
    RightFactor<T>::begin(n % half, n < half ? S : B);
  }
  /// Keeps what a start has become.
  template <class Memory>
  void take(Index n, const Memory& S, const Memory& B) {
    const Index keys = S.cols(), half = RightFactor<T>::probes(S.rows(), keys), first = n % half * S.rows();
    for (Index j = 0; j < keys; ++j)
      for (Index i = 0; i < S.rows() && first + i < keys; ++i) {
        const Index row = n / half * keys + first + i;
        factor(row, j) = S(i, j);
        factor(row, keys + j) = B(i, j);
      }
  }
  friend bool operator==(const PairFactor&, const PairFactor&) = default;
};

namespace detail {

/// The matrices of a state that F maps: `memories()` where the state has it, else its memory.
template <class State>
auto memories_of(State& state) {
  if constexpr (requires { state.memories(); })
    return state.memories();
  else
    return std::tie(state.memory);
}

}  // namespace detail

/// The affine summary of a stretch of tokens, (22a),
///     S -> F(S) + U
/// The rest of a state, such as the last key, is what the stretch leaves.
///     `Factor`  F, one of the types above        `State`  the state whose memories F maps
template <class Factor, class State>
struct AffineSummary {
  Factor factor;  ///< F
  State offset;   ///< the state after the stretch from memories of zero: U

  /// The state after the stretch, from the one before it.
  State operator()(const State& before) const {
    State after = offset;
    std::apply(
        [&](const auto&... first) {
          std::apply(
              [&](auto&... whole) {
                if constexpr (requires { factor.add(first..., whole...); })
                  factor.add(first..., whole...);
                else
                  (factor.add(first, whole), ...);
              },
              detail::memories_of(after));
        },
        detail::memories_of(before));
    return after;
  }

  /// This stretch, and then `later`, (22b): the composition (F_2 F_1, F_2(U_1) + U_2), which is associative. What
  /// `later` was made from, memories aside, is the state that this one leaves.
  AffineSummary then(const AffineSummary& later) const { return {factor.then(later.factor), later(offset)}; }

  friend bool operator==(const AffineSummary&, const AffineSummary&) = default;
};

}  // namespace gdssm
