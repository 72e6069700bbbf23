// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/io/file_kind.hpp"
#include "gdssm/io/number_marks.hpp"
#include "gdssm/io/parse_number.hpp"
#include "gdssm/io/text.hpp"

// Tables of numbers and text, written in the dialect of RFC 4180.

namespace gdssm {

namespace detail {

/// A cell that `CsvWriter` can write.
template <class Cell>
concept CsvCell = PrintableNumber<Cell> || std::is_convertible_v<const Cell&, std::string_view>;

/// Whether text reads as itself without quotes, wherever it stands: it is no number in any dialect and no comment, and
/// a file that begins with it is not taken for one of another kind or encoding.
inline bool is_plain(std::string_view text) {
  const auto is_special = [](char c) {
    return (c >= 0 && c < ' ') || c == '\x7F' || std::string_view(",;|\"").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::none_of(text.begin(), text.end(), is_special) && without_blanks(text) == text &&
         !text.starts_with('#') && !text.starts_with(byte_order_mark) && !text.starts_with("\xFF\xFE") &&
         !text.starts_with("\xFE\xFF") && !is_number_somewhere(text) && file_kind(std::string(text) + '\n').empty();
}

}  // namespace detail

/// Writes a table that `CsvReader` reads, with any names of columns. Numbers are written in the shortest form that
/// reads back exactly, and NaN as an empty cell (in quotes if it is a row's only cell, since an empty line is not a
/// row). Text is quoted where it would read as something else; a line end in it reads back as \n. Infinity is written
/// as `inf`, which the reader refuses. Rows are not flushed.
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
    if (detail::is_plain(text)) return append(text);
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
