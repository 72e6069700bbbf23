// SPDX-License-Identifier: Apache-2.0
// Refused: tokens of a length that is neither a positive number nor Dynamic.
#include "gdssm/blocks/local_attention.hpp"

#if defined(CONTROL)
constexpr gdssm::Index features = 2;
#else
constexpr gdssm::Index features = -2;
#endif

gdssm::LocalAttention<features> attention;
