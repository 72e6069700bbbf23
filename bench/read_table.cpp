// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "gdssm/core/random.hpp"
#include "gdssm/io/csv.hpp"

namespace {

/// Ten megabytes of numbers with two and three decimals in turn.
std::string table_of(int columns) {
  gdssm::RandomStream<> random(1);
  std::string text = "y";
  for (int j = 1; j < columns; ++j) text += ",x" + std::to_string(j);
  while (text.size() < 10'000'000)
    for (int j = 0; j < columns; ++j) {
      const double number = std::round(1e5 * random.normal());
      text += (j == 0 ? '\n' : ',') + gdssm::format_number(j % 2 == 0 ? number / 1e3 : number / 1e2);
    }
  return text + '\n';
}

/// A table of so many columns is read from memory.
template <class Read>
void read_table(benchmark::State& state, Read read) {
  const std::string text = table_of(static_cast<int>(state.range(0)));
  std::istringstream in(text);
  for (auto _ : state) {
    in.clear();
    in.seekg(0);
    read(in);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
}

void read_cells(benchmark::State& state) {
  read_table(state, [](std::istream& in) {
    gdssm::CsvRows rows(in, "table");
    for (gdssm::CsvRows::Cells cells; rows.next(cells);) benchmark::DoNotOptimize(cells.data());
  });
}
BENCHMARK(read_cells)->Arg(2)->Arg(10)->Arg(100);

void read_numbers(benchmark::State& state) {
  read_table(state, [](std::istream& in) {
    gdssm::CsvReader table(in, "table");
    for (std::vector<double> row; table.next(row);) benchmark::DoNotOptimize(row.data());
  });
}
BENCHMARK(read_numbers)->Arg(2)->Arg(10)->Arg(100);

}  // namespace
