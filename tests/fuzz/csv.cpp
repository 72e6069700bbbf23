// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/csv.hpp"

#include <sstream>
#include <string>
#include <vector>

#include "fuzz/harness.hpp"

namespace {

struct Table {
  std::vector<std::string> columns;
  std::vector<double> cells;
};

Table table_of(std::string_view bytes) {
  std::istringstream in{std::string(bytes)};
  gdssm::CsvReader reader(in, "fuzz");
  Table table{reader.columns(), {}};
  for (std::vector<double> row; reader.next(row);) {
    expect(row.size() == table.columns.size(), "a row has a cell for each column");
    table.cells.insert(table.cells.end(), row.begin(), row.end());
  }
  return table;
}

bool same(double a, double b) { return gdssm::is_missing(a) ? gdssm::is_missing(b) : a == b; }

}  // namespace

// A table that was read can be written and read again with the same value.
void read_bytes(std::string_view bytes) {
  const Table table = table_of(bytes);
  std::ostringstream out;
  gdssm::CsvWriter writer(out, table.columns);
  const std::size_t width = table.columns.size();
  for (std::size_t at = 0; at < table.cells.size(); at += width) {
    for (std::size_t i = 0; i < width; ++i) writer.cell(table.cells[at + i]);
    writer.end_row();
  }
  writer.flush();
  const Table again = [&] {
    try {
      return table_of(out.str());
    } catch (const std::invalid_argument& refusal) {
      expect(false, refusal.what());
      throw;
    }
  }();
  expect(again.columns == table.columns, "the same names");
  expect(again.cells.size() == table.cells.size(), "as many cells");
  for (std::size_t i = 0; i < table.cells.size(); ++i) expect(same(again.cells[i], table.cells[i]), "the same cells");
}
