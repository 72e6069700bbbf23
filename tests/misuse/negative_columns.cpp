// SPDX-License-Identifier: Apache-2.0
// Refused: a readout of a number of columns that is neither positive nor Dynamic.
#include "gdssm/blocks/readout.hpp"

#if defined(CONTROL)
constexpr gdssm::Index columns = 2;
#else
constexpr gdssm::Index columns = -2;
#endif

gdssm::Readout<2, columns> readout;
