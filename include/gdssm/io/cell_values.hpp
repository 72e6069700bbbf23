// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

/// Whether a cell has no value: it is empty, NA, NaN, nan, N/A, n/a, null, NULL, None, ?, -, -- or a point.
inline bool is_missing_cell(std::string_view cell) {
  switch (cell.size()) {
    case 0:
      return true;
    case 1:
      return cell == "?" || cell == "-" || cell == ".";
    case 2:
      return cell == "NA" || cell == "--";
    case 3:
      return cell == "NaN" || cell == "nan" || cell == "N/A" || cell == "n/a";
    case 4:
      return cell == "null" || cell == "NULL" || cell == "None";
    default:
      return false;
  }
}

/// 1 for true, True and TRUE, 0 for false, False and FALSE, nothing for another text.
inline std::optional<double> read_truth(std::string_view cell) {
  if (cell == "true" || cell == "True" || cell == "TRUE") return 1;
  if (cell == "false" || cell == "False" || cell == "FALSE") return 0;
  return std::nullopt;
}

}  // namespace gdssm
