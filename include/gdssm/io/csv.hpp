// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "gdssm/io/csv_rows.hpp"
#include "gdssm/io/csv_writer.hpp"
#include "gdssm/io/parse_number.hpp"

// Tables as text: `CsvRows` reads cells, `CsvReader` numbers, `CsvWriter` writes both.

namespace gdssm {

/// Whether a cell of a row was empty. Only empty cells become NaN: `CsvReader` refuses a cell with the text nan.
inline bool is_missing(double cell) { return std::isnan(cell); }

/// Reads a table of numbers row by row:
///     CsvReader table(stream, "prices.csv");
///     for (std::vector<double> row; table.next(row);) ...
/// It is `CsvRows`, with its errors, but that cells are numbers in the table's dialect.
/// Errors  std::invalid_argument, "FILE:LINE: column NAME: found, expected": a cell that is neither empty nor a number
class CsvReader : public CsvRows {
 public:
  using CsvRows::CsvRows;

  /// Reads the next row into `row`: for each column a number, or NaN (see `is_missing`). False at the end of the table.
  bool next(std::vector<double>& row) {
    Cells cells;
    if (!CsvRows::next(cells)) return false;
    row.resize(cells.size());
    for (std::size_t column = 0; column < row.size(); ++column) row[column] = number(column, cells[column]);
    return true;
  }

 private:
  double number(std::size_t column, std::string_view cell) const {
    if (const auto number = parse_number(cell, dialect())) return *number;
    if (!detail::without_blanks(cell).empty())
      refuse_cell(column, in_quotes(cell), " is not a finite number, expected one (or an empty cell)");
    return std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace gdssm
