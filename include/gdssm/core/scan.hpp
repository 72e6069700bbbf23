// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "gdssm/core/error.hpp"
#include "gdssm/core/kernels.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/core/tiled_kernels.hpp"
#include "gdssm/core/view.hpp"

// The diagonal recurrence of plain vectors over long sequences: z_t = L * z_{t-1} + u_t, elementwise. It computes so
// little that its time is that of moving the sequence through memory.
namespace gdssm::kernels {

/// How results are written: into the caches, or past them. The latter is for results so long that they would leave the
/// caches before they are read.
enum class Stores { cached, streaming };

namespace tiles {

/// The number of vectors of channels that go through time side by side.
inline constexpr Index scan_height = 4;

/// Which states of a tile are written, and how.
enum class Keep { last, all, all_past_caches };

template <Index Height, Keep Kept, class Access, class T>
[[gnu::noinline]] void diagonal_tile(Access access, const T* decay, const T* u, Index u_rows, T* state, Index n, T* z,
                                     Index z_rows) {
  using Vector = typename Access::Vector;
  Vector L[Height], s[Height];
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    L[i] = access.row(decay + i * Access::rows);
    s[i] = access.row(state + i * Access::rows);
  });
  for (Index t = 0; t < n; ++t)
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      s[i] = fused_in_long_body(L[i], s[i], access.row(u + t * u_rows + i * Access::rows));
      if constexpr (Kept == Keep::all) access.store(z + t * z_rows + i * Access::rows, s[i]);
      if constexpr (Kept == Keep::all_past_caches) store_past_caches(z + t * z_rows + i * Access::rows, s[i]);
    });
  unroll<Height>([&](auto i) __attribute__((always_inline)) { access.store(state + i * Access::rows, s[i]); });
}

template <Index Height, Stores Kind, class Access, class T, class Cotangent>
[[gnu::noinline]] void diagonal_vjp_tile(Access access, const T* decay, const T* z, Index z_rows, const T* first, T* R,
                                         T* decay_bar, Index n, T* u_bar, Index rows, const Cotangent& cotangent) {
  using Vector = typename Access::Vector;
  Vector L[Height], r[Height], sum[Height], now[Height];
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    L[i] = access.row(decay + i * Access::rows);
    r[i] = access.row(R + i * Access::rows);
    sum[i] = access.row(decay_bar + i * Access::rows);
    now[i] = access.row(z + (n - 1) * z_rows + i * Access::rows);
  });
  for (Index t = n - 1; t >= 0; --t)
    unroll<Height>([&](auto i) __attribute__((always_inline)) {
      const Vector before = access.row((t > 0 ? z + (t - 1) * z_rows : first) + i * Access::rows);
      r[i] = r[i] + cotangent(now[i]);
      if constexpr (Kind == Stores::streaming)
        store_past_caches(u_bar + t * rows + i * Access::rows, r[i]);
      else
        access.store(u_bar + t * rows + i * Access::rows, r[i]);
      sum[i] = fused_in_long_body(r[i], before, sum[i]);
      r[i] = L[i] * r[i];
      now[i] = before;
    });
  unroll<Height>([&](auto i) __attribute__((always_inline)) {
    access.store(R + i * Access::rows, r[i]);
    access.store(decay_bar + i * Access::rows, sum[i]);
  });
}

/// Whether vectors of `access` can be written past the caches from here on: all of them must be aligned.
template <class Access, class T>
bool streams(const T* to, Index rows) {
  constexpr auto bytes = sizeof(typename Access::Vector);
  return bytes >= 16 && reinterpret_cast<std::uintptr_t>(to) % bytes == 0 &&
         static_cast<std::size_t>(rows) * sizeof(T) % bytes == 0;
}

/// Calls piece(access, row, std::integral_constant<Index, height>) for tiles of channels first, ..., last - 1.
template <class T, class Piece>
void channel_tiles(Index first, Index last, const Piece& piece) {
  cover<T>(last - first, [&](auto access, Index begin, Index end) {
    stretches<scan_height>((end - begin) / access.rows,
                           [&](Index i, auto height) { piece(access, first + begin + i * access.rows, height); });
  });
}

/// Splits the channels into at most as many shares as there are threads, each of whole cache lines.
template <class T, class Piece>
void share_channels(Index channels, ThreadPool& pool, const Piece& piece) {
  constexpr auto line = static_cast<Index>(64 / sizeof(T));
  const Index lines = (channels + line - 1) / line, shares = std::min<Index>(lines, pool.threads());
  pool.run(shares,
           [&](Index s) { piece(lines * s / shares * line, (std::min)(lines * (s + 1) / shares * line, channels)); });
}

}  // namespace tiles

/// z_t = L * z_{t-1} + u_t for t = 1..n: all states of the diagonal recurrence; the last one is left in `state`. The
/// pool's threads share the channels; the bits are the same for any number of threads.
/// Shapes  decay, state (channels); inputs, states (channels x n), one time a column
/// Errors  std::invalid_argument: sizes that differ
/// VJP     `diagonal_scan_gradient`
template <class T>
void diagonal_scan(View<const T, Dynamic, 1> decay, View<const T> inputs, View<T, Dynamic, 1> state, View<T> states,
                   Stores stores, ThreadPool& pool) {
  const Index channels = decay.size(), n = inputs.cols();
  expect_equal("diagonal_scan", "the number of channels of the inputs", inputs.rows(), channels);
  expect_equal("diagonal_scan", "the number of channels of the state", state.size(), channels);
  expect_equal("diagonal_scan", "the number of channels of the states", states.rows(), channels);
  expect_equal("diagonal_scan", "the number of states", states.cols(), n);
  tiles::share_channels<T>(channels, pool, [&](Index first, Index last) {
    tiles::channel_tiles<T>(first, last, [&](auto access, Index row, auto height) {
      using Access = decltype(access);
      auto tile = &tiles::diagonal_tile<height, tiles::Keep::all, Access, T>;
      if constexpr (Access::rows > 1)
        if (stores == Stores::streaming && tiles::streams<Access>(states.data() + row, channels))
          tile = &tiles::diagonal_tile<height, tiles::Keep::all_past_caches, Access, T>;
      tile(access, decay.data() + row, inputs.data() + row, channels, state.data() + row, n, states.data() + row,
           channels);
    });
    finish_stores();
  });
}

/// The gradient of a sum of elementwise losses sum_t l(z_t) over the states that `diagonal_scan` would compute, without
/// storing them all. States are kept every `block` times and recomputed block by block on the way back, so the inputs
/// are read twice and the gradient is written once.
///     R_t = l'(z_t) + L * R_{t+1},   u_bar_t = R_t,   L_bar = sum_t R_t * z_{t-1}
/// `cotangent(z)` is l'(z), for numbers and vectors of numbers. The bits are the same for any number of threads.
/// Shapes  decay, state, decay_bar (channels), inputs, inputs_bar (channels x n)
/// Errors  std::invalid_argument: sizes that differ
template <class T, class Cotangent>
void diagonal_scan_gradient(View<const T, Dynamic, 1> decay, View<const T> inputs, View<const T, Dynamic, 1> state,
                            const Cotangent& cotangent, View<T> inputs_bar, View<T, Dynamic, 1> decay_bar,
                            Stores stores, ThreadPool& pool) {
  constexpr Index block = 64;
  const Index channels = decay.size(), n = inputs.cols(), blocks = (n + block - 1) / block;
  expect_equal("diagonal_scan_gradient", "the number of channels of the inputs", inputs.rows(), channels);
  expect_equal("diagonal_scan_gradient", "the number of channels of the state", state.size(), channels);
  expect_equal("diagonal_scan_gradient", "the number of channels of the inputs' gradient", inputs_bar.rows(), channels);
  expect_equal("diagonal_scan_gradient", "the number of gradients of inputs", inputs_bar.cols(), n);
  expect_equal("diagonal_scan_gradient", "the number of gradients of decays", decay_bar.size(), channels);
  decay_bar.fill(T(0));
  tiles::share_channels<T>(channels, pool, [&](Index first, Index last) {
    const Index mine = last - first;
    Array<T> kept(mine, blocks), states(mine, block), carried(mine, 1), R(mine, 1);
    std::copy_n(state.data() + first, mine, carried.data());
    const auto length = [&](Index b) { return (std::min)(block, n - b * block); };
    for (Index b = 0; b < blocks; ++b) {
      std::copy_n(carried.data(), mine, kept.data() + b * mine);
      tiles::channel_tiles<T>(0, mine, [&](auto access, Index row, auto height) {
        tiles::diagonal_tile<height, tiles::Keep::last>(access, decay.data() + first + row,
                                                        inputs.data() + b * block * channels + first + row, channels,
                                                        carried.data() + row, length(b), static_cast<T*>(nullptr), 0);
      });
    }
    for (Index b = blocks - 1; b >= 0; --b) {
      const T* const before = kept.data() + b * mine;
      std::copy_n(before, mine, carried.data());
      tiles::channel_tiles<T>(0, mine, [&](auto access, Index row, auto height) {
        using Access = decltype(access);
        tiles::diagonal_tile<height, tiles::Keep::all>(access, decay.data() + first + row,
                                                       inputs.data() + b * block * channels + first + row, channels,
                                                       carried.data() + row, length(b), states.data() + row, mine);
        T* const to = inputs_bar.data() + b * block * channels + first + row;
        auto tile = &tiles::diagonal_vjp_tile<height, Stores::cached, Access, T, Cotangent>;
        if constexpr (Access::rows > 1)
          if (stores == Stores::streaming && tiles::streams<Access>(to, channels))
            tile = &tiles::diagonal_vjp_tile<height, Stores::streaming, Access, T, Cotangent>;
        tile(access, decay.data() + first + row, states.data() + row, mine, before + row, R.data() + row,
             decay_bar.data() + first + row, length(b), to, channels, cotangent);
      });
    }
    finish_stores();
  });
}

}  // namespace gdssm::kernels
