// SPDX-License-Identifier: Apache-2.0
// Refused: the fast loops of rank-one rules for one that has no such form.
#include "gdssm/blocks/recurrences/longhorn.hpp"
#include "gdssm/blocks/recurrences/rule_scan.hpp"

#if defined(CONTROL)
using Rule = gdssm::recurrences::DeltaRule<3>;
#else
using Rule = gdssm::recurrences::Longhorn<3>;
#endif

gdssm::RuleScan<Rule, float> scan{Rule()};
