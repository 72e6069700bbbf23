// SPDX-License-Identifier: Apache-2.0
// Refused: a learning rule that does not say what a token brings.
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/sequence_pass.hpp"

#if defined(CONTROL)
using Rule = gdssm::recurrences::DeltaRule<3>;
#else
using Rule = gdssm::recurrences::MatrixMemory<3, 3>;
#endif

gdssm::SequencePass<Rule, float> pass(Rule(), 4);
