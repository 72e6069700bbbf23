// SPDX-License-Identifier: Apache-2.0
// Refused: a learning rule that cannot be asked.
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/sequence_pass.hpp"

class Mute : public gdssm::recurrences::DeltaRule<3> {
#if !defined(CONTROL)
  using gdssm::recurrences::DeltaRule<3>::read;  // which makes it private
#endif
};

gdssm::SequencePass<Mute, float> pass(Mute(), 4);
