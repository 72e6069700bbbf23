// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/tiled_kernels.hpp"
#include "gdssm/core/view.hpp"

// Products of matrices of plain numbers. Every sum runs in ascending order of its index and adds products by
// `multiply_add`, so an entry has the same bits whatever the sizes of the matrices, of tiles and of vectors: a product
// of many columns has those of its columns one at a time.
namespace gdssm::kernels {

/// A factor of a product, or its transpose: entry (i, k) is data[i down + k across].
template <class T>
struct Factor {
  const T* data;       ///< of entry (0, 0)
  Index down, across;  ///< from an entry to the one below it, and to the one on its right

  /// The matrix as it is.
  static Factor plain(View<const T> matrix) { return {matrix.data(), 1, matrix.rows()}; }
  /// Its transpose.
  static Factor transposed(View<const T> matrix) { return {matrix.data(), matrix.rows(), 1}; }
};

namespace tiles {

/// Numbers of a tile of a product, in vectors and in columns, and the longest stretch of a sum that is made at once.
inline constexpr Index product_height = detail::native_bytes == 64 ? 4 : 2;
inline constexpr Index product_width = detail::native_bytes == 64 ? 6 : 4;
inline constexpr Index product_depth = 256;

/// C += A B, or C = A B, for a tile; column k of A begins at A + k A_stride.
template <Index Height, Index Width, class T>
[[gnu::noinline]] void product_tile(const T* A, Index A_stride, Factor<T> B, Index depth, bool fresh, T* C,
                                    Index C_stride) {
  using Vector = typename Lanes<T>::Vector;
  constexpr Index native = static_cast<Index>(sizeof(Vector) / sizeof(T));
  Vector sum[Width][Height];
  const auto each = [](const auto& piece) __attribute__((always_inline)) {
    unroll<Width>([&](auto c) __attribute__((always_inline)) {
      unroll<Height>([&](auto h) __attribute__((always_inline)) { piece(c, h); });
    });
  };
  each([&](auto c, auto h) __attribute__((always_inline)) {
    sum[c][h] = Vector{};
    if (!fresh) std::memcpy(&sum[c][h], C + c * C_stride + h * native, sizeof(Vector));
  });
  for (Index k = 0; k < depth; ++k) {
    Vector a[Height];
    unroll<Height>([&](auto h) __attribute__((always_inline)) {
      std::memcpy(&a[h], A + k * A_stride + h * native, sizeof(Vector));
    });
    unroll<Width>([&](auto c) __attribute__((always_inline)) {
      const Vector b = B.data[k * B.down + c * B.across] - Vector{};
      unroll<Height>([&](auto h)
                         __attribute__((always_inline)) { sum[c][h] = fused_in_long_body(a[h], b, sum[c][h]); });
    });
  }
  each([&](auto c, auto h)
           __attribute__((always_inline)) { std::memcpy(C + c * C_stride + h * native, &sum[c][h], sizeof(Vector)); });
}

/// Rows 0, ..., rows - 1 of A, in columns of `height` entries one behind the other, the rest of which are zeros.
template <class T>
void pack(Factor<T> A, Index rows, Index depth, Index height, T* packed) {
  if (rows < height) std::fill_n(packed, depth * height, T(0));
  if (A.down == 1) {
    for (Index k = 0; k < depth; ++k) std::copy_n(A.data + k * A.across, rows, packed + k * height);
    return;
  }
  constexpr Index block = 16;  // columns that stay in the first cache
  for (Index k = 0; k < depth; k += block)
    for (Index i = 0; i < rows; ++i)
      for (Index l = k; l < (std::min)(k + block, depth); ++l)
        packed[l * height + i] = A.data[i * A.down + l * A.across];
}

}  // namespace tiles

/// C += A B, or C = A B if `fresh`.        Shapes  A (rows x depth), B (depth x cols), C (rows x cols)
template <class T>
void multiply_tiled(Factor<T> A, Factor<T> B, Index depth, bool fresh, View<T> C) {
  constexpr Index native = static_cast<Index>(detail::native_bytes / sizeof(T)), few = 8;
  alignas(64) T packed[tiles::product_height * native * tiles::product_depth];
  T corner[tiles::product_height * native * tiles::product_width];
  if (fresh && depth == 0) C.fill(T(0));
  for (Index begin = 0; begin < depth; begin += tiles::product_depth) {
    const Index length = (std::min)(tiles::product_depth, depth - begin);
    const bool first = fresh && begin == 0;
    tiles::stretches<tiles::product_height>((C.rows() + native - 1) / native, [&](Index vector, auto tall) {
      const Index top = vector * native, height = tall * native, rows = (std::min)(height, C.rows() - top);
      const Factor<T> part{A.data + top * A.down + begin * A.across, A.down, A.across};
      const bool as_it_lies = A.down == 1 && rows == height && C.cols() < few;
      if (!as_it_lies) tiles::pack(part, rows, length, height, packed);
      tiles::stretches<tiles::product_width>(C.cols(), [&](Index left, auto wide) {
        const Factor<T> right{B.data + begin * B.down + left * B.across, B.down, B.across};
        const auto go = [&](T* to, Index stride) {
          tiles::product_tile<tall, wide>(as_it_lies ? part.data : packed, as_it_lies ? A.across : height, right,
                                          length, first, to, stride);
        };
        T* const to = C.data() + top + left * C.rows();
        if (rows == height) return go(to, C.rows());
        for (Index c = 0; c < wide; ++c) std::copy_n(to + c * C.rows(), rows, corner + c * height);
        go(corner, height);
        for (Index c = 0; c < wide; ++c) std::copy_n(corner + c * height, rows, to + c * C.rows());
      });
    });
  }
}

}  // namespace gdssm::kernels
