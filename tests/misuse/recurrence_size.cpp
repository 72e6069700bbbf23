// SPDX-License-Identifier: Apache-2.0
// Refused: a state of another size than the attention's factors.
#include "gdssm/models/augmented_ssm.hpp"

#if defined(CONTROL)
constexpr gdssm::Index size = 3;
#else
constexpr gdssm::Index size = 4;
#endif

gdssm::AugmentedSsm<gdssm::LocalAttention<3>, gdssm::DiagonalRecurrence<size>, gdssm::Readout<size>,
                    gdssm::OutputGate<size>>
    model;
