// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace gdssm::test {

/// How often this thread has asked for memory: by new, by Eigen, by the C library. Counted by support/no_heap.cpp,
/// which a test executable that asks has to be linked with.
std::size_t allocations();

/// How often `action` asks for memory.
template <class Action>
std::size_t allocations_of(Action&& action) {
  const std::size_t before = allocations();
  action();
  return allocations() - before;
}

}  // namespace gdssm::test
