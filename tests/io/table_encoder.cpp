// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/table_encoder.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <Eigen/Core>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace gdssm {
namespace {

using Eigen::VectorXd;
using Cells = std::vector<std::string>;

VectorXd vector(const std::vector<double>& numbers) {
  return Eigen::Map<const VectorXd>(numbers.data(), static_cast<Index>(numbers.size()));
}

/// The row as numbers; its target is learned if there is one.
VectorXd encode(TableEncoder& encoder, const Cells& cells, double target = NAN) {
  const std::vector<std::string_view> views(cells.begin(), cells.end());
  const EncodedRow row = encoder.encode(views);
  if (!std::isnan(target)) encoder.observe(row, target);
  return row.x;
}

/// Rows of numbers with gaps, text of few and of many levels, dates, identifiers and text among numbers.
std::vector<Cells> mixed_rows(int count) {
  test::Random random(1);
  std::vector<Cells> rows;
  for (int t = 0; t < count; ++t) {
    const auto pick = [&](int n) { return static_cast<int>((random() + 0.5) * n); };
    rows.push_back({std::to_string(t), t % 7 == 3 ? "NA" : format_number(random()), std::string(1, char('a' + pick(3))),
                    "level" + std::to_string(pick(40)), "id" + std::to_string(t),
                    "2024-" + std::to_string(1 + t / 28 % 12) + "-" + std::to_string(1 + t % 28),
                    t % 9 == 8 ? "unknown" : std::to_string(pick(100)), t % 2 ? "TRUE" : "FALSE"});
  }
  return rows;
}
const std::vector<std::string> mixed_names{"", "x", "letter", "level", "id", "date", "age", "flag"};

TEST_CASE("Numbers are inputs as they are, in the order of their columns", "[theorem]") {
  TableEncoder encoder({"a", "b", "c"});
  CHECK(encode(encoder, {"1", "-2.5", "1e3"}) == vector({1, -2.5, 1000}));
  CHECK(encode(encoder, {"+4", "0", " 7 "}) == vector({4, 0, 7}));
  CHECK(encoder.width() == 3);
  for (std::size_t c = 0; c < 3; ++c) CHECK(encoder.describe(c).empty());
}

TEST_CASE("A missing number is the mean so far, or the last one where that foresees better", "[theorem]") {
  TableEncoder encoder({"level", "walk"});
  double sum = 0;
  for (int t = 0; t < 20; ++t) {
    const double level = t % 2 == 0 ? 1 : 4;
    sum += level;
    encode(encoder, {format_number(level), std::to_string(10 * t)});
  }
  for (const char* token : {"", "NA", "NaN", "nan", "N/A", "n/a", "null", "NULL", "None", "?", "-", "--"}) {
    CAPTURE(token);
    const VectorXd x = encode(encoder, {token, token});
    CHECK(x[0] == Approx(sum / 20));
    CHECK(x[1] == 190);
  }
  CHECK(encoder.width() == 2);  // nothing is known of such rows' targets
}

TEST_CASE("That a cell is missing is an input when targets of such rows differ", "[theorem]") {
  TableEncoder telling({"a"}), silent({"a"});
  test::Random random(3);
  for (int t = 0; t < 200; ++t) {
    const bool missing = t % 4 == 1;
    encode(telling, {missing ? "NA" : "1"}, random() + (missing ? 1 : 0));
    encode(silent, {missing ? "NA" : "1"}, t % 8 < 4 ? 1 : -1);
  }
  CHECK(telling.width() == 2);
  CHECK(silent.width() == 1);
  CHECK(encode(telling, {""}) == vector({1, 1}));
  CHECK(encode(telling, {"5"}) == vector({5, 0}));
}

TEST_CASE("A level has an indicator from the first on, or when it comes again, and the first has none", "[theorem]") {
  TableEncoder encoder({"colour"});
  CHECK(encode(encoder, {"red"}).size() == 0);
  CHECK(encode(encoder, {"blue"}) == vector({1}));
  CHECK(encode(encoder, {"red"}) == vector({0}));
  CHECK(encode(encoder, {"blue"}) == vector({1}));
  CHECK(encode(encoder, {"green"}) == vector({0, 1}));
  CHECK(encode(encoder, {"NA"}) == vector({0, 0, 1}));  // missing is a level of its own
  CHECK(encode(encoder, {""}) == vector({0, 0, 1}));
  CHECK(encoder.describe(0) == "'colour': text, 3 values so far, and gaps");
}

TEST_CASE("Of many levels, twelve have indicators, and the mean of a level's targets is an input", "[theorem]") {
  TableEncoder encoder({"town"});
  for (int t = 0; t < 2000; ++t) encode(encoder, {std::to_string(t % 50) + "th"}, t % 50);
  CHECK(encoder.width() == 13);
  for (const int town : {20, 49}) {
    const VectorXd x = encode(encoder, {std::to_string(town) + "th"});
    // 40 targets, drawn towards the mean of all, 24.5, as by two more
    const double expected = 24.5 + 40.0 / 42 * (town - 24.5);
    CHECK((x.array() - expected).abs().minCoeff() < 1e-9);
  }
  const VectorXd unseen = encode(encoder, {"new"});
  CHECK((unseen.array() - 24.5).abs().minCoeff() < 1e-9);
}

TEST_CASE("Identifiers and free text are left out, in bounded memory", "[theorem]") {
  TableEncoder encoder({"id", "x"});
  for (int t = 0; t < 3000; ++t) encode(encoder, {"r" + std::to_string(t), "1"}, t);
  CHECK(encoder.kind(0) == ColumnKind::left_out);
  CHECK(encoder.state().columns[0].levels.size() == 0);
  CHECK(encoder.width() <= 3);
  TableEncoder many({"id"});
  for (int t = 0; t < 5000; ++t) encode(many, {"r" + std::to_string(t * 7919 % 2500)}, t);
  CHECK(many.kind(0) == ColumnKind::left_out);
}

TEST_CASE("A first column without a name, or called rownames, is an index", "[theorem]") {
  for (const char* name : {"", "rownames", "Unnamed: 0"}) {
    TableEncoder encoder({name, "x"});
    CHECK(encode(encoder, {"7", "2"}) == vector({2}));
    CHECK(encoder.describe(0) == "'" + std::string(name) + "': index, left out");
  }
  TableEncoder chosen({"rownames"}, {.text = {}, .numbers = {"rownames"}, .dates = {}});
  CHECK(encode(chosen, {"7"}) == vector({7}));
}

TEST_CASE("A column that turns out otherwise keeps what it was", "[theorem]") {
  TableEncoder encoder({"age"});
  CHECK(encode(encoder, {"30"}) == vector({30}));
  CHECK(encode(encoder, {"50"}) == vector({50}));
  CHECK(encode(encoder, {"unknown"}) == vector({40, 1}));
  CHECK(encode(encoder, {"20"}) == vector({20, 0}));
  CHECK(encoder.describe(0) == "'age': numbers, and text in 1 cell");
}

TEST_CASE("A user's word overrides what cells look like", "[theorem]") {
  TableEncoder encoder({"zip", "n", "d"}, {.text = {"zip"}, .numbers = {"n"}, .dates = {"d"}});
  encode(encoder, {"1000", "x", "?"});
  const VectorXd x = encode(encoder, {"2000", "5", "2024-01-02"});
  CHECK(encoder.kind(0) == ColumnKind::text);
  CHECK(encoder.kind(1) == ColumnKind::number);
  CHECK(encoder.kind(2) == ColumnKind::date);
  CHECK(x == vector({1, 5, 0}));
}

TEST_CASE("A date is the time since the first in days, and then cycles", "[theorem]") {
  TableEncoder encoder({"when"});
  CHECK(encode(encoder, {"2024-01-01"}) == vector({0}));
  CHECK(encode(encoder, {"2024-01-04"}) == vector({3}));
  CHECK(encode(encoder, {"2024-01-14"}).size() == 1);
  const VectorXd week = encode(encoder, {"2024-01-16"});
  REQUIRE(week.size() == 8);
  CHECK(week[0] == 15);
  CHECK(week[1] == 2);                                           // the time since the row before, which varies
  CHECK(week[2] == Approx(std::sin(2 * 3.14159265358979 / 7)));  // a Tuesday
  CHECK(encode(encoder, {"2024-01-30"})[1] == 14);
  CHECK(encode(encoder, {"2026-02-01"}).size() == 8);
  for (int t = 0; t < 100; ++t) encode(encoder, {"2026-02-02"});
  CHECK(encode(encoder, {"2026-02-03"}).size() == 18);
  // Yearly dates have no time of the year that varies, and weekly ones no weekday.
  TableEncoder yearly({"when"}), weekly({"when"});
  for (int t = 0; t < 30; ++t) encode(yearly, {std::to_string(1990 + t) + "-01"});
  for (const char* date : {"2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"}) encode(weekly, {date});
  CHECK(yearly.width() == 1);
  CHECK(weekly.width() == 1);
}

TEST_CASE("The order of day and month is found from the rows so far", "[theorem]") {
  const auto last = [](const std::vector<const char*>& dates) {
    TableEncoder encoder({"d"});
    double x = 0;
    for (const char* date : dates) x = encode(encoder, {date})[0];
    return x;
  };
  CHECK(last({"1/2/2024", "2/2/2024", "3/2/2024"}) == 2);
  CHECK(last({"2/1/2024", "2/2/2024", "2/3/2024"}) == 2);
  CHECK(last({"30/1/2024", "1/2/2024"}) == 2);
  CHECK(last({"1/30/2024", "2/1/2024"}) == 2);
}

TEST_CASE("Numbers are dates where the name says so", "[theorem]") {
  TableEncoder encoder({"timestamp", "date", "x"});
  CHECK(encode(encoder, {"1700000000", "20240228", "20240228"}) == vector({0, 0, 20240228}));
  CHECK(encode(encoder, {"1700043200", "20240301", "5"}).isApprox(vector({0.5, 2, 5}), 1e-9));
  TableEncoder series({"time"});
  encode(series, {"1949"});
  CHECK(encode(series, {"1949.5"})[0] == Approx(365.2425 / 2));
}

TEST_CASE("Numbers follow the table's dialect", "[theorem]") {
  Dialect german;
  german.delimiter = ';';
  german.decimal = ',';
  TableEncoder encoder({"a"}, {}, german);
  CHECK(encode(encoder, {"1,5"}) == vector({1.5}));
}

TEST_CASE("Changing a row changes nothing that was encoded before it", "[theorem]") {
  const auto rows = mixed_rows(120);
  auto changed = rows;
  changed[80] = {"x", "y", "?", "NA", "", "30/2/1", "2024-01-01", "5"};
  TableEncoder one(mixed_names), other(mixed_names);
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const VectorXd a = encode(one, rows[t], static_cast<double>(t)),
                   b = encode(other, changed[t], static_cast<double>(t));
    if (t < 80) CHECK(a == b);
  }
}

TEST_CASE("A state continues as if there had been no end", "[theorem]") {
  const auto rows = mixed_rows(150);
  TableEncoder whole(mixed_names), first(mixed_names), second(mixed_names);
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const auto y = static_cast<double>(t % 5);
    const VectorXd expected = encode(whole, rows[t], y);
    if (t == 70) second.set_state(first.state());
    CHECK(encode(t < 70 ? first : second, rows[t], y) == expected);
  }
  CHECK(identical(second.state(), whole.state()));
}

TEST_CASE("Inputs keep their places, and their number only grows", "[theorem]") {
  TableEncoder encoder(mixed_names);
  Index width = 0;
  for (const Cells& row : mixed_rows(400)) {
    CHECK(encode(encoder, row, 1).size() >= width);
    width = encoder.width();
  }
  CHECK(width <= TableEncoder::most_inputs + 20);
}

TEST_CASE("Rows of numbers, and of numbers and text, are as the text that writes them", "[theorem]") {
  test::Random random(3);
  const std::vector<std::string> names{"a", "time", "letter"};
  TableEncoder of_text(names), of_cells(names), text_of_numbers({"a", "time"}), of_numbers({"a", "time"});
  for (int t = 0; t < 60; ++t) {
    const double a = t % 7 == 3 ? NAN : random(), time = 1700000000 + 3600.0 * t;  // seconds since 1970
    const std::string letter(1, char('a' + t % 3)), written = std::isnan(a) ? "" : format_number(a);
    const VectorXd expected = encode(of_text, {written, format_number(time), letter}, t);
    const EncodedRow row = of_cells.encode(std::vector<TableCell>{a, time, std::string_view(letter)});
    CHECK(row.x == expected);
    of_cells.observe(row, t);
    CHECK(of_numbers.encode(std::vector<double>{a, time}).x == encode(text_of_numbers, {written, format_number(time)}));
  }
  CHECK(identical(of_cells.state(), of_text.state()));
  CHECK(identical(of_numbers.state(), text_of_numbers.state()));
}

TEST_CASE("A row that does not count is encoded as the next one would be, and changes nothing", "[theorem]") {
  const auto rows = mixed_rows(60);
  TableEncoder encoder(mixed_names), numbers({"a", "b"});
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const std::vector<std::string_view> cells(rows[t].begin(), rows[t].end());
    const auto before = encoder.state();
    const VectorXd expected = encoder.preview(std::span<const std::string_view>(cells)).x;
    CHECK(identical(encoder.state(), before));
    CHECK(encode(encoder, rows[t], static_cast<double>(t)) == expected);

    const std::vector<double> pair{t % 5 == 2 ? NAN : static_cast<double>(t), 1 / (1 + static_cast<double>(t))};
    const VectorXd seen = numbers.preview(std::span<const double>(pair)).x;
    CHECK(numbers.encode(pair).x == seen);
  }
}

TEST_CASE("A column that is added is as one whose cells were missing so far", "[theorem]") {
  TableEncoder grown({"a"}), complete({"a", "b"});
  for (int t = 0; t < 40; ++t) {
    const std::string a = std::to_string(t * t), b = t < 20 ? "" : std::to_string(3 * t);
    if (t == 20) grown.add_column("b");
    CHECK(encode(grown, t < 20 ? Cells{a} : Cells{a, b}, t) == encode(complete, {a, b}, t));
  }
  CHECK(identical(grown.state(), complete.state()));
}

TEST_CASE("An infinite number is refused", "[misuse]") {
  TableEncoder encoder({"a"});
  CHECK_THROWS_WITH(encoder.encode(std::vector<double>{INFINITY}),
                    "TableEncoder: column 'a' is inf, expected a finite number, or NaN where it is missing");
}

TEST_CASE("Two stretches of numbers join, and text does not", "[theorem]") {
  TableEncoder whole({"a"}), first({"a"}), second({"a"});
  for (int t = 0; t < 20; ++t) {
    encode(whole, {std::to_string(t * t)}, t);
    encode(t < 8 ? first : second, {std::to_string(t * t)}, t);
  }
  first.merge(second.state());
  CHECK(encode(first, {""})[0] == Approx(encode(whole, {""})[0]));
  TableEncoder text({"a"});
  encode(text, {"red"});
  CHECK_THROWS_WITH(
      text.merge(text.state()),
      "TableEncoder: merge: column 'a' has text, dates or other inputs, expected complete columns of numbers in both");
}

TEST_CASE("A state that no rows lead to is refused", "[misuse]") {
  TableEncoder encoder({"a"});
  encode(encoder, {"red"});
  encode(encoder, {"blue"});
  const auto refused = [&](auto&& spoil) {
    auto state = encoder.state();
    spoil(state);
    CHECK_THROWS_AS(encoder.set_state(state), std::invalid_argument);
  };
  refused([](auto& state) { state.columns.clear(); });
  refused([](auto& state) { state.columns[0].kind_and_choice[0] = 7; });
  refused([](auto& state) { state.columns[0].kind_and_choice[0] = NAN; });
  refused([](auto& state) { state.columns[0].input[ColumnMemory::value] = 5; });
  refused([](auto& state) { state.columns[0].input[ColumnMemory::value] = -2; });
  refused([](auto& state) { state.columns[0].levels(LevelTable::input, 0) = 3; });
  refused(
      [](auto& state) { state.columns[0].levels(LevelTable::key, 0) = state.columns[0].levels(LevelTable::key, 1); });
  refused([](auto& state) { state.memory[0] = 1e9; });
  const std::vector<std::string_view> two{"1", "2"};
  CHECK_THROWS_WITH(encoder.encode(two), "TableEncoder: the number of cells is 2, expected 1");
}

}  // namespace
}  // namespace gdssm
