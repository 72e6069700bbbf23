// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace gdssm::programs {

/// Compares the tensors of the safetensors file `outputs`, which another implementation of the row's rule computed from
/// those of `inputs`, with the rule; says on standard output how far each is from it, and where there is a name writes
/// the same to a JSON file. An empty precision: each tensor's own.
/// Returns  whether all differences are rounding
/// Errors   as of `compare_with_recurrence`, naming the file
bool compare_outputs(const std::string& row, const std::string& inputs, const std::string& outputs,
                     const std::string& precision, const std::string& json);

/// The names of all precisions.
std::vector<std::string> precision_names();

}  // namespace gdssm::programs
