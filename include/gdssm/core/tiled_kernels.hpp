// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

// The recurrence over a whole sequence, tiled: a tile of the state stays in registers over all times, so that only the
// factors are read. `kernels.hpp` holds the single step that defines the result.
namespace gdssm::kernels {

/// Whether there are tiles for data S with coefficients D: floating-point numbers, or lanes of them, with numbers.
template <class D, class S>
inline constexpr bool has_tiles = std::is_floating_point_v<D>&& std::is_same_v<D, LaneScalar<S>>;

namespace tiles {

using detail::fused_in_long_body;

/// Calls piece(std::integral_constant) for 0, ..., Count - 1, always unrolled: registers cannot be indexed.
template <Index Count, class Piece>
[[gnu::always_inline]] inline void unroll(Piece&& piece) {
  [&]<Index... i>(std::integer_sequence<Index, i...>) __attribute__((always_inline)) {
    (piece(std::integral_constant<Index, i>()), ...);
  }
  (std::make_integer_sequence<Index, Count>());
}

/// Splits 0, ..., end - 1 into stretches: as many of length `Most` as fit, then as many of half that length, and so on.
/// Calls piece(begin, std::integral_constant<Index, length>) for each.
template <Index Most, class Piece>
void stretches(Index end, const Piece& piece, Index begin = 0) {
  for (; begin + Most <= end; begin += Most) piece(begin, std::integral_constant<Index, Most>());
  if constexpr (Most > 1)
    if (begin < end) stretches<Most / 2>(end, piece, begin);
}

/// Splits 0, ..., end - 1 into bands: first as many multiples of height `Most` as fit, then of half that height, and so
/// on. Calls piece(begin, length, std::integral_constant<Index, height>) for each.
template <Index Most, class Piece>
void bands(Index end, const Piece& piece, Index begin = 0) {
  const Index length = (end - begin) / Most * Most;
  if (length > 0) piece(begin, length, std::integral_constant<Index, Most>());
  if constexpr (Most > 1)
    if (begin + length < end) bands<(Most + 1) / 2>(end, piece, begin + length);
}

/// Access of tiles to lanes: a vector is vector `pack` of one element, and a coefficient is spread over it.
template <class T, Index Count>
struct LaneAccess {
  using Vector = typename Lanes<T, Count>::Vector;
  static constexpr Index rows = 1;  ///< consecutive elements of a column in a vector

  Index pack;

  Vector row(const Lanes<T, Count>* from) const { return from->vector(pack); }
  Vector single(const Lanes<T, Count>* from) const { return from->vector(pack); }
  Vector coefficient(const T* from) const { return *from - Vector{}; }
  void store(Lanes<T, Count>* to, const Vector& value) const { to->vector(pack) = value; }
};

/// Access of tiles to plain numbers: a vector is `Rows` consecutive elements of a column.
template <class T, Index Rows>
struct RowAccess {
  typedef T Vector __attribute__((vector_size(sizeof(T) * static_cast<std::size_t>(Rows))));
  static constexpr Index rows = Rows;

  Vector row(const T* from) const {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  Vector single(const T* from) const { return *from - Vector{}; }
  Vector coefficient(const T* from) const { return row(from); }
  void store(T* to, const Vector& value) const { std::memcpy(to, &value, sizeof value); }
};
template <class T>
struct RowAccess<T, 1> {
  using Vector = T;
  static constexpr Index rows = 1;

  Vector row(const T* from) const { return *from; }
  Vector single(const T* from) const { return *from; }
  Vector coefficient(const T* from) const { return *from; }
  void store(T* to, Vector value) const { *to = value; }
};

/// Calls piece(access, begin, end) so that `rows` elements of every column are covered once: lane vector by lane
/// vector, or in row vectors that become narrower towards the end.
template <class S, class Piece>
void cover(Index rows, const Piece& piece) {
  using T = LaneScalar<S>;
  if constexpr (std::is_same_v<S, T>) {
    constexpr auto native = static_cast<Index>(detail::native_bytes / sizeof(T)),
                   narrowest = static_cast<Index>(16 / sizeof(T));
    const Index wide = rows / native * native, narrow = wide + (rows - wide) / narrowest * narrowest;
    if (wide > 0) piece(RowAccess<T, native>(), Index(0), wide);
    if constexpr (narrowest < native)
      if (narrow > wide) piece(RowAccess<T, narrowest>(), wide, narrow);
    if (rows > narrow) piece(RowAccess<T, 1>(), narrow, rows);
  } else {
    for (Index pack = 0; pack < S::vectors; ++pack) piece(LaneAccess<T, lane_count<S>>{pack}, Index(0), rows);
  }
}

/// Calls piece(access) for each lane vector, or once for plain numbers, with the widest row vector that fits. Vector i
/// of a column begins at `row_of_vector`. The last one overlaps the one before: results may be written twice.
template <class S, class Piece>
void cover_all(Index rows, const Piece& piece) {
  using T = LaneScalar<S>;
  if constexpr (std::is_same_v<S, T>) {
    constexpr auto native = static_cast<Index>(detail::native_bytes / sizeof(T)),
                   narrowest = static_cast<Index>(16 / sizeof(T));
    if (rows >= native) return piece(RowAccess<T, native>());
    if constexpr (native / 2 > narrowest)
      if (rows >= native / 2) return piece(RowAccess<T, native / 2>());
    if constexpr (narrowest < native)
      if (rows >= narrowest) return piece(RowAccess<T, narrowest>());
    piece(RowAccess<T, 1>());
  } else {
    for (Index pack = 0; pack < S::vectors; ++pack) piece(LaneAccess<T, lane_count<S>>{pack});
  }
}
template <class Access>
constexpr Index row_of_vector(Index i, Index rows) {
  return i * Access::rows < rows - Access::rows ? i * Access::rows : rows - Access::rows;
}

/// Tile sizes. With 32 registers a scan keeps a row of ten states and their sensitivities, and a pull keeps five
/// cotangents of rank three.
inline constexpr Index scan_cols = detail::native_bytes == 64 ? 10 : 5;
inline constexpr Index multiply_rows = 10;
inline constexpr Index pull_rows = detail::native_bytes == 64 ? 5 : 3;

/// The windows of a sequence in memory: factor a of window t is column a + t stride.
template <class S>
struct Strided {
  const S* data;
  Index rows, stride;
  const S* column(Index t, Index a) const { return data + (t * stride + a) * rows; }
};

// Tiles are separate functions: when they are inlined into the surrounding loops, g++ 12 no longer vectorises them.

/// Hides the pointer from the optimiser: reads through it inside a loop stay there, and take no register outside.
template <class T>
[[gnu::always_inline]] inline T* reread(T* from) {
  asm volatile("" : "+r"(from));
  return from;
}

/// Forces the value into a register, so that several uses read it once. g++ 12 treats an operand in memory as good as a
/// register, and reads it for every use.
template <class Vector>
[[gnu::always_inline]] inline Vector in_register(Vector value) {
#if defined(__SSE2__)
  asm("" : "+v"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#endif
  return value;
}

template <Index Width, Index Rank, bool Sensitivity, bool Fresh, class Access, class D, class S>
[[gnu::noinline]] void scan_tiles(Access access, const D* decay, Strided<S> left, Strided<S> right, Index n, S* memory,
                                  S* sensitivity, Index rows, Index end) {
  using Vector = typename Access::Vector;
  for (Index i = 0; i < end; i += Access::rows) {
    const S *l = left.data, *r = right.data + i;
    Vector factor[Rank], z[Width], y[Width];
    const auto read_right = [&]() __attribute__((always_inline)) {
      unroll<Rank>([&](auto a)
                       __attribute__((always_inline)) { factor[a] = in_register(access.row(r + a * right.rows)); });
    };
    const auto outer = [&](auto j) __attribute__((always_inline)) {
      Vector g = factor[0] * access.single(l + j);
      unroll<Rank - 1>([&](auto a) __attribute__((always_inline)) {
        g = fused_in_long_body(factor[a + 1], access.single(l + j + (a + 1) * left.rows), g);
      });
      return g;
    };
    const auto advance = [&]() __attribute__((always_inline)) {
      l += left.stride * left.rows;
      r += right.stride * right.rows;
    };

    if constexpr (Fresh) {
      read_right();
      unroll<Width>([&](auto j) __attribute__((always_inline)) {
        z[j] = outer(j);
        y[j] = Vector{};
      });
      advance();
    } else {
      unroll<Width>([&](auto j) __attribute__((always_inline)) {
        z[j] = access.row(memory + i + j * rows);
        if constexpr (Sensitivity) y[j] = access.row(sensitivity + i + j * rows);
      });
    }
#if defined(__clang__)
#pragma clang loop unroll(disable)
#endif
    for (Index t = Fresh; t < n; ++t, advance()) {
      const D* const decays = Sensitivity ? reread(decay + i) : decay + i;  // with Y there are few registers left
      read_right();
      unroll<Width>([&](auto j) __attribute__((always_inline)) {
        const Vector L = access.coefficient(decays + j * rows);
        if constexpr (Sensitivity) y[j] = fused_in_long_body(L, y[j], z[j]);
        z[j] = fused_in_long_body(L, z[j], outer(j));
      });
    }
    unroll<Width>([&](auto j) __attribute__((always_inline)) {
      access.store(memory + i + j * rows, z[j]);
      if constexpr (Sensitivity) access.store(sensitivity + i + j * rows, y[j]);
    });
  }
}

template <Index Height, Index Rank, class Access, class D, class S>
[[gnu::noinline]] void pull_tiles(Access access, const D* powers, Strided<S> left, const S* scale, Index n,
                                  S* right_bar, Index cols, Index rows, Index end, bool ends) {
  using Vector = typename Access::Vector;
  constexpr Index step = Height * Access::rows;
  const auto put = [&](const S* factor, S* to, const auto& q) __attribute__((always_inline)) {
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      const Vector v = access.row(factor + i * Access::rows);
      unroll<Rank>([&](auto a)
                       __attribute__((always_inline)) { access.store(to + a * cols + i * Access::rows, v * q[i][a]); });
    });
  };
  // Time is the outer loop: a window's left factors and powers stay in the first cache for all its tiles.
  for (Index t = 0; t < n - ends; ++t)
    for (Index first = 0; first < end; first += step) {
      Vector q[Height][Rank] = {};
      const S* l = left.column(t, 0);
      const D* power = powers + t * cols * rows + first;
#if defined(__clang__)
#pragma clang loop unroll(disable)
#endif
      for (Index j = 0; j < rows; ++j, ++l, power += cols) {
        Vector factor[Rank];
        unroll<Rank>([&](auto a)
                         __attribute__((always_inline)) { factor[a] = in_register(access.single(l + a * left.rows)); });
        unroll<Height>([&](auto i) __attribute__((always_inline)) {
          const Vector P = in_register(access.coefficient(power + i * Access::rows));
          unroll<Rank>([&](auto a)
                           __attribute__((always_inline)) { q[i][a] = fused_in_long_body(P, factor[a], q[i][a]); });
        });
      }
      put(scale + first, right_bar + t * Rank * cols + first, q);
    }
  if (!ends) return;
  Vector sum[Rank] = {};
  for (Index j = 0; j < rows; ++j)
    unroll<Rank>([&](auto a)
                     __attribute__((always_inline)) { sum[a] = sum[a] + access.single(left.column(n - 1, a) + j); });
  for (Index first = 0; first < end; first += step) {
    Vector q[Height][Rank];
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      unroll<Rank>([&](auto a) __attribute__((always_inline)) { q[i][a] = sum[a]; });
    });
    put(scale + first, right_bar + (n - 1) * Rank * cols + first, q);
  }
}

template <Index Width, Index Stride, bool Gated, class Access, class P, class S>
[[gnu::noinline]] void mix_tile(Access access, const P* A, const S* x, Index n, S* right, const S* gate, S* gated,
                                Index rows) {
  using Vector = typename Access::Vector;
  const Index vectors = (rows + Access::rows - 1) / Access::rows;
  Vector a[Width][Width];
  unroll<Width>([&](auto i) __attribute__((always_inline)) {
    unroll<Width>([&](auto j) __attribute__((always_inline)) { a[i][j] = A[i + j * Width] - Vector{}; });
  });
  for (Index t = 0; t < n; ++t, x += Stride * rows, right += Width * rows)
    for (Index k = 0; k < vectors; ++k) {
      const Index e = row_of_vector<Access>(k, rows);
      Vector v[Width];
      unroll<Width>([&](auto j) __attribute__((always_inline)) { v[j] = in_register(access.row(x + e + j * rows)); });
      if constexpr (Gated) {
        const Vector o = access.row(gate + e);
        unroll < Stride<Width ? Stride : Width>(
                     [&](auto j) __attribute__((always_inline)) {
                       access.store(gated + e + (t * Stride + j) * rows, o * v[j]);
                     });
      }
      unroll<Width>([&](auto i) __attribute__((always_inline)) {
        Vector sum = a[i][0] * v[0];
        unroll<Width - 1>([&](auto j)
                              __attribute__((always_inline)) { sum = fused_in_long_body(a[i][j + 1], v[j + 1], sum); });
        access.store(right + e + i * rows, sum);
      });
    }
  if constexpr (Gated)
    for (Index j = Stride; j < Width; ++j)  // x is behind the last window here
      for (Index k = 0; k < vectors; ++k) {
        const Index e = row_of_vector<Access>(k, rows);
        access.store(gated + e + ((n - 1) * Stride + j) * rows,
                     access.row(gate + e) * access.row(x + e + (j - Stride) * rows));
      }
}

template <Index Width, Index Count, class T>
[[gnu::noinline]] void mix_vjp_tile(LaneAccess<T, Count> access, const Lanes<T, Count>* x, Index stride, Index n,
                                    const Lanes<T, Count>* right_bar, Index rows, Lanes<T, Count>* A_bar) {
  using Vector = typename Lanes<T, Count>::Vector;
  Vector sum[Width][Width];
  unroll<Width>([&](auto i) __attribute__((always_inline)) {
    unroll<Width>([&](auto j) __attribute__((always_inline)) { sum[i][j] = access.row(A_bar + i + j * Width); });
  });
  for (Index t = 0; t < n; ++t, x += stride * rows, right_bar += Width * rows)
    for (Index e = 0; e < rows; ++e) {
      Vector v[Width];
      unroll<Width>([&](auto j) __attribute__((always_inline)) { v[j] = access.row(x + e + j * rows); });
      unroll<Width>([&](auto i) __attribute__((always_inline)) {
        const Vector r = access.row(right_bar + e + i * rows);
        unroll<Width>([&](auto j)
                          __attribute__((always_inline)) { sum[i][j] = fused_in_long_body(r, v[j], sum[i][j]); });
      });
    }
  unroll<Width>([&](auto i) __attribute__((always_inline)) {
    unroll<Width>([&](auto j) __attribute__((always_inline)) { access.store(A_bar + i + j * Width, sum[i][j]); });
  });
}

template <Index Height, class Access, class P, class S>
void multiply_tile(Access access, const P* A, const S* x, Index cols, S* y, Index rows, Index first) {
  using Vector = typename Access::Vector;
  Vector sum[Height] = {};
  for (Index j = 0; j < cols; ++j) {
    const Vector factor = access.single(x + j);
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      const P* const a = A + row_of_vector<Access>(first + i, rows) + j * rows;
      if constexpr (std::is_same_v<P, S>)
        sum[i] = fused_in_long_body(access.row(a), factor, sum[i]);
      else
        sum[i] = fused_in_long_body(access.coefficient(a), factor, sum[i]);
    });
  }
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    access.store(y + row_of_vector<Access>(first + i, rows), sum[i]);
  });
}

template <Index Height, class Access, class T, Index Rows, Index Cols, Index Rank>
[[gnu::noinline]] void outer_sum_tile(Access access, View<const T, Cols, Rows> decay, View<const T, Rows, Rank> left,
                                      View<const T, Cols, Rank> right, View<T, Cols, Rows> memory, Index first) {
  using Vector = typename Access::Vector;
  const Index rows = memory.rows();
  const auto at = [&](Index i) { return row_of_vector<Access>(first + i, rows); };
  Vector r[Height][Rank];
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    unroll<Rank>([&](auto a) __attribute__((always_inline)) { r[i][a] = access.row(right.data() + at(i) + a * rows); });
  });
#if defined(__clang__)
#pragma clang loop unroll(disable)
#endif
  for (Index j = 0; j < memory.cols(); ++j) {
    const T* const L = decay.data() + j * rows;
    T* const m = memory.data() + j * rows;
    Vector factor[Rank], z[Height];
    unroll<Rank>([&](auto a) __attribute__((always_inline)) { factor[a] = in_register(access.single(&left(j, a))); });
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      Vector g = r[i][0] * factor[0];
      unroll<Rank - 1>([&](auto a)
                           __attribute__((always_inline)) { g = fused_in_long_body(r[i][a + 1], factor[a + 1], g); });
      z[i] = fused_in_long_body(access.row(L + at(i)), access.row(m + at(i)), g);
    });
    unroll<Height>([&](auto i) __attribute__((always_inline)) { access.store(m + at(i), z[i]); });
  }
}

template <Index Width, class T, Index Count, class P>
[[gnu::noinline]] void multiply_transposed_tile(LaneAccess<T, Count> access, const P* A, const Lanes<T, Count>* x,
                                                Index rows, Lanes<T, Count>* y) {
  using Vector = typename Lanes<T, Count>::Vector;
  Vector sum[Width] = {};
  for (Index i = 0; i < rows; ++i) {
    const Vector factor = access.row(x + i);
    unroll<Width>([&](auto j) __attribute__((always_inline)) {
      const P* const a = A + i + j * rows;
      if constexpr (std::is_same_v<P, T>)
        sum[j] = fused_in_long_body(access.coefficient(a), factor, sum[j]);
      else
        sum[j] = fused_in_long_body(access.row(a), factor, sum[j]);
    });
  }
  unroll<Width>([&](auto j) __attribute__((always_inline)) { access.store(y + j, sum[j]); });
}

template <Index Height, bool Weighted, class T, Index Count>
[[gnu::noinline]] void add_outer_tile(LaneAccess<T, Count> access, const Lanes<T, Count>* x, const Lanes<T, Count>* y,
                                      const Lanes<T, Count>* weight, Index rows, Index cols, Lanes<T, Count>* A) {
  using Vector = typename Lanes<T, Count>::Vector;
  Vector factor[Height];
  unroll<Height>([&](auto i) __attribute__((always_inline)) { factor[i] = access.row(x + i); });
  for (Index j = 0; j < cols; ++j, ++y, A += rows, weight += Weighted ? rows : 0) {
    const Vector other = access.single(y);
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      if constexpr (Weighted)
        access.store(A + i, fused_in_long_body(factor[i] * other, access.row(weight + i), access.row(A + i)));
      else
        access.store(A + i, fused_in_long_body(factor[i], other, access.row(A + i)));
    });
  }
}

}  // namespace tiles

/// `multiply_transposed` in lanes, with the same bits.
template <class P, class T, Index Count, Index Rows, Index Cols>
void multiply_transposed_tiled(View<const P, Rows, Cols> A, View<const Lanes<T, Count>, Rows, 1> x,
                               View<Lanes<T, Count>, Cols, 1> y) {
  for (Index pack = 0; pack < Lanes<T, Count>::vectors; ++pack)
    tiles::stretches<tiles::multiply_rows>(y.size(), [&](Index j, auto width) {
      tiles::multiply_transposed_tile<width, T, Count>({pack}, A.data() + j * A.rows(), x.data(), A.rows(),
                                                       y.data() + j);
    });
}

/// `add_outer` in lanes or, unless `weight` is absent, `add_weighted_outer`, with the same bits.
template <class T, Index Count, Index Rows, Index Cols>
void add_outer_tiled(View<const Lanes<T, Count>, Rows, 1> x, View<const Lanes<T, Count>, Cols, 1> y,
                     View<const Lanes<T, Count>, Rows, Cols> weight, View<Lanes<T, Count>, Rows, Cols> A) {
  for (Index pack = 0; pack < Lanes<T, Count>::vectors; ++pack)
    tiles::stretches<tiles::multiply_rows>(A.rows(), [&](Index i, auto height) {
      if (weight.present())
        tiles::add_outer_tile<height, true, T, Count>({pack}, x.data() + i, y.data(), weight.data() + i, A.rows(),
                                                      A.cols(), A.data() + i);
      else
        tiles::add_outer_tile<height, false, T, Count>({pack}, x.data() + i, y.data(), nullptr, A.rows(), A.cols(),
                                                       A.data() + i);
    });
}

/// `multiply` where `has_tiles`, with the same bits.
template <class P, class S, Index Rows, Index Cols>
void multiply_tiled(View<const P, Rows, Cols> A, View<const S, Cols, 1> x, View<S, Rows, 1> y) {
  tiles::cover_all<S>(A.rows(), [&](auto access) {
    constexpr Index step = decltype(access)::rows;
    tiles::stretches<lane_count<S> == 1 ? 4 : tiles::multiply_rows>(
        (A.rows() + step - 1) / step, [&](Index i, auto height) {
          tiles::multiply_tile<height>(access, A.data(), x.data(), A.cols(), y.data(), A.rows(), i);
        });
  });
}

/// `decayed_outer_sum` of plain numbers, with the same bits.
template <class T, Index Rows, Index Cols, Index Rank>
void decayed_outer_sum_tiled(View<const T, Cols, Rows> decay, View<const T, Rows, Rank> left,
                             View<const T, Cols, Rank> right, View<T, Cols, Rows> memory) {
  tiles::cover_all<T>(memory.rows(), [&](auto access) {
    constexpr Index step = decltype(access)::rows;
    const auto sum = [&](Index first, auto height) {
      tiles::outer_sum_tile<height>(access, decay, left, right, memory, first);
    };
    // From last to first, two at a time, so that overlapping vectors are read before either is written.
    Index i = (memory.rows() + step - 1) / step;
    for (; i >= 2; i -= 2) sum(i - 2, std::integral_constant<Index, 2>());
    if (i == 1) sum(0, std::integral_constant<Index, 1>());
  });
}

/// The start of a scan: the given memory and sensitivity, or zeros.
enum class ScanStart { given, zero };

/// n steps of `decayed_outer_sum`, each after one of `decayed_sum` unless `sensitivity` is absent, with the same bits:
///     Y <- L * Y + M,   M <- L * M + sum_a right_ta left_ta^T,   t = 0..n-1
/// Shapes  decay, memory, sensitivity (cols x rows); lefts: column a + t stride is left_ta (rows); rights
///         (cols x Rank n), column a + t Rank is right_ta; n at least 1
template <Index Rank, class D, class S, Index Rows, Index Cols>
void decayed_outer_scan(View<const D, Cols, Rows> decay, View<const S, Rows> lefts, Index stride,
                        View<const S, Cols> rights, View<S, Cols, Rows> memory, View<S, Cols, Rows> sensitivity,
                        ScanStart start = ScanStart::given) {
  const Index cols = memory.rows(), rows = memory.cols(), n = rights.cols() / Rank;
  assert(n > 0);
  // Splits long sequences into pieces whose factors stay in the first cache for all tiles.
  const Index piece =
      std::max<Index>(16, Index(16) * 1024 / ((rows * stride + cols * Rank) * static_cast<Index>(sizeof(S))));
  if (n > 4 * piece) {
    for (Index t = 0; t < n; t += piece) {
      const Index count = (std::min)(piece, n - t);
      decayed_outer_scan<Rank>(decay, lefts.columns(t * stride, (count - 1) * stride + Rank), stride,
                               rights.columns(t * Rank, count * Rank), memory, sensitivity,
                               t == 0 ? start : ScanStart::given);
    }
    return;
  }
  if (start == ScanStart::zero && !sensitivity.present()) memory.fill(S(0));
  tiles::cover<S>(cols, [&](auto access, Index begin, Index end) {
    tiles::stretches<tiles::scan_cols>(rows, [&](Index j, auto width) {
      const tiles::Strided<S> left{lefts.data() + j, rows, stride}, right{rights.data() + begin, cols, Rank};
      const Index at = begin + j * cols;
      const auto scan = [&](auto sensitive, auto fresh) {
        tiles::scan_tiles<width, Rank, sensitive, fresh>(access, decay.data() + at, left, right, n, memory.data() + at,
                                                         sensitive ? sensitivity.data() + at : nullptr, cols,
                                                         end - begin);
      };
      if (!sensitivity.present())
        scan(std::false_type(), std::false_type());
      else if (start == ScanStart::given)
        scan(std::true_type(), std::false_type());
      else
        scan(std::true_type(), std::true_type());
    });
  });
}

/// The right factors' cotangents over n steps, when the last memory has the cotangent scale o^T. Before step t it is
/// then (scale o^T) * L^(n-1-t), so that
///     right_bar_ta = scale * (P_t (o * left_ta)),   P_t = L^(n-1-t)
/// with elementwise products o * left_ta, which the caller computes. The powers P_t are the same for all tasks. With
/// `ends` the last power is 1 and is not read.
/// Shapes  powers (cols x rows n), P_t after P_{t-1}; lefts: column a + t stride is o * left_ta (rows); scale (cols);
///         rights_bar (cols x Rank n), overwritten
template <Index Rank, class D, class S, Index Rows, Index Cols>
void decayed_outer_pull(View<const D, Cols> powers, View<const S, Rows> lefts, Index stride,
                        View<const S, Cols, 1> scale, View<S, Cols> rights_bar, bool ends) {
  const Index cols = scale.size(), rows = lefts.rows(), n = rights_bar.cols() / Rank;
  tiles::cover<S>(cols, [&](auto access, Index begin, Index end) {
    constexpr Index step = decltype(access)::rows;
    tiles::bands<tiles::pull_rows>((end - begin) / step, [&](Index i, Index count, auto height) {
      const Index at = begin + i * step;
      tiles::pull_tiles<height, Rank>(access, powers.data() + at, tiles::Strided<S>{lefts.data(), rows, stride},
                                      scale.data() + at, n, rights_bar.data() + at, cols, rows, count * step, ends);
    });
  });
}

/// The right factors of n windows, right_ta = sum_b A_ab x_tb.
/// Shapes  A (Width x Width); tokens: column b + t Stride is x_tb (rows); rights (rows x Width n)
template <Index Width, Index Stride, class P, class S, Index Rows>
void mix_columns(View<const P, Width, Width> A, View<const S, Rows> tokens, View<S, Rows> rights) {
  tiles::cover_all<S>(tokens.rows(), [&](auto access) {
    tiles::mix_tile<Width, Stride, false>(access, A.data(), tokens.data(), rights.cols() / Width, rights.data(),
                                          static_cast<const S*>(nullptr), static_cast<S*>(nullptr), tokens.rows());
  });
}

/// The same, and writes the gated tokens gate * x.        Shapes  gate (rows); gated as tokens
template <Index Width, Index Stride, class P, class S, Index Rows>
void mix_columns(View<const P, Width, Width> A, View<const S, Rows> tokens, View<S, Rows> rights,
                 View<const S, Rows, 1> gate, View<S, Rows> gated) {
  tiles::cover_all<S>(tokens.rows(), [&](auto access) {
    tiles::mix_tile<Width, Stride, true>(access, A.data(), tokens.data(), rights.cols() / Width, rights.data(),
                                         gate.data(), gated.data(), tokens.rows());
  });
}

/// VJP of `mix_columns` for A, in lanes: A_bar_ab += sum_t <right_bar_ta, x_tb>.
template <Index Width, class T, Index Count, Index Rows>
void mix_columns_vjp(View<const Lanes<T, Count>, Rows> tokens, Index stride,
                     View<const Lanes<T, Count>, Rows> rights_bar, View<Lanes<T, Count>, Width, Width> A_bar) {
  for (Index pack = 0; pack < Lanes<T, Count>::vectors; ++pack)
    tiles::mix_vjp_tile<Width, Count, T>({pack}, tokens.data(), stride, rights_bar.cols() / Width, rights_bar.data(),
                                         tokens.rows(), A_bar.data());
}
template <Index Width, class S, Index Rows>
void mix_columns_vjp(View<const S, Rows> tokens, Index stride, View<const S, Rows> rights_bar,
                     View<S, Width, Width> A_bar) {
  const Index rows = tokens.rows();
  for (Index t = 0; t < rights_bar.cols() / Width; ++t)
    for (Index b = 0; b < Width; ++b)
      for (Index a = 0; a < Width; ++a)
        for (Index i = 0; i < rows; ++i)
          A_bar(a, b) = multiply_add(rights_bar(i, t * Width + a), tokens(i, t * stride + b), A_bar(a, b));
}

}  // namespace gdssm::kernels
