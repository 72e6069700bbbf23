// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "gdssm/core/elementary.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

namespace detail {

/// Four words of a counter, a key or a block. A word is a std::uint32_t, or a vector of them, one block a lane.
template <class Word>
struct RandomBlock {
  Word words[4];
};

template <class Word>
constexpr Word rotate_left(Word x, int by) {
  return (x << by) | (x >> (32 - by));
}

// Rounds and calls are unrolled by hand, as compilers would not keep the block in registers otherwise.
template <class Word>
[[gnu::always_inline]] constexpr RandomBlock<Word> threefry(RandomBlock<Word> block,
                                                            const std::array<std::uint32_t, 4>& key) {
  const std::array<std::uint32_t, 5> schedule{key[0], key[1], key[2], key[3],
                                              key[0] ^ key[1] ^ key[2] ^ key[3] ^ 0x1BD11BDAu};
  auto& x = block.words;
  const auto inject = [&](std::uint32_t n) __attribute__((always_inline)) {
    for (std::uint32_t i = 0; i < 4; ++i) x[i] = x[i] + schedule[(n + i) % 5];
    x[3] = x[3] + n;
  };
  const auto mix = [&](int to, int from, int rotation) __attribute__((always_inline)) {
    x[to] = x[to] + x[from];
    x[from] = rotate_left(x[from], rotation) ^ x[to];
  };
  const auto four_rounds = [&](std::uint32_t n, int a, int b, int c, int d, int e, int f, int g, int h)
      __attribute__((always_inline)) {
    mix(0, 1, a), mix(2, 3, b), mix(0, 3, c), mix(2, 1, d), mix(0, 1, e), mix(2, 3, f), mix(0, 3, g), mix(2, 1, h);
    inject(n);
  };
  inject(0);
  four_rounds(1, 10, 26, 11, 21, 13, 27, 23, 5);
  four_rounds(2, 6, 20, 17, 11, 25, 10, 18, 20);
  four_rounds(3, 10, 26, 11, 21, 13, 27, 23, 5);
  mix(0, 1, 6), mix(2, 3, 20);
  return block;
}

/// Random variates from words of a stream, by arithmetic alone; the same for a number and for a vector of numbers.
template <class Word, class Float>
struct Variates {
  [[gnu::always_inline]] static Float number(Word word) {
    if constexpr (std::is_same_v<Word, std::uint32_t>)
      return static_cast<float>(static_cast<std::int32_t>(word));
    else {
      typedef std::int32_t Signed __attribute__((vector_size(sizeof(Word))));
      return __builtin_convertvector(std::bit_cast<Signed>(word), Float);
    }
  }

  /// Uniform on [0, 1), a multiple of 2^-24.
  [[gnu::always_inline]] static Float uniform(Word word) { return number(word >> 8) * 0x1p-24f; }

  /// -log(1 - uniform(word)), relative error below 2e-7. With 1 - u = 2^-n m, m in [sqrt(1/2), sqrt(2)), it is n log
  /// 2 - log m; log(1 + f) = f - f^2 / 2 + f^3 p(f), with p minimax.
  [[gnu::always_inline]] static Float exponential(Word word) {
    const Word bits = std::bit_cast<Word>(number(0x1000000u - (word >> 8)));
    const Word exponent = (bits - 0x3F3504F3u) >> 23;
    const Float f = std::bit_cast<Float>(bits - (exponent << 23)) - 1.0f;
    const Float p =
        polynomial(f, 0.33333910f, -0.25001338f, 0.19963063f, -0.16577584f, 0.14914769f, -0.14267492f, 0.087004378f);
    const Float log_m = fused_in_long_body(f * f, fused_in_long_body(f, p, Float{} - 0.5f), f);
    return fused_in_long_body(number(24u - exponent), Float{} + 0.69314718f, -log_m);
  }

  /// Square root by Newton's iteration for 1 / sqrt(t), since no instruction gives the same bits for all widths.
  [[gnu::always_inline]] static Float root(Float t) {
    auto y = std::bit_cast<Float>(0x5F3759DFu - (std::bit_cast<Word>(t) >> 1));
    for (int i = 0; i < 3; ++i) y = y * fused_in_long_body(t * -0.5f * y, y, Float{} + 1.5f);
    return t * y;
  }

  /// Two independent standard normal numbers from two words, by the Box-Muller transform. The second word's lower 30
  /// bits are an angle within an eighth of a turn on either side; its upper two choose the quarter.
  [[gnu::always_inline]] static void normals(Word radius_word, Word angle_word, Float& first, Float& second) {
    const Float radius = root(exponential(radius_word) * 2.0f);
    const Float r = number(angle_word << 2) * 0x1p-32f, z = r * r;
    const Float sine = r * polynomial(z, 1.5707964f, -0.64596349f, 0.079680227f, -0.0046021771f);
    const Float cosine = polynomial(z, 1.0f, -1.2336971f, 0.25359863f, -0.020408353f);
    const Word turned = std::bit_cast<Word>(cosine) ^ (angle_word & 0x80000000u);
    const Word other = std::bit_cast<Word>(sine);
    const Word swap = (turned ^ other) & (Word{} - ((angle_word >> 30) & 1u));
    first = radius * std::bit_cast<Float>(turned ^ swap);
    second = radius * std::bit_cast<Float>(other ^ swap);
  }
};

/// The vectors in which a scalar's lanes are drawn: for a plain number itself, else the lanes' vectors.
template <class S>
struct RandomPacks {
  using Word = std::uint32_t;
  using Float = float;
  static constexpr Index packs = 1;
  static void put(S& to, Index, Float value) { to = static_cast<S>(value); }
};
template <class T, Index Count>
struct RandomPacks<Lanes<T, Count>> {
  using Vector = typename Lanes<T, Count>::Vector;
  typedef std::uint32_t Word __attribute__((vector_size(sizeof(Vector) / sizeof(T) * 4)));
  typedef float Float __attribute__((vector_size(sizeof(Vector) / sizeof(T) * 4)));
  static constexpr Index packs = Lanes<T, Count>::vectors;
  static void put(Lanes<T, Count>& to, Index k, Float value) { to.vector(k) = __builtin_convertvector(value, Vector); }
};

}  // namespace detail

/// Threefry4x32-13, a counter-based generator: a bijection of the counter for each key, so that any draw can be made
/// separately, in any order, on any thread, in any lane. It uses only additions, rotations and exclusive ors. Twelve
/// rounds are the fewest that passed every test of BigCrush according to its authors, who recommend one more for speed.
/// Source  Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011)
constexpr std::array<std::uint32_t, 4> threefry(const std::array<std::uint32_t, 4>& counter,
                                                const std::array<std::uint32_t, 4>& key) {
  const auto [words] =
      detail::threefry(detail::RandomBlock<std::uint32_t>{{counter[0], counter[1], counter[2], counter[3]}}, key);
  return {words[0], words[1], words[2], words[3]};
}

/// A stream of random numbers, keyed by a seed and the index of a task; parts of a task (its weights, its pairs) have
/// their own streams. The same key gives the same numbers in any order and on any thread. For lanes it is as many
/// streams side by side: lane k draws exactly what the stream of task + k draws alone. All draws are floats for any S,
/// so tasks in float and in double consist of the same numbers.
template <class S = double>
class RandomStream {
  using Packs = detail::RandomPacks<S>;
  using Word = typename Packs::Word;
  using Float = typename Packs::Float;
  using Block = detail::RandomBlock<Word>;
  using Variates = detail::Variates<Word, Float>;
  static constexpr Index packs = Packs::packs;

 public:
  explicit RandomStream(std::uint64_t seed, std::uint64_t task = 0, std::uint32_t part = 0)
      : key_{low(seed), high(seed), 0, 0} {
    for (Index k = 0; k < packs; ++k) {
      const std::uint64_t first = task + static_cast<std::uint64_t>(k * width);
      auto& counter = counter_[k].words;
      counter[0] = Word{};
      counter[1] = Word{} + low(first);
      counter[2] = Word{} + high(first);
      counter[3] = Word{} + part;
      if constexpr (width > 1) {
        Word offset{};
        for (std::uint32_t i = 0; i < width; ++i) offset[i] = i;
        counter[1] = counter[1] + offset;
        // Lanes below their own offset have wrapped around; comparisons of vectors give 0 or -1.
        counter[2] = counter[2] - std::bit_cast<Word>(counter[1] < offset);
      }
    }
  }

  /// Uniform on [0, 1), a multiple of 2^-24.
  S uniform() {
    return one([](Word word) { return Variates::uniform(word); });
  }

  /// Exponential of mean 1, -log(1 - u) for the u that `uniform` would have drawn; below 16.7.
  S exponential() {
    return one([](Word word) { return Variates::exponential(word); });
  }

  /// Laplace, the exponential with a random sign: mean 0, variance 2.
  S laplace() {
    return one([](Word word) {
      return std::bit_cast<Float>(std::bit_cast<Word>(Variates::exponential(word)) ^ (word << 31));
    });
  }

  /// Standard normal, by the Box-Muller transform, within +-5.8. Every second call returns the pair's other half.
  S normal() {
    spare_there_ = !spare_there_;
    if (!spare_there_) return spare_;
    used_ += used_ % 2;
    const Index at = next();
    next();
    S value;
    for (Index k = 0; k < packs; ++k) {
      Float first, second;
      Variates::normals(block_[k].words[at], block_[k].words[at + 1], first, second);
      Packs::put(value, k, first);
      Packs::put(spare_, k, second);
    }
    return value;
  }

  /// Fills a vector as calls of `uniform` at the beginning of a stream would, faster. Uses whole blocks of four words.
  void fill_uniform(View<S, Dynamic, 1> out) {
    blocks(
        out, [](Word a, Word b, Float & first, Float & second) __attribute__((always_inline)) {
          first = Variates::uniform(a);
          second = Variates::uniform(b);
        });
  }

  /// The same for `normal`.
  void fill_normal(View<S, Dynamic, 1> out) {
    blocks(
        out, [](Word a, Word b, Float & first, Float & second)
                 __attribute__((always_inline)) { Variates::normals(a, b, first, second); });
  }

 private:
  static constexpr Index width = lane_count<S> / packs;

  static constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  static constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

  [[gnu::always_inline]] Block draw(Index k) const {
    Block counter = counter_[k];
    counter.words[0] = counter.words[0] + block_number_;
    return detail::threefry(counter, key_);
  }

  /// The position of the next word in `block_`.
  Index next() {
    if (used_ == 4) refill();
    return used_++;
  }
  // Not inline: every law would hold the rounds again.
  [[gnu::noinline]] void refill() {
    for (Index k = 0; k < packs; ++k) block_[k] = draw(k);
    ++block_number_;
    used_ = 0;
  }

  template <class Law>
  S one(Law law) {
    const Index at = next();
    S value;
    for (Index k = 0; k < packs; ++k) Packs::put(value, k, law(block_[k].words[at]));
    return value;
  }

  template <class Law>
  void blocks(View<S, Dynamic, 1> out, Law law) {
    used_ = 4;
    spare_there_ = false;
    for (Index i = 0; i < out.size(); i += 4, ++block_number_)
      for (Index k = 0; k < packs; ++k) {
        const auto [words] = draw(k);
        Float values[4];
        law(words[0], words[1], values[0], values[1]);
        law(words[2], words[3], values[2], values[3]);
        for (Index j = 0; j < 4 && i + j < out.size(); ++j) Packs::put(out[i + j], k, values[j]);
      }
  }

  std::array<std::uint32_t, 4> key_;
  Block counter_[packs];  // all words but the first, which is the block's number
  std::uint32_t block_number_ = 0;
  Block block_[packs];
  Index used_ = 4;
  S spare_;
  bool spare_there_ = false;
};

}  // namespace gdssm
