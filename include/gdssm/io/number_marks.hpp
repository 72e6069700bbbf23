// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "gdssm/io/parse_number.hpp"

// Decimal marks and thousands separators, told from each other by the numbers in which they stand.

namespace gdssm::detail {

/// Groups of three digits behind a first one of one to three that does not begin with 0.
inline bool is_grouped(std::string_view digits, std::string_view mark) {
  std::size_t at = digits.find(mark);
  if (at == 0 || at > 3 || digits[0] == '0') return false;
  while (at != std::string_view::npos) {
    const std::size_t from = at + mark.size(), next = (std::min)(digits.find(mark, from), digits.size());
    if (next - from != 3) return false;
    at = next == digits.size() ? std::string_view::npos : next;
  }
  return true;
}

/// Counts what marks mean in numbers.
struct NumberMarks {
  struct Uses {
    std::size_t decimal = 0;    ///< 12.5
    std::size_t thousands = 0;  ///< 1.234.567
    std::size_t either = 0;     ///< 1.234
  };
  Uses points, commas;
  std::size_t blanks = 0, apostrophes = 0;  ///< between thousands

  /// Counts a cell; true if it is a number with one of these marks.
  bool count(std::string_view cell) {
    if (cell.starts_with('-') || cell.starts_with('+')) cell.remove_prefix(1);
    if (cell.empty() || !is_mark_or_digit(cell.front())) return false;
    cell = cell.substr(0, cell.find_first_of("eE"));
    if (const std::size_t after = count_groups(cell); after > 0) {
      cell.remove_prefix(after);
      if (cell.empty()) return true;
      if (is_digit(cell[0]) || !std::all_of(cell.begin() + 1, cell.end(), is_digit)) return false;
      ++(cell[0] == ',' ? commas : points).decimal;
      return true;
    }
    if (!std::all_of(cell.begin(), cell.end(), is_mark_or_digit) || std::none_of(cell.begin(), cell.end(), is_digit))
      return false;
    const auto point_count = std::count(cell.begin(), cell.end(), '.'),
               comma_count = std::count(cell.begin(), cell.end(), ',');
    if (point_count + comma_count == 0) return false;
    if (point_count > 0 && comma_count > 0) {
      const std::size_t last = cell.find_last_of(".,");
      const bool comma = cell[last] == ',';
      if ((comma ? comma_count : point_count) > 1 || !is_grouped(cell.substr(0, last), comma ? "." : ",")) return false;
      ++(comma ? commas : points).decimal;
      ++(comma ? points : commas).thousands;
      return true;
    }
    const bool comma = comma_count > 0, grouped = is_grouped(cell, comma ? "," : ".");
    Uses& uses = comma ? commas : points;
    if (point_count + comma_count == 1)
      ++(grouped ? uses.either : uses.decimal);
    else if (grouped)
      ++uses.thousands;
    else
      return false;
    return true;
  }

 private:
  static bool is_mark_or_digit(char c) { return is_digit(c) || c == '.' || c == ','; }

  /// Counts blanks or apostrophes between groups of digits at the beginning; returns where these end, 0 without any.
  std::size_t count_groups(std::string_view cell) {
    for (const std::string_view mark : {" ", "\xC2\xA0", "\xE2\x80\xAF", "'"}) {
      const std::size_t end = (std::min)(cell.find_first_of(".,"), cell.size());
      const std::string_view whole = cell.substr(0, end);
      if (whole.find(mark) == std::string_view::npos || !is_grouped(whole, mark)) continue;
      const bool digits = std::all_of(whole.begin(), whole.end(),
                                      [&](char c) { return is_digit(c) || mark.find(c) != std::string_view::npos; });
      if (!digits) continue;
      ++(mark == "'" ? apostrophes : blanks);
      return end;
    }
    return 0;
  }
};

/// Whether a cell is a number in some dialect.
inline bool is_number_somewhere(std::string_view cell) {
  return parse_number(cell).has_value() || NumberMarks().count(cell);
}

}  // namespace gdssm::detail
