// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace gdssm::test {

/// The number of allocations of this thread, by new, by Eigen and by the C library. Link the test executable with
/// support/no_heap.cpp.
std::size_t allocations();
/// The bytes of all of them, freed or not.
std::size_t allocated_bytes();

/// The number of allocations in `action`.
template <class Action>
std::size_t allocations_of(Action&& action) {
  const std::size_t before = allocations();
  action();
  return allocations() - before;
}

}  // namespace gdssm::test
