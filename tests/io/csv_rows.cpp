// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/csv_rows.hpp"

#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

#include "io/support.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::CsvRows;
using gdssm::Dialect;
using gdssm::DialectOptions;
using gdssm::LinesLeftOut;
using gdssm::test::message_of;
using Strings = std::vector<std::string>;

struct Table {
  Dialect dialect;
  Strings columns;
  std::vector<Strings> rows;
  std::vector<std::size_t> lines;
  LinesLeftOut left_out;
};

Table read(const std::string& text, const DialectOptions& known = {}) {
  std::istringstream in(text);
  CsvRows reader(in, "t.csv", known);
  Table table{reader.dialect(), reader.columns(), {}, {}, {}};
  for (CsvRows::Cells cells; reader.next(cells);) {
    table.rows.emplace_back(cells.begin(), cells.end());
    table.lines.push_back(reader.line());
  }
  REQUIRE(reader.rows() == table.rows.size());
  table.left_out = reader.left_out();
  return table;
}

std::string refusal(const std::string& text, const DialectOptions& known = {}) {
  return message_of([&] { read(text, known); });
}

/// The text with one mark in the place of another.
std::string with(std::string text, char mark, const std::string& other) {
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += other.size())
    text.replace(at, 1, other);
  return text;
}

}  // namespace

TEST_CASE("A table reads the same whatever separates its cells and ends its lines", "[csv]") {
  const std::string plain = "name,a,y\n\"x\",1.5,2\ny,-3,4.25\nz,,6\n";
  const Table expected = read(plain);
  CHECK(expected.dialect == Dialect{});
  CHECK(expected.columns == Strings{"name", "a", "y"});
  CHECK(expected.rows == std::vector<Strings>{{"x", "1.5", "2"}, {"y", "-3", "4.25"}, {"z", "", "6"}});
  for (const std::string delimiter : {",", ";", "\t", "|"})
    for (const std::string line_end : {"\n", "\r\n", "\r"})
      for (const std::string begin : {"", "\xEF\xBB\xBF", "# exported 2024\n\n", "\xEF\xBB\xBF# a; b, c\n"}) {
        const std::string text = with(begin + with(plain, ',', delimiter), '\n', line_end);
        CAPTURE(text);
        const Table table = read(text);
        CHECK(table.dialect.delimiter == delimiter[0]);
        CHECK(table.dialect.line_end == line_end.back());
        CHECK(table.columns == expected.columns);
        CHECK(table.rows == expected.rows);
        CHECK(table.dialect.preamble == 0);
      }
}

TEST_CASE("Runs of blanks and tabs separate cells, and those around a line none", "[csv]") {
  const Table table = read("   time  x \"the y\"\n 1  2.5\t3 \n10   20 30\n");
  CHECK(table.dialect.delimiter == ' ');
  CHECK(table.columns == Strings{"time", "x", "the y"});
  CHECK(table.rows == std::vector<Strings>{{"1", "2.5", "3"}, {"10", "20", "30"}});
  CHECK(read("date,y\n2024-01-01 00:00,5\n2024-01-02 00:00,6\n").dialect.delimiter == ',');
}

TEST_CASE("A single name of two words is not two above a single number", "[csv][regression]") {
  const Table table = read("a b\n1\n");
  CHECK(table.columns == Strings{"a b"});
  CHECK(table.rows == std::vector<Strings>{{"1"}});
}

TEST_CASE("A line sep= declares the delimiter", "[csv]") {
  for (const char* first : {"sep=;\n", "\"sep=;\"\n", "\xEF\xBB\xBFSEP=;\r\n"}) {
    const Table table = read(first + std::string("a;b\n1;2\n"));
    CHECK(table.columns == Strings{"a", "b"});
    CHECK(table.lines == std::vector<std::size_t>{3});
  }
}

TEST_CASE("Decimal commas and thousands separators are told by the numbers that can be read in one way", "[csv]") {
  const auto marks = [](const std::string& text) {
    const Dialect dialect = gdssm::sniff(text);
    return std::string{dialect.delimiter, dialect.decimal, dialect.thousands == '\0' ? '0' : dialect.thousands};
  };
  CHECK(marks("a;b\n1,5;2\n3;4\n") == ";,0");
  CHECK(marks("a;b\n1.5;2\n3;4\n") == ";.0");
  CHECK(marks("a;b\n1;2\n3;4\n") == ";.0");
  CHECK(marks("a;b\n1.234,5;2\n3;4\n") == ";,.");
  CHECK(marks("a;b\n1,234.5;2\n3;4\n") == ";.,");
  CHECK(marks("a;b\n0,123;2\n3;4\n") == ";,0");
  CHECK(marks("a;b\n1.234.567;2\n1,5;4\n") == ";,.");
  CHECK(marks("a;b\n1 234;2\n1,5;4\n") == ";, ");
  CHECK(marks("a;b\n1\xC2\xA0"
              "234;2\n1,5;4\n") == ";, ");
  CHECK(marks("a;b\n1'234.5;2\n1;4\n") == ";.'");
  CHECK(marks("a;b\n1,234;2\n5,678;4\n") == ";,0");      // where ; separates, , is decimal
  CHECK(marks("a\tb\n1,234\t2\n5,678\t4\n") == "\t.,");  // elsewhere it is not
  CHECK(marks("a\tb\n1,234\t2\n0,678\t4\n") == "\t,0");  // unless a number says so
  CHECK(marks("a,b\n\"1,234\",2\n\"12,345.5\",4\n") == ",.,");
  CHECK(marks("a,b\n\"1,5\",2\n\"2,25\",4\n") == ",,0");
  CHECK(marks("y\n1,5\n2,25\n") == std::string("\0,0", 3));
  CHECK(marks("date;y\n31.12.2024;1,5\n1.1.2025;2\n") == ";,0");
  CHECK(marks("1,5;2,5\n3,5;1,0\n") == ";,0");
}

TEST_CASE("Lines of another width before a header are left out, and the lines are counted on", "[csv]") {
  const Table table = read("Station 12, north\n\nunits: mm\ndate,a,b\n2024,1,2\n2025,3,4\n");
  CHECK(table.dialect.preamble == 3);
  CHECK(table.columns == Strings{"date", "a", "b"});
  CHECK(table.lines == std::vector<std::size_t>{5, 6});
  CHECK(gdssm::describe(table.dialect) == "cells separated by commas, lines 1 to 3 left out");
  // A first line of another width than rows of numbers is their header, and wrong.
  CHECK(refusal("a,b,c\n4,5\n6,7\n").starts_with("t.csv:2: got 2 cells, expected 3"));
}

TEST_CASE("Comments, blank lines and the header once more are left out and counted", "[csv]") {
  const Table table = read("a,b\n1,2\n\n# a remark, or two\na,b\n3,4\n#5,6\n\n \n");
  CHECK(table.rows == std::vector<Strings>{{"1", "2"}, {"3", "4"}});
  CHECK(table.lines == std::vector<std::size_t>{2, 6});
  CHECK(table.left_out == LinesLeftOut{3, 2, 1});
  // Rows whose first cell begins with # are rows.
  const Table tags = read("tag,b\n#one,2\n#two,4\n#one,5\n");
  CHECK(tags.rows.size() == 3);
  CHECK(tags.dialect.comment == '\0');
}

TEST_CASE("The last comment is the header if its names fit rows of numbers", "[csv]") {
  for (const char* text : {"# time x\n1 2\n3 4\n", "# made by hand\n#time x\n1 2\n3 4\n", "#time\tx\n1\t2\n3\t4\n"}) {
    const Table table = read(text);
    CHECK(table.columns == Strings{"time", "x"});
    CHECK(table.rows == std::vector<Strings>{{"1", "2"}, {"3", "4"}});
  }
}

TEST_CASE("In a table of one column a blank line is a missing cell, unless nothing follows it", "[csv]") {
  const Table table = read("y\n1\n\n\n3\n\n\n");
  CHECK(table.rows == std::vector<Strings>{{"1"}, {""}, {""}, {"3"}});
  CHECK(table.left_out.blank == 2);
}

TEST_CASE("Without a header columns are numbered", "[csv]") {
  for (const char* text : {"1,2.5,\n3,4,5\n", "1,2.5,\n3,4,5"}) {
    const Table table = read(text);
    CHECK_FALSE(table.dialect.header);
    CHECK(table.columns == Strings{"x1", "x2", "x3"});
    CHECK(table.rows == std::vector<Strings>{{"1", "2.5", ""}, {"3", "4", "5"}});
  }
  CHECK(read("a,2\n3,4\n").dialect.header);
  CHECK(read(",0\n1821,269\n1822,321\n").columns == Strings{"", "0"});
  CHECK(read("\"1\",\"2\"\n3,4\n").columns == Strings{"1", "2"});
  CHECK(read("a,b\nc,d\n", {.header = false}).rows == std::vector<Strings>{{"a", "b"}, {"c", "d"}});
  CHECK(read("1,2\n3,4\n", {.header = true}).columns == Strings{"1", "2"});
}

TEST_CASE("Columns without a name and names that occur twice get others", "[csv]") {
  std::istringstream in(",a,a,,a.1\n0,1,2,3,4\n");
  const CsvRows rows(in, "t.csv");
  CHECK(rows.columns() == Strings{"", "a", "a.2", "x4", "a.1"});
  REQUIRE(rows.renamed().size() == 2);
  CHECK(rows.renamed()[0].column == 2);
  CHECK(rows.renamed()[0].from == "a");
  CHECK(rows.renamed()[1].from == "");
}

TEST_CASE("A header with one name less than rows have cells leaves the row names without one", "[csv]") {
  for (const char* text : {"\"a\",\"b\"\n\"1\",5,6\n\"2\",7,8\n", "a b\n1 5 6\n2 7 8\n", "a;b\nx;5;6\ny;7;8\n"}) {
    const Table table = read(text);
    CAPTURE(text);
    CHECK(table.columns == Strings{"", "a", "b"});
    CHECK(table.rows[1][2] == "8");
  }
  CHECK(refusal("a,b\n1,5,6\n1,7,8\n").starts_with("t.csv:2: got 3 cells, expected 2"));
}

TEST_CASE("Empty columns behind the last are none", "[csv]") {
  for (const char* text : {"a,b,\n1,2,\n3,4,\n", "a,b\n1,2,\n3,4,\n", "a,b,,\n1,2\n3,4\n", "a,b,,\n1,2,,\n3,4,,\n"}) {
    CAPTURE(text);
    CHECK(read(text).columns == Strings{"a", "b"});
    CHECK(read(text).rows == std::vector<Strings>{{"1", "2"}, {"3", "4"}});
  }
  CHECK(refusal("a,b,\n1,2,\n" + with(std::string(20000, 'x'), 'x', "1,2,\n") + "3,4,5\n") ==
        "t.csv:20003: got 3 cells, expected 2, one for each column of the header");
}

TEST_CASE("Quoted cells may hold line ends, delimiters and quotes", "[csv]") {
  const Table table = read("a,b\n\"x,\n\"\"y\"\"\r\n\",2\nz,\"4\"\n");
  CHECK(table.rows == std::vector<Strings>{{"x,\n\"y\"\n", "2"}, {"z", "4"}});
  CHECK(table.lines == std::vector<std::size_t>{2, 5});
  CHECK(refusal("a,b\n1,2\n3,\"x\ny\n") == "t.csv:3: the quote before 'x' is not closed, expected another quote");
  CHECK(refusal("a;b\n1;\"2\"3\n") == "t.csv:2: text after the closing quote of '2', expected a semicolon");
}

TEST_CASE("A backslash before a quote with text behind it escapes quotes", "[csv]") {
  const Table table = read("a,b\n\"H. \\\"Barney\\\" Ewell\",2\n\"the \\\"end\\\"\",3\n\"C:\\\",4\n");
  CHECK(table.rows == std::vector<Strings>{{"H. \"Barney\" Ewell", "2"}, {"the \"end\"", "3"}, {"C:\\", "4"}});
  CHECK(read("a,b\n\"C:\\\",2\n\"D:\\\"\"\",3\n").rows == std::vector<Strings>{{"C:\\", "2"}, {"D:\\\"", "3"}});
}

TEST_CASE("Text in UTF-16 with its mark is read as UTF-8", "[csv]") {
  // U+00E9, U+20AC and U+1F600, of two, three and four bytes.
  const std::u16string text = u"\u00E9\t\u20AC \U0001F600\r\n1\t2\r\n3\t4\r\n";
  for (const bool big_endian : {false, true}) {
    std::string bytes = big_endian ? "\xFE\xFF" : "\xFF\xFE";
    for (const char16_t unit : text)
      for (const int shift : {big_endian ? 8 : 0, big_endian ? 0 : 8}) bytes += static_cast<char>(unit >> shift & 0xFF);
    const Table table = read(bytes);
    CHECK(table.columns == Strings{"\xC3\xA9", "\xE2\x82\xAC \xF0\x9F\x98\x80"});
    CHECK(table.rows == std::vector<Strings>{{"1", "2"}, {"3", "4"}});
  }
  // Half a pair, and half a unit.
  CHECK(read(std::string("\xFF\xFE"
                         "a\0\n\0\0\xD8\n\0b",
                         11))
            .rows == std::vector<Strings>{{"\xEF\xBF\xBD"}, {"\xEF\xBF\xBD"}});
  CHECK(refusal(std::string("\xFF\xFE\0\0a\0\0\0", 8)) == "t.csv: text in UTF-32, expected a table as text");
}

TEST_CASE("The end-of-file byte of DOS is no cell", "[csv]") {
  CHECK(read("a,b\n1,2\n3,4\x1A").rows.back() == Strings{"3", "4"});
  CHECK(read("a,b\n1,2\n3,4\n\x1A").rows.size() == 2);
}

TEST_CASE("What is known of a dialect is not guessed", "[csv]") {
  CHECK(read("a,b;c\n1,2;3\n", {.delimiter = ';'}).columns == Strings{"a,b", "c"});
  CHECK(read("a;b\n1;2\n", {.decimal = ','}).dialect.decimal == ',');
  CHECK(read("a\n1;2\n", {.delimiter = '\0'}).rows == std::vector<Strings>{{"1;2"}});
}

TEST_CASE("A column is found with blanks around its name or without", "[csv]") {
  std::istringstream in("\" Year\",b\n1,2\n");
  const CsvRows rows(in, "t.csv");
  CHECK(rows.column(" Year") == 0);
  CHECK(rows.column("Year") == 0);
  CHECK(rows.column(" b ") == 1);
}

TEST_CASE("Files that are no text are refused by what they are", "[csv][misuse]") {
  const auto kind = [](const std::string& bytes) { return message_of([&] { read(bytes); }); };
  CHECK(kind("\x1F\x8B\x08") == "t.csv: a gzip file, expected a table as text");
  CHECK(kind("PK\x03\x04....") == "t.csv: a zip file, expected a table as text");
  CHECK(kind(std::string("\xFD\x37zXZ\0", 6)) == "t.csv: an xz file, expected a table as text");
  CHECK(kind("PAR1\x15") == "t.csv: a Parquet file, expected a table as text");
}

TEST_CASE("A row is at hand when its line is, or its stream's end", "[csv]") {
  std::istringstream in("a,b\n1,2\n3,4\n");
  CsvRows rows(in, "t.csv");
  CsvRows::Cells cells;
  CHECK(rows.ready());
  REQUIRE(rows.next(cells));
  CHECK(rows.ready());
  REQUIRE(rows.next(cells));
  CHECK_FALSE(rows.next(cells));
  CHECK(rows.ready());
}
