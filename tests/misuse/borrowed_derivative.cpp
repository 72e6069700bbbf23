// SPDX-License-Identifier: Apache-2.0
// Refused: a recurrence with its own step and the derivative of its base.
#include "gdssm/models/augmented_ssm.hpp"

class Halved : public gdssm::DiagonalRecurrence<3> {
 public:
#if !defined(CONTROL)
  template <class P, class S, gdssm::Index Rank>
  void step(const Coefficients<P>& c, const gdssm::Factors<const S, 3, 3, Rank>& G, const S* mask, State<S>& state,
            Workspace<S>& ws) const {
    DiagonalRecurrence<3>::step(c, G, mask, state, ws);
    for (gdssm::Index e = 0; e < 9; ++e) state.memory[e] = state.memory[e] * S(gdssm::LaneScalar<S>(0.5));
  }
#endif
};

gdssm::AugmentedSsm<gdssm::LocalAttention<3>, Halved, gdssm::Readout<3>, gdssm::OutputGate<3>> model;
