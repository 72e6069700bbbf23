// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gdssm/blocks/preconditioned_gate.hpp"
#include "reproduce/trainer.hpp"

namespace gdssm::reproduce {

/// The paper's layer with a preconditioner in the gate, f = 10.
using PreconditionedLayer =
    AugmentedSsm<LocalAttention<10>, DiagonalRecurrence<10, 10>, Readout<10>, PreconditionedGate<10>>;

extern template class Trainer<PreconditionedLayer, VectorTargets>;

}  // namespace gdssm::reproduce
