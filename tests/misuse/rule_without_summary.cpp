// SPDX-License-Identifier: Apache-2.0
// Refused: the affine summary of a rule that is not affine in its memory.
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/stretch.hpp"
#include "gdssm/blocks/recurrences/ttt_linear_normed.hpp"

#if defined(CONTROL)
using Rule = gdssm::recurrences::DeltaRule<3>;
#else
using Rule = gdssm::recurrences::TttLinearNormed<3>;
#endif

void summarise(const Rule& rule) {
  gdssm::affine_summary<float>(rule, rule.constants<gdssm::InArrays<float>>(), gdssm::tokens_of<float>(rule, 4));
}
