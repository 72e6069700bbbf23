// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/csv.hpp"

#include <cmath>
#include <cstddef>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/harness.hpp"

namespace {

struct Table {
  std::vector<std::string> columns;
  std::vector<double> cells;
};

/// Reads cells as text, in whatever dialect.
void read_rows(std::string_view bytes) {
  std::istringstream in{std::string(bytes)};
  gdssm::CsvRows rows(in, "fuzz");
  expect(!gdssm::describe(rows.dialect()).empty(), "a dialect has a description");
  const std::set<std::string> names(rows.columns().begin(), rows.columns().end());
  expect(names.size() == rows.columns().size(), "names are different");
  for (std::size_t i = 1; i < rows.columns().size(); ++i) expect(!rows.columns()[i].empty(), "columns have names");
  std::size_t line = 0;
  for (gdssm::CsvRows::Cells cells; rows.next(cells);) {
    expect(cells.size() == names.size(), "a row has a cell for each column");
    expect(rows.line() >= line, "lines are counted upwards");
    line = rows.line();
    for (const std::string_view cell : cells)
      if (const auto number = gdssm::parse_number(cell, rows.dialect())) expect(std::isfinite(*number), "a number");
  }
}

Table table_of(std::string_view bytes, const gdssm::DialectOptions& known = {}) {
  std::istringstream in{std::string(bytes)};
  gdssm::CsvReader reader(in, "fuzz", known);
  Table table{reader.columns(), {}};
  for (std::vector<double> row; reader.next(row);) {
    expect(row.size() == table.columns.size(), "a row has a cell for each column");
    table.cells.insert(table.cells.end(), row.begin(), row.end());
  }
  return table;
}

bool same(double a, double b) { return gdssm::is_missing(a) ? gdssm::is_missing(b) : a == b; }

}  // namespace

// Any table's cells can be read, and a table of numbers can be written and read again with the same names and numbers,
// whether its dialect is told or not.
void read_bytes(std::string_view bytes) {
  read_rows(bytes);
  const Table table = table_of(bytes);
  std::ostringstream out;
  gdssm::CsvWriter writer(out, table.columns);
  const std::size_t width = table.columns.size();
  for (std::size_t at = 0; at < table.cells.size(); at += width) {
    for (std::size_t i = 0; i < width; ++i) writer.cell(table.cells[at + i]);
    writer.end_row();
  }
  writer.flush();
  for (const gdssm::DialectOptions& known :
       {gdssm::DialectOptions{}, {.delimiter = ',', .decimal = '.', .header = true}}) {
    const Table again = [&] {
      try {
        return table_of(out.str(), known);
      } catch (const std::invalid_argument& refusal) {
        expect(false, refusal.what());
        throw;
      }
    }();
    expect(again.columns == table.columns, "the same names");
    expect(again.cells.size() == table.cells.size(), "as many cells");
    for (std::size_t i = 0; i < table.cells.size(); ++i) expect(same(again.cells[i], table.cells[i]), "the same cells");
  }
}
