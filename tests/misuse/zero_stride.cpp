// SPDX-License-Identifier: Apache-2.0
// Refused: windows that do not advance.
#include "gdssm/blocks/local_attention.hpp"

#if defined(CONTROL)
constexpr gdssm::Index stride = 1;
#else
constexpr gdssm::Index stride = 0;
#endif

gdssm::LocalAttention<3, 3, stride> attention;
