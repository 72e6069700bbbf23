// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace gdssm::programs {

/// Runs the learning rule of that row on the tensors of one safetensors file, and writes what it says to another.
/// Errors  as of `recurrence`, naming the file
void evaluate_recurrence(const std::string& row, const std::string& inputs, const std::string& out);

/// The names of all rows.
std::vector<std::string> recurrence_rows();

}  // namespace gdssm::programs
