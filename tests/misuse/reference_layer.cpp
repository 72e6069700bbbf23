// SPDX-License-Identifier: Apache-2.0
// Refused: writing a layer in the reference's naming that has the reference's names and shapes, but another gate.
#include "gdssm/blocks/constant_gate.hpp"
#include "gdssm/oracle/reference_file.hpp"

#if defined(CONTROL)
using Gate = gdssm::OutputGate<3>;
#else
using Gate = gdssm::ConstantGate<3>;
#endif

using Layer = gdssm::AugmentedSsm<gdssm::LocalAttention<3>, gdssm::DiagonalRecurrence<3>, gdssm::Readout<3>, Gate>;
const auto file = gdssm::reference_file(Layer().parameters<float>(), {"zoh", "vector"});
