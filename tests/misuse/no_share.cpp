// SPDX-License-Identifier: Apache-2.0
// Refused: the closed form (7) of a layer with a slot that is not constructed; the message has the slot's number.
#include "gdssm/blocks/linear_input.hpp"
#include "gdssm/construction/gradient_step.hpp"

#if defined(CONTROL)
using Input = gdssm::LocalAttention<3>;
#else
using Input = gdssm::LinearInput<3>;
#endif

using Layer = gdssm::AugmentedSsm<Input, gdssm::DiagonalRecurrence<3>, gdssm::Readout<3>, gdssm::OutputGate<3>>;
auto weights = gdssm::gradient_step(Layer(), 0.5);
