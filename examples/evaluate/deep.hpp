// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace gdssm::programs {

/// Runs the deep model of one safetensors file on the ids of another, and writes what it says to a third.
/// Errors  as of `deep_results`, naming the file
void evaluate_deep(const std::string& model, const std::string& ids, const std::string& out);

}  // namespace gdssm::programs
