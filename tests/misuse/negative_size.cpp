// SPDX-License-Identifier: Apache-2.0
// Refused: a size that is neither a positive number nor Dynamic.
#include "gdssm/blocks/diagonal_recurrence.hpp"

#if defined(CONTROL)
constexpr gdssm::Index rows = 2;
#else
constexpr gdssm::Index rows = -2;
#endif

gdssm::DiagonalRecurrence<rows, 3> recurrence;
