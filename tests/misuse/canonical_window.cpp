// SPDX-License-Identifier: Apache-2.0
// Refused: the canonical form of a layer whose windows are not x_t, y_t and x_{t+1}.
#include "gdssm/analysis/canonical.hpp"
#include "gdssm/models/augmented_ssm.hpp"

#if defined(CONTROL)
constexpr gdssm::Index width = 3;
#else
constexpr gdssm::Index width = 5;
#endif

using Layer = gdssm::AugmentedSsm<gdssm::LocalAttention<3, width>, gdssm::DiagonalRecurrence<3>, gdssm::Readout<3>,
                                  gdssm::OutputGate<3, width>>;
auto form = gdssm::canonical_form(Layer(), Layer().parameters<double>());
