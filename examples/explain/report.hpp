// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "gdssm/analysis/explain.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/io/safetensors.hpp"

namespace gdssm::programs {

/// Which learning algorithm the weights in a file are, which `where` names in messages; the file says which targets.
/// Errors  std::invalid_argument: those of `ReferenceWeights`; a gated readout; tasks or contexts that are none
Explanation explain_file(Safetensors file, const std::string& where, ExplainOptions options, ThreadPool& pool);

/// All that was found, for --json.
nlohmann::ordered_json json_of(const Explanation& found);

}  // namespace gdssm::programs
