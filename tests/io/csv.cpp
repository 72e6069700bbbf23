// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/csv.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/io/atomic_file.hpp"
#include "io/support.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::AtomicFile;
using gdssm::CsvReader;
using gdssm::CsvWriter;
using gdssm::DialectOptions;
using gdssm::format_number;
using gdssm::in_quotes;
using gdssm::is_missing;
using gdssm::test::message_of;
using gdssm::test::TemporaryFolder;
using Names = std::vector<std::string>;
using Rows = std::vector<std::vector<double>>;

const double missing = std::numeric_limits<double>::quiet_NaN();

struct Table {
  Names columns;
  Rows rows;
};

Table read(const std::string& text) {
  std::istringstream in(text);
  CsvReader reader(in, "t.csv");
  Table table{reader.columns(), {}};
  for (std::vector<double> row; reader.next(row);) table.rows.push_back(row);
  REQUIRE(reader.rows() == table.rows.size());
  return table;
}

std::string refusal(const std::string& text) {
  return message_of([&] { read(text); });
}

/// Returns one piece at a time, like a pipe, and fails the test when asked for more than is available.
class SlowPipe : public std::streambuf {
 public:
  explicit SlowPipe(Names pieces) : pieces_(std::move(pieces)) {}
  std::size_t released = 1;

 protected:
  int_type underflow() override {
    if (next_ == pieces_.size()) return traits_type::eof();
    if (next_ == released) throw std::runtime_error("would block");
    std::string& piece = pieces_[next_++];
    setg(piece.data(), piece.data(), piece.data() + piece.size());
    return traits_type::to_int_type(piece.front());
  }

 private:
  Names pieces_;
  std::size_t next_ = 0;
};

}  // namespace

TEST_CASE("A table is its names and its rows of numbers", "[csv]") {
  const Table table = read("a,b,target\n1,2.5,-3\n.5,5.,1e-3\n");
  CHECK(table.columns == Names{"a", "b", "target"});
  CHECK(table.rows == Rows{{1, 2.5, -3}, {0.5, 5, 0.001}});
}

TEST_CASE("The same table reads the same however its text is laid out", "[csv]") {
  const Rows expected{{1, 2}, {3, 4}};
  const std::string byte_order_mark = "\xEF\xBB\xBF";
  const Names texts{
      "a,b\n1,2\n3,4\n",
      "a,b\n1,2\n3,4",
      "a,b\r\n1,2\r\n3,4\r\n",
      "a,b\r\n1,2\r\n3,4",
      byte_order_mark + "a,b\n1,2\n3,4\n",
      byte_order_mark + "\"a\",b\n1,2\n3,4\n",
      "a,b\n1,2\n3,4\n\n\r\n  \n",
      " a ,\tb\n 1,2 \n\t3 , 4\t\r\n",
      "\"a\",\"b\"\n\"1\",2\n3, \"4\" \n",
      "a,b\n+1,+2.0\n3e0,0.4E+1\n",
      "a,b\n1,2.0000000000000000000000000001\n03,4\n",
  };
  for (const std::string& text : texts) {
    const Table table = read(text);
    CHECK(table.columns == Names{"a", "b"});
    CHECK(table.rows == expected);
  }
}

TEST_CASE("Quoted names may contain commas, quotes, blanks, line ends and numbers", "[csv]") {
  const Table table =
      read("\"a, b\",\"say \"\"x\"\"\",\" c \",\"two\r\nlines\",5\" wide,\"7\",\"\"\"\"\n1,2,3,4,5,6,7\n");
  CHECK(table.columns == Names{"a, b", "say \"x\"", " c ", "two\nlines", "5\" wide", "7", "\""});
  CHECK(table.rows == Rows{{1, 2, 3, 4, 5, 6, 7}});
  CHECK(read("\"1\",\"2\"\n3,4\n").columns == Names{"1", "2"});
  CHECK(read("\"two\r\r\nlines\"\n1\n").columns == Names{"two\nlines"});
}

TEST_CASE("An empty cell is missing, and nothing else is", "[csv]") {
  const Table table = read("a,b,c\n,2,\n\"\",  ,3\n,,\n4,5,6\n");
  const std::vector<std::vector<bool>> expected{
      {true, false, true}, {true, true, false}, {true, true, true}, {false, false, false}};
  REQUIRE(table.rows.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t j = 0; j < 3; ++j) CHECK(is_missing(table.rows[i][j]) == expected[i][j]);
  }
  CHECK(table.rows[0][1] == 2);
  CHECK(table.rows[1][2] == 3);
  CHECK(is_missing(read("a\n\"\"\n1\n").rows[0][0]));
  CHECK(is_missing(read("a\n\" \"\n1\n").rows[0][0]));
}

TEST_CASE("Numbers are read to the last bit", "[csv]") {
  std::mt19937_64 random(7);
  std::vector<double> numbers{0, 0.1, 5e-324, 2.2250738585072011e-308, std::numeric_limits<double>::max()};
  while (numbers.size() < 2000) {
    const std::uint64_t bits = random();
    double number = 0;
    std::memcpy(&number, &bits, sizeof number);
    if (std::isfinite(number)) numbers.push_back(number);
  }
  std::string text = "a,b\n";
  for (const double number : numbers) text += format_number(number) + "," + format_number(-number) + "\n";
  const Table table = read(text);
  REQUIRE(table.rows.size() == numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(table.rows[i] == std::vector<double>{numbers[i], -numbers[i]});
  CHECK(std::signbit(read("a\n-0\n").rows[0][0]));
}

TEST_CASE("A standard library without from_chars of double reads the same numbers", "[csv][regression]") {
  std::mt19937_64 random(8);
  std::vector<std::string> texts{"0",
                                 "-0",
                                 "00012",
                                 "1.",
                                 ".5",
                                 "-.5e-3x",
                                 ".",
                                 "-",
                                 "",
                                 "1e",
                                 "1e+",
                                 "1e-",
                                 "1.e5",
                                 "0x10",
                                 "5e-324",
                                 "2e-324",
                                 "3e-324",
                                 "1e-400",
                                 "1e400",
                                 "-1e999",
                                 "0e999",
                                 "e5",
                                 "1.2.3",
                                 "+1",
                                 " 1",
                                 "1E5,2",
                                 "0.0e-400",
                                 "9007199254740993",
                                 "123456789012345678901234567890"};
  while (texts.size() < 2000) {
    const std::uint64_t bits = random();
    double number = 0;
    std::memcpy(&number, &bits, sizeof number);
    if (std::isfinite(number)) texts.push_back(format_number(number));
  }
  for (const std::string& text : texts) {
    CAPTURE(text);
    double expected = 7, found = 7;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), expected);
    const auto [after, failure] = gdssm::detail::from_chars_by_strtod(text.data(), text.data() + text.size(), found);
    CHECK(after == end);
    CHECK(failure == error);
    if (error == std::errc()) CHECK(std::memcmp(&found, &expected, sizeof found) == 0);
  }
}

TEST_CASE("A row is handed out as soon as its line has come", "[csv]") {
  SlowPipe pipe({"a,b\n", "1,", "2\n3,4", "\n", "5,6"});
  pipe.released = 3;  // a header and a row, of which the dialect is sniffed
  std::istream in(&pipe);
  CsvReader reader(in, "-");
  CHECK(reader.columns() == Names{"a", "b"});
  std::vector<double> row;
  REQUIRE(reader.next(row));
  CHECK(row == std::vector<double>{1, 2});
  pipe.released = 4;
  REQUIRE(reader.next(row));
  CHECK(row == std::vector<double>{3, 4});
  CHECK(reader.line() == 3);
  pipe.released = 5;
  REQUIRE(reader.next(row));
  CHECK(row == std::vector<double>{5, 6});
  CHECK_FALSE(reader.next(row));
}

TEST_CASE("Input without a line of cells is refused", "[csv][misuse]") {
  CHECK(refusal("") == "t.csv: no header: the input is empty, expected a line with the columns' names");
  for (const char* text : {"\n", "  \n\n", "# a comment\n", "\xEF\xBB\xBF\n"})
    CHECK(refusal(text).find("no header: no line has cells, expected a line with the columns' names") !=
          std::string::npos);
}

TEST_CASE("A header without rows is refused at its end", "[csv][misuse]") {
  for (const char* text : {"a,b", "a,b\n", "a,b\r\n", "a,b\n\n\n"}) {
    std::istringstream in(text);
    CsvReader reader(in, "t.csv");
    std::vector<double> row;
    CHECK(message_of([&] { reader.next(row); }) == "t.csv: a header without rows, expected at least one row after it");
  }
}

TEST_CASE("A column is found by its name, or the names there are get listed", "[csv][misuse]") {
  std::istringstream in("open,\"high, low\",target\n1,2,3\n");
  const CsvReader reader(in, "t.csv");
  CHECK(reader.column("open") == 0);
  CHECK(reader.column("high, low") == 1);
  CHECK(reader.column("target") == 2);
  CHECK(message_of([&] { reader.column("close"); }) ==
        "t.csv: no column 'close', expected one of 'open', 'high, low', 'target'");
}

TEST_CASE("A row with more or fewer cells than columns is refused with its line and the counts", "[csv][misuse]") {
  const auto ragged = [](int line, int got, int expected) {
    return "t.csv:" + std::to_string(line) + ": got " + std::to_string(got) + " cells, expected " +
           std::to_string(expected) + ", one for each column of the header";
  };
  CHECK(refusal("a,b,c\n1,2,3\n4,5\n") == ragged(3, 2, 3));
  CHECK(refusal("a,b,c\n1\n") == ragged(2, 1, 3));
  CHECK(refusal("a,b\n1,2,3,4\n") == ragged(2, 4, 2));
  CHECK(refusal("a,b\n1,2,\"x, y\", z,,\n") == ragged(2, 6, 2));
}

TEST_CASE("A cell that is not a finite number is refused with its line, its column and its text", "[csv][misuse]") {
  for (const char* cell :
       {"abc", "nan", "NaN", "inf", "-Infinity", "1e999", "-1e999", "1.2.3", "1 2",  "0x10", "1e",
        "+-5", "++5", "+ 5", "+",   "-",         "1,,5",  "1_000",  "12abc", "#N/A", "1;2",  "\xC3\xA9"}) {
    const std::string text = std::string("a,price,c\n1,2,3\n4,\"") + cell + "\",6\n";
    CHECK(refusal(text) == std::string("t.csv:3: column 'price': '") + cell +
                               "' is not a finite number, expected one (or an empty cell)");
  }
  CHECK(refusal("a,price,c\r\n1, x y ,3\r\n") ==
        "t.csv:2: column 'price': 'x y' is not a finite number, expected one (or an empty cell)");
  CHECK(refusal(std::string("a\n1\0"
                            "2\n",
                            6)) ==
        "t.csv:2: column 'a': '1\\x002' is not a finite number, expected one (or an empty cell)");
  CHECK(refusal("a\n" + std::string(1000, 'x') + "\n") ==
        "t.csv:2: column 'a': '" + std::string(40, 'x') +
            "...' is not a finite number, expected one (or an empty cell)");
}

TEST_CASE("Lines are counted as an editor counts them", "[csv][misuse]") {
  CHECK(refusal("\"a\nb\nc\",d\n1,2\n3,x\n").starts_with("t.csv:5: column 'd': 'x'"));
  CHECK(refusal("\xEF\xBB\xBF"
                "a,d\r\n1,2\r\n3,x\r\n")
            .starts_with("t.csv:3: column 'd': 'x'"));
}

TEST_CASE("A quote that is not closed, or closed too early, is refused", "[csv][misuse]") {
  CHECK(refusal("a,\"b\n1,2\n") == "t.csv:1: the quote before 'b' is not closed, expected another quote");
  CHECK(refusal("a,b\n1,\"2\n3,4\n") == "t.csv:2: the quote before '2' is not closed, expected another quote");
  CHECK(refusal("a,b\n1,\"2\"3\n") == "t.csv:2: text after the closing quote of '2', expected a comma");
  CHECK(refusal("\"a\"b,c\n1,2\n") == "t.csv:1: text after the closing quote of 'a', expected a comma");
}

TEST_CASE("A program turns a cell down with the place of the last row", "[csv][misuse]") {
  std::istringstream in("x,target\n1,2\n,3\n");
  CsvReader reader(in, "t.csv");
  std::vector<double> row;
  reader.next(row);
  reader.next(row);
  REQUIRE(is_missing(row[0]));
  CHECK(reader.line() == 3);
  CHECK(message_of([&] { reader.refuse_cell(0, "an empty feature, expected ", "a number"); }) ==
        "t.csv:3: column 'x': an empty feature, expected a number");
}

TEST_CASE("A failure to read is an error, not the end of the table", "[csv][misuse]") {
  SlowPipe pipe({"a,b\n1,2\n3,", "4\n"});
  std::istream in(&pipe);
  CsvReader reader(in, "-");
  std::vector<double> row;
  REQUIRE(reader.next(row));
  CHECK(message_of([&] { reader.next(row); }).starts_with("-:3: would block"));
  const TemporaryFolder folder;
  std::ifstream closed(folder / "missing");
  CHECK(message_of([&] { CsvReader(closed, "m"); }) == "m: cannot be read, the stream had failed before");
  std::ifstream directory(folder.path());
  CHECK(message_of([&] { CsvReader(directory, "d"); }) == "d:1: reading failed: Is a directory");
}

TEST_CASE("Numbers are written in the shortest way that reads back the same", "[csv]") {
  CHECK(format_number(0.1) == "0.1");
  CHECK(format_number(0.1f) == "0.1");
  CHECK(format_number(0.1 + 0.2) == "0.30000000000000004");
  CHECK(format_number(1e23) == "1e+23");
  CHECK(format_number(-2.2250738585072014e-308) == "-2.2250738585072014e-308");
  CHECK(format_number(1234567) == "1234567");
  CHECK(format_number(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
}

TEST_CASE("Text of a file is shown on one line, shortened between characters", "[csv]") {
  CHECK(in_quotes("") == "''");
  CHECK(in_quotes("a\tb\n\x7F") == "'a\\x09b\\x0A\\x7F'");
  CHECK(in_quotes("abcdef", 6) == "'abcdef'");
  CHECK(in_quotes("abcdef", 5) == "'abcde...'");
  CHECK(in_quotes("abc\xC3\xA9"
                  "f",
                  4) == "'abc...'");
  CHECK(in_quotes("abc\xC3\xA9"
                  "f",
                  5) == "'abc\xC3\xA9...'");
}

TEST_CASE("A written table reads back as it was", "[csv]") {
  const Names names{"\xEF\xBB\xBFmark", "with, comma", "with \"quotes\"", "two\nlines", " blanks ", "7", "\xC3\xA9"};
  const Rows rows{{1, 0.1, -1e300, 5e-324, missing, 0, 3}, {1, 2, 3, 4, 5, 6, 7}};
  std::stringstream text;
  CsvWriter writer(text, names);
  for (const auto& row : rows) writer.row(row);
  CHECK(text.str() ==
        "\"\xEF\xBB\xBFmark\",\"with, comma\",\"with \"\"quotes\"\"\",\"two\nlines\",\" blanks \",\"7\",\xC3\xA9\n"
        "1,0.1,-1e+300,5e-324,,0,3\n1,2,3,4,5,6,7\n");
  CsvReader reader(text, "t.csv");
  CHECK(reader.columns() == names);
  std::vector<double> row;
  REQUIRE(reader.next(row));
  CHECK(is_missing(row[4]));
  row[4] = 0;
  CHECK(row == std::vector<double>{1, 0.1, -1e300, 5e-324, 0, 0, 3});
  REQUIRE(reader.next(row));
  CHECK(row == rows[1]);
  CHECK_FALSE(reader.next(row));
}

TEST_CASE("A written table reads back under any names, whether its dialect is told or not", "[csv]") {
  const std::vector<Names> tables{{"# a"},
                                  {"#", "b"},
                                  {"RDX2"},
                                  {"%PDF"},
                                  {"PK\x03\x04", "b"},
                                  {"\xFF\xFE"
                                   "ab",
                                   "c"},
                                  {"\xFE\xFF"
                                   "ab"},
                                  {"1,5"},
                                  {"1'000"},
                                  {"1 000"},
                                  {"sep=;"},
                                  {"sep=,"},
                                  {"SEP=|"},
                                  {"sep=e"},
                                  {"sep"},
                                  {"", "b"},
                                  {""},
                                  {"NA", "?"},
                                  {"a\\", "\"b"},
                                  {"a\\\"b", "c"},
                                  {std::string("a\0b", 3)},
                                  {"a b"},
                                  {"a\nb", "c"},
                                  {"\x1A"},
                                  {"a\r"},
                                  {"\t", "b"}};
  for (const Names& names : tables)
    for (const DialectOptions& known : {DialectOptions{}, {.delimiter = ',', .decimal = '.', .header = true}}) {
      CAPTURE(names);
      std::stringstream text;
      CsvWriter writer(text, names);
      for (const double first : {missing, -1.5, 1e23}) {
        writer.cell(first);
        for (std::size_t i = 1; i < names.size(); ++i) writer.cell(1234);
        writer.end_row();
      }
      CsvReader reader(text, "t.csv", known);
      CHECK(reader.columns() == names);
      std::vector<double> row;
      REQUIRE(reader.next(row));
      CHECK(is_missing(row[0]));
      REQUIRE(reader.next(row));
      CHECK(row[0] == -1.5);
      REQUIRE(reader.next(row));
      CHECK(row[0] == 1e23);
      CHECK_FALSE(reader.next(row));
    }
}

TEST_CASE("A row whose only number is missing is no empty line", "[csv]") {
  std::stringstream text;
  CsvWriter writer(text, {"y"});
  writer.cell(missing);
  writer.end_row();
  CHECK(text.str() == "y\n\"\"\n");
  CsvReader reader(text, "t.csv");
  std::vector<double> row;
  REQUIRE(reader.next(row));
  CHECK(is_missing(row[0]));
}

TEST_CASE("Rows may mix text and numbers, at once or cell by cell", "[csv]") {
  std::ostringstream text;
  CsvWriter writer(text, {"experiment", "seed", "loss"});
  writer.row("linear, vector", 100000, 0.125f);
  writer.row(std::string("a"), std::size_t{18446744073709551615u}, missing);
  writer.cell("1.5");
  writer.cell("");
  writer.cell(std::numeric_limits<double>::infinity());
  writer.end_row();
  CHECK(text.str() ==
        "experiment,seed,loss\n\"linear, vector\",100000,0.125\na,18446744073709551615,\n\"1.5\",\"\",inf\n");
}

TEST_CASE("A row of another length than the header is not written", "[csv][misuse]") {
  std::ostringstream text;
  CsvWriter writer(text, {"a", "b"}, "out.csv");
  const std::string place = "out.csv: the number of cells is ";
  CHECK(message_of([&] { writer.row("x"); }) == place + "1, expected 2");
  CHECK(message_of([&] { writer.row(std::vector<double>{1, 2, 3}); }) == place + "3, expected 2");
  writer.row(1, 2);
  CHECK(text.str() == "a,b\n1,2\n");
}

TEST_CASE("A row that is not taken is an error", "[csv][misuse]") {
  std::ostringstream closed;
  closed.setstate(std::ios::badbit);
  CHECK(message_of([&] { CsvWriter(closed, {"a"}, "out.csv"); }) == "out.csv: writing a row failed");
  std::ofstream full("/dev/full");
  if (!full) {
    WARN("not tested: there is no /dev/full");
    return;
  }
  CsvWriter buffered(full, {"a"}, "out.csv");
  CHECK(message_of([&] { buffered.flush(); }) == "out.csv: writing a row failed");
  AtomicFile file("/dev/full");
  CsvWriter whole(file, {"a"});
  CHECK(message_of([&] { whole.flush(); }) == "/dev/full: cannot write: No space left on device");
}

TEST_CASE("Decimals of 1 to 19 digits are read to the last bit, wherever their point is and whatever stands after them",
          "[csv]") {
  std::mt19937_64 random(9);
  std::string text = "a,b,c\n";
  Rows expected;
  for (std::size_t digits = 1; digits <= 19; ++digits)
    for (std::size_t decimals = 0; decimals <= digits; ++decimals)
      for (int i = 0; i < 40; ++i) {
        std::string number;
        for (std::size_t k = 0; k < digits; ++k) number += static_cast<char>('0' + random() % 10);
        if (i % 8 == 0) number = std::string(digits, '9');
        if (decimals > 0) number.insert(digits - decimals, ".");
        const double value = std::strtod(number.c_str(), nullptr);
        text += number + ",-" + number + "," + number + "e1\n";
        expected.push_back({value, -value, std::strtod((number + "e1").c_str(), nullptr)});
      }
  CHECK(read(text).rows == expected);
  CHECK(read("a,b,c\n1.,.5,-.25\n").rows == Rows{{1, 0.5, -0.25}});
  for (const char* none : {".", "-", "-.", "+.", "1..2", "1.2.", "1-", "--1"})
    CHECK(refusal("a,b\n" + std::string(none) + ",2\n") ==
          "t.csv:2: column 'a': '" + std::string(none) + "' is not a finite number, expected one (or an empty cell)");
}
