// SPDX-License-Identifier: Apache-2.0
#include "evaluate/recurrence.hpp"

#include "gdssm/io/safetensors.hpp"
#include "gdssm/oracle/recurrence.hpp"

void gdssm::programs::evaluate_recurrence(const std::string& row, const std::string& inputs, const std::string& out) {
  write_safetensors(out, {{}, recurrence(row, read_safetensors(inputs).tensors, inputs)});
}

std::vector<std::string> gdssm::programs::recurrence_rows() {
  return {detail::recurrence_rows.begin(), detail::recurrence_rows.end()};
}
