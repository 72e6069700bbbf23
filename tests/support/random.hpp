// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

#include <Eigen/Core>

#include "gdssm/core/lanes.hpp"
#include "gdssm/core/parameters.hpp"

namespace gdssm::test {

/// Numbers that are the same on every standard library: uniform on [-1/2, 1/2), from a seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  double operator()() { return static_cast<double>(engine_() >> 11) * 0x1p-53 - 0.5; }

  /// Fills every lane of every entry of an array, or of all members of an aggregate that can be visited.
  template <class Target>
  void fill(Target& target) {
    if constexpr (requires { target.data(); }) {
      for (Index i = 0; i < target.size(); ++i)
        for (Index k = 0; k < lane_count<std::remove_reference_t<decltype(*target.data())>>; ++k)
          set_lane(target.data()[i], k,
                   static_cast<LaneScalar<std::remove_reference_t<decltype(*target.data())>>>((*this)()));
    } else {
      visit([this](const Name&, auto& member) { this->fill(member); }, target);
    }
  }

 private:
  std::mt19937_64 engine_;
};

/// A random matrix, the same for the same seed.
inline Eigen::MatrixXd random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Eigen::MatrixXd matrix(rows, cols);
  Random(seed).fill(matrix);
  return matrix;
}

}  // namespace gdssm::test
