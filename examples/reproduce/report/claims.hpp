// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "reproduce/report/record.hpp"
#include "reproduce/report/table.hpp"

namespace gdssm::reproduce {

/// What the paper claims, a line each: the claim, the experiment that tests it, what it measured, and whether the claim
/// holds there. From the experiments' summaries, by name; claims whose experiment was not run are left out.
Table claims(const std::map<std::string, Record>& summaries);

}  // namespace gdssm::reproduce
