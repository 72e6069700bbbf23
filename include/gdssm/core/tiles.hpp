// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

// The recurrence over a whole sequence, tiled: a tile of the state stays in registers while time runs inside, so that
// nothing but the factors is read. `kernels.hpp` holds the single step that defines the result.
namespace gdssm::kernels {

/// Whether there are tiles for data S with coefficients D: floating-point numbers, or lanes of them, with numbers.
template <class D, class S>
inline constexpr bool has_tiles = std::is_floating_point_v<D>&& std::is_same_v<D, LaneScalar<S>>;

namespace tiles {

using detail::fused_in_long_body;

/// Calls piece(std::integral_constant) for 0, ..., Count - 1, unrolled whatever the compiler thinks of it: what lies in
/// registers must not be indexed at run time.
template <Index Count, class Piece>
[[gnu::always_inline]] inline void unroll(Piece&& piece) {
  [&]<Index... i>(std::integer_sequence<Index, i...>) __attribute__((always_inline)) {
    (piece(std::integral_constant<Index, i>()), ...);
  }
  (std::make_integer_sequence<Index, Count>());
}

/// Calls piece(begin, std::integral_constant<Index, length>) for stretches that together are 0, ..., end - 1: as many
/// of length `Most` as fit, then as many of half of it, and so on.
template <Index Most, class Piece>
void stretches(Index end, const Piece& piece, Index begin = 0) {
  for (; begin + Most <= end; begin += Most) piece(begin, std::integral_constant<Index, Most>());
  if constexpr (Most > 1)
    if (begin < end) stretches<Most / 2>(end, piece, begin);
}

/// How tiles see lanes: a vector is vector `pack` of one element, a coefficient is spread over it.
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

/// How tiles see plain numbers: a vector is `Rows` consecutive elements of a column.
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

/// Calls piece(access, begin, end) for ways of access that together cover `rows` elements of every column once, lane
/// vector by lane vector, or in vectors of rows as wide as there is room for.
template <class S, class Piece>
void cover(Index rows, const Piece& piece) {
  using T = LaneScalar<S>;
  if constexpr (std::is_same_v<S, T>) {
    constexpr Index native = static_cast<Index>(detail::native_bytes / sizeof(T)),
                    small = static_cast<Index>(16 / sizeof(T));
    const Index wide = rows / native * native, narrow = wide + (rows - wide) / small * small;
    if (wide > 0) piece(RowAccess<T, native>(), Index(0), wide);
    if constexpr (small < native)
      if (narrow > wide) piece(RowAccess<T, small>(), wide, narrow);
    if (rows > narrow) piece(RowAccess<T, 1>(), narrow, rows);
  } else {
    for (Index pack = 0; pack < S::vectors; ++pack) piece(LaneAccess<T, lane_count<S>>{pack}, Index(0), rows);
  }
}

/// The size of tiles. Where there are 32 registers, a scan keeps a row of ten states and their sensitivities; a pull
/// keeps five cotangents of rank three.
inline constexpr Index scan_cols = detail::native_bytes == 64 ? 10 : 5;
inline constexpr Index multiply_rows = detail::native_bytes == 64 ? 10 : 8;
inline constexpr Index pull_rows = detail::native_bytes == 64 ? 5 : 3;

/// Where the windows of a sequence lie: factor a of window t in column a + t stride.
template <class S>
struct Strided {
  const S* data;
  Index rows, stride;
  const S* column(Index t, Index a) const { return data + (t * stride + a) * rows; }
};

// Tiles are functions of their own: inlined into the loops around them, g++ 12 gives up vectorising their bodies.

template <Index Width, Index Rank, bool Sensitivity, bool Fresh, class Access, class D, class S>
[[gnu::noinline]] void scan_tile(Access access, const D* decay, Strided<S> left, Strided<S> right, Index n, S* memory,
                                 S* sensitivity, Index rows) {
  using Vector = typename Access::Vector;
  Vector z[Width], y[Width];
  unroll<Width>([&](auto j) __attribute__((always_inline)) {
    z[j] = Fresh ? Vector{} : access.row(memory + j * rows);
    if constexpr (Sensitivity) y[j] = Fresh ? Vector{} : access.row(sensitivity + j * rows);
  });
  for (Index t = 0; t < n; ++t) {
    Vector r[Rank];
    unroll<Rank>([&](auto a) __attribute__((always_inline)) { r[a] = access.row(right.column(t, a)); });
    unroll<Width>([&](auto j) __attribute__((always_inline)) {
      const Vector L = access.coefficient(decay + j * rows);
      if constexpr (Sensitivity) y[j] = fused_in_long_body(L, y[j], z[j]);
      Vector g = r[0] * access.single(left.column(t, 0) + j);
      unroll<Rank - 1>([&](auto a) __attribute__((always_inline)) {
        g = fused_in_long_body(r[a + 1], access.single(left.column(t, a + 1) + j), g);
      });
      z[j] = fused_in_long_body(L, z[j], g);
    });
  }
  unroll<Width>([&](auto j) __attribute__((always_inline)) {
    access.store(memory + j * rows, z[j]);
    if constexpr (Sensitivity) access.store(sensitivity + j * rows, y[j]);
  });
}

template <Index Height, Index Rank, class Access, class D, class S>
[[gnu::noinline]] void pull_tile(Access access, const D* powers, Strided<S> left, const S* scale, Index n, S* right_bar,
                                 Index rows, Index cols, bool ends) {
  using Vector = typename Access::Vector;
  Vector v[Height];
  unroll<Height>([&](auto i) __attribute__((always_inline)) { v[i] = access.row(scale + i * Access::rows); });
  for (Index t = 0; t < n - ends; ++t) {
    Vector q[Height][Rank] = {};
    const D* power = powers + t * rows * cols;
    for (Index j = 0; j < cols; ++j) {
      Vector l[Rank];
      unroll<Rank>([&](auto a) __attribute__((always_inline)) { l[a] = access.single(left.column(t, a) + j); });
      unroll<Height>([&](auto i) __attribute__((always_inline)) {
        const Vector P = access.coefficient(power + i * Access::rows + j * rows);
        unroll<Rank>([&](auto a) __attribute__((always_inline)) { q[i][a] = fused_in_long_body(P, l[a], q[i][a]); });
      });
    }
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      unroll<Rank>([&](auto a) __attribute__((always_inline)) {
        access.store(right_bar + (t * Rank + a) * rows + i * Access::rows, v[i] * q[i][a]);
      });
    });
  }
  if (!ends) return;
  Vector q[Rank] = {};
  for (Index j = 0; j < cols; ++j)
    unroll<Rank>([&](auto a)
                     __attribute__((always_inline)) { q[a] = q[a] + access.single(left.column(n - 1, a) + j); });
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    unroll<Rank>([&](auto a) __attribute__((always_inline)) {
      access.store(right_bar + ((n - 1) * Rank + a) * rows + i * Access::rows, v[i] * q[a]);
    });
  });
}

template <Index Width, Index Stride, bool Gated, class Access, class P, class S>
[[gnu::noinline]] void mix_tile(Access access, const P* A, const S* x, Index n, S* right, const S* gate, S* gated,
                                Index begin, Index end, Index rows) {
  using Vector = typename Access::Vector;
  Vector a[Width][Width];
  unroll<Width>([&](auto i) __attribute__((always_inline)) {
    unroll<Width>([&](auto j) __attribute__((always_inline)) { a[i][j] = A[i + j * Width] - Vector{}; });
  });
  for (Index t = 0; t < n; ++t, x += Stride * rows, right += Width * rows)
    for (Index e = begin; e < end; e += Access::rows) {
      Vector v[Width];
      unroll<Width>([&](auto j) __attribute__((always_inline)) { v[j] = access.row(x + e + j * rows); });
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
    for (Index k = Stride; k < Width; ++k)  // x stands behind the last window
      for (Index e = begin; e < end; e += Access::rows)
        access.store(gated + e + ((n - 1) * Stride + k) * rows,
                     access.row(gate + e) * access.row(x + e + (k - Stride) * rows));
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
void multiply_tile(Access access, const P* A, const S* x, Index cols, S* y, Index rows) {
  using Vector = typename Access::Vector;
  Vector sum[Height] = {};
  for (Index j = 0; j < cols; ++j) {
    const Vector factor = access.single(x + j);
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      const P* const a = A + i * Access::rows + j * rows;
      if constexpr (std::is_same_v<P, S>)
        sum[i] = fused_in_long_body(access.row(a), factor, sum[i]);
      else
        sum[i] = fused_in_long_body(access.coefficient(a), factor, sum[i]);
    });
  }
  unroll<Height>([&](auto i) __attribute__((always_inline)) { access.store(y + i * Access::rows, sum[i]); });
}

}  // namespace tiles

/// `multiply` where `has_tiles`, to the same bits.
template <class P, class S, Index Rows, Index Cols>
void multiply_tiled(View<const P, Rows, Cols> A, View<const S, Cols, 1> x, View<S, Rows, 1> y) {
  tiles::cover<S>(A.rows(), [&](auto access, Index begin, Index end) {
    tiles::stretches<tiles::multiply_rows>((end - begin) / access.rows, [&](Index i, auto height) {
      const Index at = begin + i * access.rows;
      tiles::multiply_tile<height>(access, A.data() + at, x.data(), A.cols(), y.data() + at, A.rows());
    });
  });
}

/// Where a scan begins: with what is in memory and sensitivity, or with zeros, whatever is there.
enum class ScanStart { given, zero };

/// n steps of `decayed_outer_sum` and, unless `sensitivity` is absent, of `decayed_sum` before each, to the same bits:
///     Y <- L * Y + M,   M <- L * M + sum_a right_ta left_ta^T,   t = 0..n-1
/// Shapes  decay, memory, sensitivity (cols x rows); lefts: column a + t stride is left_ta (rows); rights
///         (cols x Rank n), column a + t Rank is right_ta
template <Index Rank, class D, class S, Index Rows, Index Cols>
void decayed_outer_scan(View<const D, Cols, Rows> decay, View<const S, Rows> lefts, Index stride,
                        View<const S, Cols> rights, View<S, Cols, Rows> memory, View<S, Cols, Rows> sensitivity,
                        ScanStart start = ScanStart::given) {
  const Index cols = memory.rows(), rows = memory.cols(), n = rights.cols() / Rank;
  if (start == ScanStart::zero && !sensitivity.present()) memory.fill(S(0));
  tiles::cover<S>(cols, [&](auto access, Index begin, Index end) {
    tiles::stretches<tiles::scan_cols>(rows, [&](Index j, auto width) {
      const tiles::Strided<S> left{lefts.data() + j, rows, stride};
      for (Index i = begin; i < end; i += access.rows) {
        const Index at = i + j * cols;
        const tiles::Strided<S> right{rights.data() + i, cols, Rank};
        if (!sensitivity.present())
          tiles::scan_tile<width, Rank, false, false>(access, decay.data() + at, left, right, n, memory.data() + at,
                                                      static_cast<S*>(nullptr), cols);
        else if (start == ScanStart::given)
          tiles::scan_tile<width, Rank, true, false>(access, decay.data() + at, left, right, n, memory.data() + at,
                                                     sensitivity.data() + at, cols);
        else
          tiles::scan_tile<width, Rank, true, true>(access, decay.data() + at, left, right, n, memory.data() + at,
                                                    sensitivity.data() + at, cols);
      }
    });
  });
}

/// The right factors' cotangents over n steps whose last memory has the cotangent scale o^T: that before step t is then
/// (scale o^T) * L^(n-1-t), so that
///     right_bar_ta = scale * (P_t (o * left_ta)),   P_t = L^(n-1-t)
/// where the powers P_t are the same for all tasks and o * left_ta, elementwise products, are handed in. `ends` says
/// that the last power is 1, which then is not read. Shapes  powers (cols x rows n), P_t after P_{t-1}; lefts: column a
/// + t stride is o * left_ta (rows); scale (cols);
///         rights_bar (cols x Rank n), which is overwritten
template <Index Rank, class D, class S, Index Rows, Index Cols>
void decayed_outer_pull(View<const D, Cols> powers, View<const S, Rows> lefts, Index stride,
                        View<const S, Cols, 1> scale, View<S, Cols> rights_bar, bool ends) {
  const Index cols = scale.size(), rows = lefts.rows(), n = rights_bar.cols() / Rank;
  tiles::cover<S>(cols, [&](auto access, Index begin, Index end) {
    constexpr Index step = decltype(access)::rows;
    tiles::stretches<tiles::pull_rows>((end - begin) / step, [&](Index i, auto height) {
      const Index at = begin + i * step;
      tiles::pull_tile<height, Rank>(access, powers.data() + at, tiles::Strided<S>{lefts.data(), rows, stride},
                                     scale.data() + at, n, rights_bar.data() + at, cols, rows, ends);
    });
  });
}

/// The right factors of n windows, right_ta = sum_b A_ab x_tb, and, unless `gate` is absent, the tokens gated, gate *
/// x. Shapes  A (Width x Width); tokens: column b + t Stride is x_tb (rows); rights (rows x Width n); gate (rows);
/// gated as
///         tokens
template <Index Width, Index Stride, class P, class S, Index Rows>
void mix_columns(View<const P, Width, Width> A, View<const S, Rows> tokens, View<S, Rows> rights,
                 View<const S, Rows, 1> gate, View<S, Rows> gated) {
  tiles::cover<S>(tokens.rows(), [&](auto access, Index begin, Index end) {
    const auto mix = gate.present() ? &tiles::mix_tile<Width, Stride, true, decltype(access), P, S>
                                    : &tiles::mix_tile<Width, Stride, false, decltype(access), P, S>;
    mix(access, A.data(), tokens.data(), rights.cols() / Width, rights.data(), gate.data(), gated.data(), begin, end,
        tokens.rows());
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
