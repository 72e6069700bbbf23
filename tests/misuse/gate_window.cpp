// SPDX-License-Identifier: Apache-2.0
// Refused: a gate that reads another window than the attention.
#include "gdssm/models/augmented_ssm.hpp"

#if defined(CONTROL)
constexpr gdssm::Index width = 5;
#else
constexpr gdssm::Index width = 3;
#endif

gdssm::AugmentedSsm<gdssm::LocalAttention<3, 5, 1>, gdssm::DiagonalRecurrence<3>, gdssm::Readout<3>,
                    gdssm::OutputGate<3, width>>
    model;
