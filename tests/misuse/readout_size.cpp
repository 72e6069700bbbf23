// SPDX-License-Identifier: Apache-2.0
// Refused: a readout of another number of columns than the state has.
#include "gdssm/models/augmented_ssm.hpp"

#if defined(CONTROL)
constexpr gdssm::Index columns = 3;
#else
constexpr gdssm::Index columns = 2;
#endif

gdssm::AugmentedSsm<gdssm::LocalAttention<3>, gdssm::DiagonalRecurrence<3>, gdssm::Readout<2, columns>,
                    gdssm::OutputGate<3>>
    model;
