// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace gdssm {

/// Philox4x32-10, a counter-based generator: a bijection of the counter under the key, in ten rounds, so that any draw
/// can be made by itself, in any order, on any thread.
/// Source  Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011)
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0], b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

/// One stream of random numbers, keyed by a seed and the index of the task that it is for; a task's parts (its weights,
/// its pairs) have streams of their own. The same key gives the same numbers whoever draws them, and when.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::uint64_t task = 0, std::uint32_t part = 0)
      : key_{low(seed), high(seed)}, counter_{0, part, low(task), high(task)} {}

  /// 32 random bits.
  std::uint32_t bits() {
    if (used_ == 4) {
      block_ = philox(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }

  /// Uniform on [0, 1), a multiple of 2^-53.
  double uniform() {
    const std::uint64_t upper = bits() >> 5, lower = bits() >> 6;
    return (static_cast<double>(upper) * 0x1p26 + static_cast<double>(lower)) * 0x1p-53;
  }

  /// Standard normal, by Box and Muller's transform; every second call returns the pair's other half.
  double normal() {
    if (spare_there_) {
      spare_there_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log1p(-uniform())), angle = 2 * std::numbers::pi * uniform();
    spare_ = radius * std::sin(angle);
    spare_there_ = true;
    return radius * std::cos(angle);
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  static constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  std::size_t used_ = 4;
  double spare_ = 0;
  bool spare_there_ = false;
};

}  // namespace gdssm
