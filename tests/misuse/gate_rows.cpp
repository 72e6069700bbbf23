// SPDX-License-Identifier: Apache-2.0
// Refused: a gate whose output is not as long as the state has rows.
#include "gdssm/blocks/projection_gate.hpp"
#include "gdssm/blocks/token_projection.hpp"
#include "gdssm/models/augmented_ssm.hpp"

#if defined(CONTROL)
constexpr gdssm::Index rows = 3;
#else
constexpr gdssm::Index rows = 4;
#endif

gdssm::AugmentedSsm<gdssm::TokenProjection<3, 6>, gdssm::DiagonalRecurrence<3, 1>, gdssm::Readout<1>,
                    gdssm::ProjectionGate<rows, 6>>
    model;
