// SPDX-License-Identifier: Apache-2.0
// Refused: lanes that do not fill the processor's vectors.
#include "gdssm/core/lanes.hpp"

#if defined(CONTROL)
constexpr gdssm::Index count = 16;
#else
constexpr gdssm::Index count = 15;
#endif

gdssm::Lanes<float, count> lanes;
