// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <istream>
#include <limits>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/io/text.hpp"

// Tables of numbers as comma-separated text (RFC 4180): a header line with the columns' names, then rows of numbers.

namespace gdssm {

namespace detail {

/// The byte order mark of UTF-8, with which some programs begin a file.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

inline std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Powers of ten that a double holds exactly, as it holds whole numbers of up to 15 digits. The quotient of two such
/// numbers is rounded once, like the value of the text.
inline constexpr double exact_powers_of_ten[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/// Reads a number of up to 15 digits without exponent, the usual kind, from [at, end); else returns nullptr.
inline const char* parse_short_number(const char* at, const char* end, double& number) {
  const bool negative = at != end && *at == '-';
  if (negative) ++at;
  const char* const begin = at;
  long long digits = 0;
  while (at != end && *at >= '0' && *at <= '9' && at - begin <= 16) digits = 10 * digits + (*at++ - '0');
  std::ptrdiff_t count = at - begin, decimals = 0;
  if (at != end && *at == '.') {
    const char* const point = at++;
    while (at != end && *at >= '0' && *at <= '9' && count + decimals <= 16) {
      digits = 10 * digits + (*at++ - '0');
      decimals = at - point - 1;
    }
    count += decimals;
  }
  if (count == 0 || count > 15 || (at != end && *at != ',')) return nullptr;
  const double magnitude = static_cast<double>(digits) / exact_powers_of_ten[decimals];
  number = negative ? -magnitude : magnitude;
  return at;
}

/// Does what `std::from_chars` does with a finite number, for standard libraries that support only whole numbers: calls
/// std::strtod on the decimal number at the start of [at, end), with the locale's decimal point.
inline std::from_chars_result from_chars_by_strtod(const char* at, const char* end, double& number) {
  const auto skip_digits = [end](const char* from) {
    while (from != end && *from >= '0' && *from <= '9') ++from;
    return from;
  };
  const char* const digits = at != end && *at == '-' ? at + 1 : at;
  const char* after = skip_digits(digits);
  std::ptrdiff_t count = after - digits;
  std::string text(at, after);
  if (after != end && *after == '.') {
    const char* const decimals = after + 1;
    after = skip_digits(decimals);
    count += after - decimals;
    text.append(std::localeconv()->decimal_point).append(decimals, after);
  }
  if (count == 0) return {at, std::errc::invalid_argument};
  if (after != end && (*after == 'e' || *after == 'E')) {
    const char* const power = after + 1 != end && (after[1] == '+' || after[1] == '-') ? after + 2 : after + 1;
    const char* const last = skip_digits(power);
    if (last != power) {
      text.append(after, last);
      after = last;
    }
  }
  const double read = std::strtod(text.c_str(), nullptr);
  // Too large a number gives infinity; too small a number gives zero although a digit before the exponent is not zero.
  const bool lost = read == 0 && text.find_first_of("123456789") < text.find_first_of("eE");
  if (lost || std::isinf(read)) return {after, std::errc::result_out_of_range};
  number = read;
  return {after, std::errc()};
}

/// `std::from_chars` where it supports this type, `from_chars_by_strtod` elsewhere.
template <class Number>
std::from_chars_result read_number(const char* at, const char* end, Number& number) {
  if constexpr (requires { std::from_chars(at, end, number); })
    return std::from_chars(at, end, number);
  else
    return from_chars_by_strtod(at, end, number);
}

/// Reads blanks, a finite number and blanks from [at, end). Returns where it stopped, or nullptr if there is none.
inline const char* parse_number(const char* at, const char* end, double& number) {
  if (const char* const after = parse_short_number(at, end, number)) return after;
  while (at != end && is_blank(*at)) ++at;
  if (at != end && *at == '+' && ++at != end && *at == '-') return nullptr;
  const auto [after, error] = read_number(at, end, number);
  if (error != std::errc() || !std::isfinite(number)) return nullptr;
  at = after;
  while (at != end && is_blank(*at)) ++at;
  return at;
}

/// A cell that `CsvWriter` can write.
template <class Cell>
concept CsvCell = PrintableNumber<Cell> || std::is_convertible_v<const Cell&, std::string_view>;

/// Whether the whole text is a finite number.
inline bool parse_number(std::string_view text, double& number) {
  return parse_number(text.data(), text.data() + text.size(), number) == text.data() + text.size();
}

}  // namespace detail

/// Whether a cell of a row was empty. Only empty cells become NaN: `CsvReader` refuses a cell with the text nan.
inline bool is_missing(double cell) { return std::isnan(cell); }

/// Reads a table of numbers row by row, in memory that does not grow with the number of rows:
///     CsvReader table(stream, "prices.csv");
///     for (std::vector<double> row; table.next(row);) ...
/// A row is returned as soon as its line is complete, so a pipe may be slow. Lines end with LF or CRLF; the last line
/// may end without. A UTF-8 byte order mark and empty lines at the end are skipped. Cells may be quoted (a doubled
/// quote is one quote) and have blanks around them. Quoted names may contain anything.
///
/// Errors  std::invalid_argument, "FILE:LINE: column NAME: found, expected" with lines counted from 1. The constructor:
///         no header, nothing but numbers in it, a column without a name, a name twice. `next`: another number of cells
///         than columns, a cell that is neither empty nor a finite number, an empty line between rows, no row at all.
///         Both: std::runtime_error when reading fails.
class CsvReader {
 public:
  /// Reads the header. `name` is the file's name in error messages. The stream must outlive the reader; it reads ahead.
  CsvReader(std::istream& in, std::string name) : in_(&in), name_(std::move(name)) { read_header(); }

  /// The names in the header, in order.
  const std::vector<std::string>& columns() const { return columns_; }

  /// The position of a column.
  /// Errors  std::invalid_argument, listing the columns
  std::size_t column(const std::string& name) const {
    if (const auto found = positions_.find(name); found != positions_.end()) return found->second;
    std::string names;
    for (const std::string& known : columns_) names += (names.empty() ? "" : ", ") + in_quotes(known);
    refuse(name_, "no column ", in_quotes(name), ", expected one of ", names);
  }

  /// Reads the next row into `row`: for each column a number, or NaN (see `is_missing`). False at the end of the table.
  bool next(std::vector<double>& row) {
    if (!read_row_line()) {
      if (rows_ == 0) refuse(name_, "a header without rows, expected at least one row after it");
      return false;
    }
    row.resize(columns_.size());
    for (std::size_t column = 0; column < row.size(); ++column) {
      if (column > 0 && !skip_comma()) refuse_ragged(column);
      row[column] = read_number(column);
    }
    if (at_ != line_.size()) refuse_ragged(row.size());
    ++rows_;
    return true;
  }

  /// The number of rows returned so far.
  std::size_t rows() const { return rows_; }

  /// The line number of the last row returned.
  std::size_t line() const { return line_number_; }

  /// For programs that reject a cell of the last row: throws "FILE:LINE: column NAME: why".
  template <class... Why>
  [[noreturn]] void refuse_cell(std::size_t column, const Why&... why) const {
    refuse(place(line_number_) + ": column " + in_quotes(columns_[column]), why...);
  }

 private:
  struct Field {
    std::string text;  // without quotes, or without the blanks around it
    bool quoted;
  };

  void read_header() {
    if (!*in_) throw std::runtime_error(name_ + ": cannot be read, the stream had failed before");
    if (!read_line()) refuse(name_, "no header: the input is empty, expected a line with the columns' names");
    if (line_.starts_with(detail::byte_order_mark)) at_ = detail::byte_order_mark.size();
    if (detail::without_blanks(std::string_view(line_).substr(at_)).empty()) {
      refuse(place(1), "no header: the line is empty, expected one with the columns' names");
    }
    std::size_t numbers = 0;
    do {
      Field field = read_field(true);
      double number = 0;
      if (!field.quoted && detail::parse_number(field.text, number)) ++numbers;
      if (field.text.empty()) refuse(place(1), "column ", columns_.size() + 1, " has no name, expected one");
      if (!positions_.emplace(field.text, columns_.size()).second) {
        refuse(place(1), "column ", columns_.size() + 1, ": the name ", in_quotes(field.text),
               " occurs twice, expected different names");
      }
      columns_.push_back(std::move(field.text));
    } while (skip_comma());
    if (numbers == columns_.size()) {
      refuse(place(1), "no header: all cells are numbers, expected the columns' names (in quotes if they are numbers)");
    }
  }

  /// Reads the next physical line, without its line ending.
  bool read_line() {
    errno = 0;
    line_.clear();
    bool any = false;
    while (chunk_at_ != chunk_.size() || refill()) {
      any = true;
      const std::size_t end = chunk_.find('\n', chunk_at_);
      line_.append(chunk_, chunk_at_, end - chunk_at_);
      chunk_at_ = end == std::string::npos ? chunk_.size() : end + 1;
      if (end != std::string::npos) break;
    }
    if (in_->bad()) {
      const std::string reason = errno == 0 ? "" : ": " + std::generic_category().message(errno);
      throw std::runtime_error(place(line_number_ + 1) + ": reading failed" + reason);
    }
    if (!any) return false;
    if (line_.ends_with('\r')) line_.pop_back();
    ++line_number_;
    at_ = 0;
    return true;
  }

  /// Takes the bytes that the stream has ready; waits only if there are none.
  bool refill() {
    if (in_->peek() == std::istream::traits_type::eof()) return false;
    const std::streamsize at_hand = in_->rdbuf()->in_avail();
    chunk_.resize(static_cast<std::size_t>(std::clamp<std::streamsize>(at_hand, 1, 1 << 16)));
    in_->read(chunk_.data(), static_cast<std::streamsize>(chunk_.size()));
    chunk_.resize(static_cast<std::size_t>(in_->gcount()));
    chunk_at_ = 0;
    return !chunk_.empty();
  }

  /// Reads the next line with cells. Empty lines are allowed only at the end.
  bool read_row_line() {
    const auto is_empty = [this] { return detail::without_blanks(line_).empty(); };
    if (!read_line()) return false;
    if (!is_empty()) return true;
    const std::size_t first_empty = line_number_;
    while (read_line()) {
      if (!is_empty()) {
        refuse(place(first_empty), "an empty line between rows, expected ", columns_.size(), " cells");
      }
    }
    return false;
  }

  double read_number(std::size_t column) {
    double number = 0;
    const char* const end = line_.data() + line_.size();
    const char* const after = detail::parse_number(line_.data() + at_, end, number);
    if (after != nullptr && (after == end || *after == ',')) {
      at_ = static_cast<std::size_t>(after - line_.data());
      return number;
    }
    const Field field = read_field(false);
    if (detail::without_blanks(field.text).empty()) return std::numeric_limits<double>::quiet_NaN();
    if (!detail::parse_number(field.text, number)) {
      refuse_cell(column, in_quotes(field.text), " is not a finite number, expected one (or an empty cell)");
    }
    return number;
  }

  /// Reads a field as text, up to the comma after it or the line's end. With `may_span_lines` a quoted field may
  /// continue on the next lines. Rows of numbers never do, so that a stray quote does not swallow the file.
  Field read_field(bool may_span_lines) {
    const std::size_t first_line = line_number_;
    std::size_t begin = at_;
    while (begin < line_.size() && detail::is_blank(line_[begin])) ++begin;
    if (begin == line_.size() || line_[begin] != '"') {
      const std::string_view rest = std::string_view(line_).substr(at_);
      const std::string_view field = rest.substr(0, rest.find(','));
      at_ += field.size();
      return {std::string(detail::without_blanks(field)), false};
    }
    Field field{"", true};
    at_ = begin + 1;
    for (;;) {
      const std::size_t quote = line_.find('"', at_);
      field.text.append(line_, at_, quote - at_);
      if (quote == std::string::npos) {
        if (!may_span_lines || !read_line()) {
          refuse(place(first_line), "the quote before ", in_quotes(field.text),
                 " is not closed, expected another quote");
        }
        while (field.text.ends_with('\r')) field.text.pop_back();  // all, so that writing and reading keep the text
        field.text += '\n';
        continue;
      }
      at_ = quote + 1;
      if (at_ == line_.size() || line_[at_] != '"') break;
      field.text += '"';
      ++at_;
    }
    while (at_ < line_.size() && detail::is_blank(line_[at_])) ++at_;
    if (at_ < line_.size() && line_[at_] != ',') {
      refuse(place(line_number_), "text after the closing quote of ", in_quotes(field.text), ", expected a comma");
    }
    return field;
  }

  bool skip_comma() {
    if (at_ == line_.size()) return false;
    ++at_;
    return true;
  }

  /// Called after `cells` cells of a line whose number of cells is wrong.
  [[noreturn]] void refuse_ragged(std::size_t cells) {
    for (; skip_comma(); ++cells) read_field(false);
    refuse(place(line_number_), "got ", cells, " cells, expected ", columns_.size(),
           ", one for each column of the header");
  }

  std::string place(std::size_t line) const { return name_ + ":" + std::to_string(line); }

  std::istream* in_;
  std::string name_;
  std::vector<std::string> columns_;
  std::unordered_map<std::string, std::size_t> positions_;
  std::string chunk_;  // read from the stream and not yet returned
  std::size_t chunk_at_ = 0;
  std::string line_;
  std::size_t at_ = 0;  // the reader's position in line_
  std::size_t line_number_ = 0;
  std::size_t rows_ = 0;
};

/// Writes a table that `CsvReader` reads. Numbers are written in the shortest form that reads back exactly, and NaN as
/// an empty cell (in quotes if it is a row's only cell, since an empty line is not a row). Text is quoted where it
/// would read as something else. Infinity is written as `inf`, which the reader refuses. Rows are not flushed.
///     CsvWriter table(out, {"experiment", "seed", "loss"});
///     table.row("linear-vector", 7, 0.125);
/// Errors  std::invalid_argument: another number of cells than columns; std::runtime_error, beginning with `name`, when
///         the stream does not take a row (a stream with exceptions on, such as AtomicFile, throws its own)
class CsvWriter {
 public:
  /// Writes the header.
  CsvWriter(std::ostream& out, const std::vector<std::string>& columns, std::string name = "CSV output")
      : out_(&out), columns_(columns.size()), name_(std::move(name)) {
    for (const std::string& column : columns) cell(column);
    end_row();
  }

  /// Writes a row of numbers.
  void row(std::span<const double> cells) {
    for (const double number : cells) cell(number);
    end_row();
  }

  /// Writes a row of text and numbers of any type.
  template <detail::CsvCell... Cells>
  void row(const Cells&... cells) {
    (cell(cells), ...);
    end_row();
  }

  /// Writes a number as the next cell of a row that is written cell by cell; `end_row` ends the row.
  template <detail::PrintableNumber Number>
  void cell(Number number) {
    append(number == number ? format_number(number) : columns_ == 1 ? "\"\"" : "");
  }
  /// Writes text as the next cell.
  void cell(std::string_view text) {
    double number = 0;
    const bool plain = !text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos &&
                       !text.starts_with(detail::byte_order_mark) && detail::without_blanks(text) == text &&
                       !detail::parse_number(text, number);
    if (plain) return append(text);
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    append(quoted + '"');
  }

  /// Passes the row to the stream.
  void end_row() {
    expect_equal(name_.c_str(), "the number of cells", std::exchange(cells_, 0), columns_);
    line_ += '\n';
    out_->write(line_.data(), static_cast<std::streamsize>(line_.size()));
    check();
  }

  /// Flushes the stream, and checks that it succeeded.
  void flush() {
    out_->flush();
    check();
  }

 private:
  void append(std::string_view text) {
    if (cells_++ == 0) {
      line_.clear();
    } else {
      line_ += ',';
    }
    line_ += text;
  }

  void check() const {
    if (!*out_) throw std::runtime_error(name_ + ": writing a row failed");
  }

  std::ostream* out_;
  std::size_t columns_;
  std::string name_;
  std::string line_;
  std::size_t cells_ = 0;
};

}  // namespace gdssm
