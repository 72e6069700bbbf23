// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"

namespace gdssm::reproduce {

/// A table to be read: cells of text, the first column flush left, the others flush right.
struct Table {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  /// Errors  std::invalid_argument: another number of cells than columns
  void row(std::vector<std::string> cells) {
    expect_equal("Table", "the number of cells", cells.size(), columns.size());
    rows.push_back(std::move(cells));
  }
};

/// A number with so many significant digits, whatever the locale: 0.2062, 1.4e-15.
inline std::string rounded(double number, int digits = 4) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number, std::chars_format::general, digits).ptr};
}

/// A whole number >= 0 in groups of three digits: 50,000.
inline std::string grouped(std::ptrdiff_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

namespace detail {

/// How many characters UTF-8 text shows.
inline std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace detail

/// Writes a table for a terminal.
inline void print(std::ostream& out, const Table& table) {
  std::vector<std::size_t> widths;
  for (const std::string& column : table.columns) widths.push_back(detail::width(column));
  for (const auto& row : table.rows)
    for (std::size_t j = 0; j < row.size(); ++j) widths[j] = std::max(widths[j], detail::width(row[j]));
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t j = 0; j < cells.size(); ++j) {
      const std::string space(widths[j] - detail::width(cells[j]), ' ');
      out << (j == 0 ? "  " + cells[j] + (cells.size() > 1 ? space : "") : "  " + space + cells[j]);
    }
    out << '\n';
  };
  out << table.caption << '\n';
  line(table.columns);
  for (const auto& row : table.rows) line(row);
}

}  // namespace gdssm::reproduce
