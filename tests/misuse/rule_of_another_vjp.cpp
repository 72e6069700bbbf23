// SPDX-License-Identifier: Apache-2.0
// Refused: a learning rule with a step of its own and the derivative of another's.
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/sequence_pass.hpp"

class Halved : public gdssm::recurrences::DeltaRule<3> {
 public:
#if !defined(CONTROL)
  template <class S>
  void step(const gdssm::recurrences::NoConstants<gdssm::InArrays<S>>& constants,
            const Token<gdssm::InViews<const S>>& token, State<S>& state, Workspace<S>& ws) const {
    DeltaRule<3>::step(constants, token, state, ws);
    for (gdssm::Index e = 0; e < 9; ++e) state.memory[e] = state.memory[e] * S(gdssm::LaneScalar<S>(0.5));
  }
#endif
};

gdssm::SequencePass<Halved, float> pass(Halved(), 4);
