// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using gdssm::Dynamic;
using gdssm::Index;
using gdssm::Lanes;
using gdssm::RandomStream;
using gdssm::threefry;

// Known answers of Threefry4x32-13, published with Random123 1.14 (its file kat_vectors).
TEST_CASE("Threefry4x32-13 gives its authors' known answers", "[golden]") {
  using Block = std::array<std::uint32_t, 4>;
  CHECK(threefry({0, 0, 0, 0}, {0, 0, 0, 0}) == Block{0x531c7e4fu, 0x39491ee5u, 0x2c855a92u, 0x3d6abf9au});
  CHECK(threefry({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u, ~0u, ~0u}) ==
        Block{0xc4189358u, 0x1c9cc83au, 0xd5881c67u, 0x6a0a89e0u});
  CHECK(threefry({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                 {0xa4093822u, 0x299f31d0u, 0x082efa98u, 0xec4e6c89u}) ==
        Block{0x4aa71d8fu, 0x734738c2u, 0x431fc6a8u, 0xae6debf1u});
}

TEMPLATE_TEST_CASE("A lane of a stream is the stream of its task drawn alone, across a carry of the task's number",
                   "[definition]", float, double, Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  using S = TestType;
  constexpr std::uint64_t task = 0xFFFFFFFCu;
  RandomStream<S> lanes(5, task, 3);
  std::vector<RandomStream<>> alone;
  for (std::uint64_t i = 0; i < std::uint64_t{gdssm::lane_count<S>}; ++i) alone.emplace_back(5, task + i, 3);
  const auto same = [&](const S& value, auto&& draw) {
    for (Index i = 0; i < gdssm::lane_count<S>; ++i)
      REQUIRE(double(gdssm::lane(value, i)) == draw(alone[static_cast<std::size_t>(i)]));
  };
  for (int i = 0; i < 50; ++i) {
    same(lanes.uniform(), [](auto& stream) { return stream.uniform(); });
    same(lanes.normal(), [](auto& stream) { return stream.normal(); });
    same(lanes.exponential(), [](auto& stream) { return stream.exponential(); });
    same(lanes.laplace(), [](auto& stream) { return stream.laplace(); });
  }
}

TEMPLATE_TEST_CASE("Filling a vector draws what single calls draw, then goes on with a new block", "[definition]",
                   double, Lanes<float>) {
  using S = TestType;
  for (const Index n : {1, 4, 7, 32}) {
    RandomStream<S> bulk(1, 2, 3), single(1, 2, 3), normal_bulk(1, 2, 3), normal_single(1, 2, 3);
    gdssm::Array<S, Dynamic, 1> uniforms(n, 1), normals(n, 1);
    bulk.fill_uniform(uniforms.view());
    normal_bulk.fill_normal(normals.view());
    for (Index i = 0; i < n; ++i) {
      CHECK(uniforms[i] == single.uniform());
      CHECK(normals[i] == normal_single.normal());
    }
    for (Index i = n; i % 4 != 0; ++i) single.uniform();
    CHECK(bulk.uniform() == single.uniform());
  }
}

TEST_CASE("The exponential is -log(1 - u) to 2e-7, for every u that there is", "[definition]") {
  using Variates = gdssm::detail::Variates<std::uint32_t, float>;
  double worst = 0;
  for (std::uint32_t k = 1; k < 1u << 24; k += 1) {
    const double exact = -std::log1p(-double(k) * 0x1p-24);
    worst = std::max(worst, std::abs(double(Variates::exponential(k << 8)) - exact) / exact);
  }
  CHECK(worst < 2e-7);
  CHECK(Variates::exponential(0) == 0);
}

TEST_CASE("A pair of normals has the radius of its first word and the angle of its second, to 1e-6", "[definition]") {
  using Variates = gdssm::detail::Variates<std::uint32_t, float>;
  for (std::uint32_t i = 1; i < 100000; ++i) {
    const auto words = threefry({i, 0, 0, 0}, {1, 0, 0, 0});
    float x, y;
    Variates::normals(words[0], words[1], x, y);
    const double u = double(words[0] >> 8) * 0x1p-24, radius = std::sqrt(-2 * std::log1p(-u));
    const double angle = double(static_cast<std::int32_t>(words[1] << 2)) * 0x1p-32 * std::acos(0.);
    double c = radius * std::cos(angle) * ((words[1] >> 31) ? -1 : 1), s = radius * std::sin(angle);
    if ((words[1] >> 30) & 1) std::swap(c, s);
    REQUIRE(std::abs(double(x) - c) <= 1e-6 * radius);
    REQUIRE(std::abs(double(y) - s) <= 1e-6 * radius);
  }
}

TEST_CASE("A stream is the same whoever draws it, and differs from every other", "[definition]") {
  const auto first = [](std::uint64_t seed, std::uint64_t task, std::uint32_t part) {
    RandomStream<> stream(seed, task, part);
    return std::vector<double>{stream.uniform(), stream.uniform(), stream.uniform(), stream.uniform(),
                               stream.uniform()};
  };
  CHECK(first(1, 2, 3) == first(1, 2, 3));
  CHECK(first(1, 2, 3) != first(2, 2, 3));
  CHECK(first(1, 2, 3) != first(1, 3, 3));
  CHECK(first(1, 2, 3) != first(1, 2, 4));
  CHECK(first(std::uint64_t{1} << 40, 2, 3) != first(0, 2, 3));
  CHECK(first(1, std::uint64_t{1} << 40, 3) != first(1, 0, 3));
}

TEST_CASE("Uniform and normal draws have their moments within four standard errors", "[definition]") {
  const int n = 200000;
  RandomStream<> stream(7);
  double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0;
  for (int i = 0; i < n; ++i) {
    const double u = stream.uniform(), z = stream.normal();
    REQUIRE((u >= 0 && u < 1));
    u1 += u / n;
    u2 += u * u / n;
    n1 += z / n;
    n2 += z * z / n;
    n4 += z * z * z * z / n;
  }
  const double root = std::sqrt(double(n));
  CHECK(std::abs(u1 - 1. / 2) < 4 * std::sqrt(1. / 12) / root);
  CHECK(std::abs(u2 - 1. / 3) < 4 * std::sqrt(4. / 45) / root);
  CHECK(std::abs(n1) < 4 / root);
  CHECK(std::abs(n2 - 1) < 4 * std::sqrt(2.) / root);
  CHECK(std::abs(n4 - 3) < 4 * std::sqrt(96.) / root);
}

TEMPLATE_TEST_CASE("The number of a task carries within a vector of lanes too, whichever lane it is", "[definition]",
                   Lanes<float>, Lanes<double>, (Lanes<float, 32>)) {
  using S = TestType;
  const auto lanes = std::uint64_t{gdssm::lane_count<S>};
  for (std::uint64_t before = 0; before <= lanes; ++before) {  // so many lanes are before the carry
    const std::uint64_t task = (std::uint64_t{1} << 32) - before;
    RandomStream<S> stream(5, task, 3);
    const S value = stream.uniform();
    for (std::uint64_t i = 0; i < lanes; ++i)
      REQUIRE(double(gdssm::lane(value, Index(i))) == RandomStream<>(5, task + i, 3).uniform());
  }
}

TEMPLATE_TEST_CASE("Filling from the middle of a block begins a new one, and forgets the other half of a pair",
                   "[definition]", double, Lanes<float>) {
  using S = TestType;
  std::vector<S> words;  // as uniforms, and as normals
  RandomStream<S> single(1, 2, 3);
  for (int i = 0; i < 16; ++i) words.push_back(single.uniform());
  std::vector<S> pairs;
  RandomStream<S> normals(1, 2, 3);
  for (int i = 0; i < 16; ++i) pairs.push_back(normals.normal());
  for (std::size_t before = 1; before <= 4; ++before) {
    RandomStream<S> uniform_stream(1, 2, 3), normal_stream(1, 2, 3);
    for (std::size_t i = 0; i < before; ++i) {
      CHECK(uniform_stream.uniform() == words[i]);
      CHECK(normal_stream.normal() == pairs[i]);
    }
    gdssm::Array<S, Dynamic, 1> five(5, 1), three(3, 1);
    uniform_stream.fill_uniform(five.view());
    normal_stream.fill_normal(three.view());
    for (std::size_t i = 0; i < 5; ++i) CHECK(five[Index(i)] == words[4 + i]);
    for (std::size_t i = 0; i < 3; ++i) CHECK(three[Index(i)] == pairs[4 + i]);
    CHECK(uniform_stream.uniform() == words[12]);
    CHECK(normal_stream.normal() == pairs[8]);
    CHECK(normal_stream.uniform() == words[10]);  // the pair was of two words
    CHECK(normal_stream.normal() == pairs[9]);    // its other half
    CHECK(normal_stream.normal() == pairs[12]);   // a pair is of a block's first two words, or of its last
  }
}

TEST_CASE("Each law of a stream is the law of its word", "[definition]") {
  using Variates = gdssm::detail::Variates<std::uint32_t, float>;
  const std::uint64_t seed = 0x123456789ABCDEF0, task = 0x0FEDCBA987654321;
  RandomStream<> uniform(seed, task, 7), exponential(seed, task, 7), laplace(seed, task, 7), normal(seed, task, 7);
  int negative = 0;
  for (std::uint32_t block = 0; block < 4; ++block) {
    const auto words = threefry({block, 0x87654321u, 0x0FEDCBA9u, 7}, {0x9ABCDEF0u, 0x12345678u, 0, 0});
    for (const std::uint32_t word : words) {
      CHECK(uniform.uniform() == double(word >> 8) * 0x1p-24);
      const double size = Variates::exponential(word);
      CHECK(exponential.exponential() == size);
      CHECK(laplace.laplace() == (word % 2 == 1 ? -size : size));
      negative += static_cast<int>(word % 2);
    }
    for (const std::size_t i : {0u, 2u}) {
      float first, second;
      Variates::normals(words[i], words[i + 1], first, second);
      CHECK(normal.normal() == first);
      CHECK(normal.normal() == second);
    }
  }
  CHECK((negative > 0 && negative < 16));
}
