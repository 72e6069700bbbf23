// SPDX-License-Identifier: Apache-2.0
// Forward sensitivity carries one derivative a decay, and a selective decay has none of its own.
#include "gdssm/blocks/selective_recurrence.hpp"
#include "gdssm/models/augmented_ssm.hpp"

using Layer = gdssm::AugmentedSsm<gdssm::LocalAttention<3>, gdssm::SelectiveRecurrence<3>, gdssm::Readout<3>,
                                  gdssm::OutputGate<3>>;
#ifdef CONTROL
using Method = gdssm::StoredHistory;
#else
using Method = gdssm::ForwardSensitivity;
#endif

void use() { Layer().gradient_workspace<float, Method>(4, 1); }
