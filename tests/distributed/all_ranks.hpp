// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/distributed/world.hpp"

namespace gdssm::test {

/// The ranks that run the tests.
World*& all_ranks();

}  // namespace gdssm::test
