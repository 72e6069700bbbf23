// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <type_traits>

#include "gdssm/core/elementary.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

// Elementwise work on arrays, a vector of numbers at a time.
namespace gdssm::kernels {

/// Numbers side by side in arrays: lanes of floats or doubles, single numbers of any other type. A vector that reaches
/// beyond the arrays' end is filled up with zeros, so a number has the same bits wherever it stands.
template <class T, bool Whole = false>
class Piece {
  static constexpr bool floating = std::is_floating_point_v<T>;

 public:
  /// What arithmetic is done with.
  using Value = typename std::conditional_t<floating, std::type_identity<Lanes<std::conditional_t<floating, T, float>>>,
                                            std::type_identity<T>>::type;
  static constexpr Index size = lane_count<Value>;  ///< numbers of a whole piece

  Piece(Index begin, Index count) : begin_(begin), count_(count) {}

  /// The numbers of an array.
  Value load(const T* from) const {
    if constexpr (!floating) {
      return from[begin_];
    } else {
      Value value(T(0));
      std::memcpy(&value.vector(0), from + begin_, bytes());
      return value;
    }
  }
  /// Writes them.
  void store(T* to, const Value& value) const {
    if constexpr (!floating)
      to[begin_] = value;
    else
      std::memcpy(to + begin_, &value.vector(0), bytes());
  }
  /// Adds to them.
  void add(T* to, const Value& value) const { store(to, load(to) + value); }

 private:
  std::size_t bytes() const { return sizeof(T) * static_cast<std::size_t>(Whole ? size : count_); }
  Index begin_, count_;
};

/// Calls work(piece) for the pieces of arrays of n numbers, in order.
template <class T, class Work>
void each_piece(Index n, const Work& work) {
  constexpr Index size = Piece<T>::size;
  Index i = 0;
  for (; i + size <= n; i += size) work(Piece<T, true>(i, size));
  if (i < n) work(Piece<T, false>(i, n - i));
}

/// The sum over n numbers of what term(piece, sum) adds to a sum, lanes last.
template <class T, class Term>
T sum_of_pieces(Index n, const Term& term) {
  using Value = typename Piece<T>::Value;
  Value sum(T(0));
  each_piece<T>(n, [&](const auto& piece) { term(piece, sum); });
  return sum_lanes(sum);
}

}  // namespace gdssm::kernels
