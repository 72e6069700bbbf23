// SPDX-License-Identifier: Apache-2.0
#include "gdssm/core/random.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using gdssm::philox;
using gdssm::RandomStream;

// Known answers of Philox4x32-10, published with Random123 1.14 (its file kat_vectors).
TEST_CASE("Philox4x32-10 gives its authors' known answers", "[golden]") {
  using Block = std::array<std::uint32_t, 4>;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Block{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}) ==
        Block{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("A stream is the same whoever draws it, and differs from every other", "[definition]") {
  const auto first = [](std::uint64_t seed, std::uint64_t task, std::uint32_t part) {
    RandomStream stream(seed, task, part);
    return std::vector<std::uint32_t>{stream.bits(), stream.bits(), stream.bits(), stream.bits(), stream.bits()};
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
  RandomStream stream(7);
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
