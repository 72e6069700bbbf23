// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <istream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/io/csv_cells.hpp"
#include "gdssm/io/dialect.hpp"
#include "gdssm/io/file_kind.hpp"
#include "gdssm/io/sniff.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/io/text_source.hpp"

// Tables of text, in any dialect: the columns' names, then rows of cells.

namespace gdssm {

/// Lines that are no rows, behind `Dialect::preamble`.
struct LinesLeftOut {
  std::size_t blank = 0;     ///< below the header, without a cell; in a table of one column those before a row are rows
  std::size_t comments = 0;  ///< that begin with the comment's mark
  std::size_t headers = 0;   ///< the header once more, as in files that were joined

  bool operator==(const LinesLeftOut&) const = default;
};

/// Reads a table row by row, in memory that does not grow with the number of rows. Cells are text; what they mean is
/// the caller's, and `parse_number(cell, rows.dialect())` reads a number.
///     CsvRows rows(stream, "prices.csv");
///     for (CsvRows::Cells cells; rows.next(cells);) ...
/// The dialect is sniffed from the first 64 KB, or from fewer lines, but at least two, when the stream has no more at
/// hand: a pipe may be slow. A row is returned as soon as its line is complete. Cells may be quoted (a doubled quote is
/// one quote) and then hold line ends, and have blanks around them. A byte order mark is skipped; text in UTF-16 with
/// one is read as UTF-8, other text byte by byte.
///
/// Names. The first column may lack one, and its name is "" then: it is an index. Where a header has one name less
/// than rows have cells, as R writes tables with row names, that column lacks its name. Columns without a name behind
/// the first are called x and their number from 1, as are all in a table without a header; a name that occurred before
/// gets .1, .2, ... behind it; `renamed` lists what was done. Columns at the end without name and cells are none.
///
/// Errors  std::invalid_argument, "FILE:LINE: found, expected" with lines counted from 1. The constructor: what is no
///         text (see `file_kind`), no line with cells. `next`: another number of cells than columns, a quote that is
///         not closed, text behind one that is, no row at all. Both: std::runtime_error when reading fails, and what
///         the stream's buffer throws.
class CsvRows {
 public:
  /// A row's cells, valid until the next is read.
  using Cells = std::span<const std::string_view>;

  /// A column that is called otherwise than in the header.
  struct Renamed {
    std::size_t column;  ///< from 0
    std::string from;    ///< its name in the header
  };

  /// Sniffs the dialect, but for what `known` says of it, and reads the header. `name` is the file's name in error
  /// messages. The stream must outlive the reader; it reads ahead.
  CsvRows(std::istream& in, std::string name, const DialectOptions& known = {})
      : source_(in.rdbuf()), name_(std::move(name)) {
    if (!in || in.rdbuf() == nullptr)
      throw std::runtime_error(name_ + ": cannot be read, the stream had failed before");
    const std::string_view beginning = read_beginning();
    expect_text(beginning, name_);
    const detail::Sniffed sniffed = detail::sniff(beginning, known);
    dialect_ = sniffed.dialect;
    if (beginning.starts_with(detail::byte_order_mark)) next_ = detail::byte_order_mark.size();
    read_header(sniffed);
  }

  const Dialect& dialect() const { return dialect_; }  ///< that was sniffed or given

  /// The columns' names, in order: all different, and empty at most for the first, which is an index then.
  const std::vector<std::string>& columns() const { return columns_; }

  /// Columns that are called otherwise than in the header.
  const std::vector<Renamed>& renamed() const { return renamed_; }

  /// The position of a column; blanks around the name need not be those in the file.
  /// Errors  std::invalid_argument, listing the columns
  std::size_t column(const std::string& name) const {
    if (const auto found = positions_.find(name); found != positions_.end() && !name.empty()) return found->second;
    const std::string_view bare = detail::without_blanks(name);
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (!bare.empty() && detail::without_blanks(columns_[i]) == bare) return i;
    std::string names;
    for (const std::string& known : columns_)
      if (!known.empty()) names += (names.empty() ? "" : ", ") + in_quotes(known);
    refuse(name_, "no column ", in_quotes(name), ", expected one of ", names);
  }

  /// Reads the next row: for each column its cell, without quotes and the blanks around it. The cells are valid until
  /// the next call of this or `ready`. False at the end of the table.
  bool next(Cells& cells) {
    if (!next_row()) {
      if (rows_ == 0) refuse(name_, "a header without rows, expected at least one row after it");
      return false;
    }
    ++rows_;
    cells = Cells(cells_.text).first(columns_.size());
    return true;
  }

  /// Whether `next` need not wait for the stream: a whole line is at hand, or the end.
  bool ready() {
    if (is_held_) return true;
    while (!source_.at_end() && source_.text().find(dialect_.line_end, next_) == std::string_view::npos) {
      if (source_.waits()) return false;
      refill();
    }
    return true;
  }

  /// The number of rows returned so far.
  std::size_t rows() const { return rows_; }

  /// The number of the line on which the last row returned begins.
  std::size_t line() const { return line_; }

  /// The number of the line on which the header begins, or the first row where there is none.
  std::size_t first_line() const { return first_line_; }

  /// What was left out of the table so far.
  const LinesLeftOut& left_out() const { return left_out_; }

  /// For programs that reject a cell of the last row: throws "FILE:LINE: column NAME: why".
  template <class... Why>
  [[noreturn]] void refuse_cell(std::size_t column, const Why&... why) const {
    refuse(place(line_) + ": column " + in_quotes(columns_[column]), why...);
  }

 private:
  /// A quoted cell that is longer was not meant to be one.
  static constexpr std::size_t longest_quoted = 1 << 20;

  std::string place(std::size_t line) const { return name_ + ":" + std::to_string(line); }

  void refill() {
    if (at_ > 0 && at_ >= source_.size() / 2) {
      source_.drop(at_);
      next_ -= at_;
      end_ -= at_;
      at_ = 0;
    }
    try {
      source_.refill();
    } catch (const std::runtime_error& failure) {
      throw std::runtime_error(place(line_number_ + 1) + ": " + failure.what());
    }
  }

  /// Reads the whole lines from which the dialect is sniffed.
  std::string_view read_beginning() {
    constexpr std::size_t longest = 1 << 24;  // of two lines, in which a dialect shows
    for (;;) {
      const auto [lines, end] = detail::whole_lines(source_.text());
      const bool enough =
          source_.size() >= longest || (lines >= 2 && (source_.size() >= source_.chunk || source_.waits()));
      if (source_.at_end()) return source_.text();
      if (enough) return source_.text().substr(0, end);
      refill();
    }
  }

  /// Makes [at_, end_) the next line without its end; with `joined` the lines that a quoted cell joins. False at the
  /// end of the input.
  bool read_record(bool joined = true) {
    at_ = next_;
    detail::OpenQuote quote(dialect_);
    std::size_t begin = 0, lines = 0;  // of the last line, from at_
    for (bool open = false;;) {
      end_ = find_line_end(begin);
      const std::string_view line = source_.text().substr(at_ + begin, end_ - at_ - begin);
      const bool is_last = end_ == source_.size();
      if (is_last && line.empty() && !open) break;
      ++lines;
      has_quotes_ = open || line.find('"') != std::string_view::npos;
      open = joined && has_quotes_ && quote.read(line);
      if (!open) break;
      if (is_last || end_ - at_ > longest_quoted) {
        refuse(place(line_number_ + quote.line()), "the quote before ", in_quotes(quote.text()), " is not closed",
               is_last ? "" : " within 1 MB", ", expected another quote");
      }
      begin = end_ + 1 - at_;
    }
    next_ = (std::min)(end_ + 1, source_.size());
    if (lines == 0) return false;
    line_ = line_number_ + 1;
    line_number_ += lines;
    while (end_ > at_ && source_.text()[end_ - 1] == '\r') --end_;
    if (next_ == source_.size() && record().ends_with('\x1A')) --end_;  // the end of a file of DOS
    return true;
  }

  /// The position of the first line end from at_ + `begin` on, or that of the input's end.
  std::size_t find_line_end(std::size_t begin) {
    for (;;) {
      const std::size_t end = source_.text().find(dialect_.line_end, at_ + begin);
      if (end != std::string_view::npos) return end;
      if (source_.at_end()) return source_.size();
      begin = source_.size() - at_;
      refill();
    }
  }

  std::string_view record() const { return source_.text().substr(at_, end_ - at_); }

  bool is_blank() const {
    const std::string_view text = record();
    return std::all_of(text.begin(), text.end(), [&](char c) { return detail::is_padding(c, dialect_.delimiter); });
  }
  bool is_comment() const { return dialect_.comment != '\0' && record().starts_with(dialect_.comment); }

  void split_record() {
    if (!has_quotes_) {
      detail::split_plain(source_.data() + at_, source_.data() + end_, dialect_.delimiter, cells_.text);
      return;
    }
    detail::split(source_.data() + at_, source_.data() + end_, dialect_, cells_);
    if (cells_.after_quote.data() != nullptr)
      refuse(place(line_), "text after the closing quote of ", in_quotes(cells_.after_quote), ", expected ",
             dialect_.delimiter == '\0' ? "the line's end" : "a " + detail::name_of_mark(dialect_.delimiter));
  }

  void read_header(const detail::Sniffed& sniffed) {
    for (std::size_t i = 0; i < dialect_.preamble; ++i) read_record(false);
    std::string comment;
    do {
      if (!read_record()) {
        refuse(line_number_ == 0 ? name_ : place(line_number_),
               line_number_ == 0 ? "no header: the input is empty" : "no header: no line has cells",
               ", expected a line with the columns' names");
      }
      if (is_comment()) {
        comment = record();
        ++left_out_.comments;
      }
    } while (is_comment() || is_blank());
    first_line_ = line_;
    is_held_ = !dialect_.header || dialect_.header_in_comment;
    if (!dialect_.header) {
      name_columns(std::vector<std::string>(sniffed.columns));
      columns_.front() = "x1";
      return;
    }
    if (dialect_.header_in_comment) {
      --left_out_.comments;
      comment.erase(0, comment.find_first_not_of("# \t"));
      detail::split(comment.data(), comment.data() + comment.size(), dialect_, cells_);
    } else {
      if (record() != "\"\"") header_ = record();  // which may also be a missing cell
      split_record();
    }
    std::vector<std::string> names(cells_.text.begin(), cells_.text.end());
    while (names.size() > (std::max<std::size_t>)(sniffed.columns, 1) && names.back().empty()) names.pop_back();
    if (sniffed.has_row_names) names.insert(names.begin(), "");
    name_columns(std::move(names));
  }

  void name_columns(std::vector<std::string> names) {
    std::unordered_map<std::string, std::size_t> next;  // the number behind a name that occurs again
    for (const std::string& name : names) next.emplace(name, 0);
    for (std::size_t i = 0; i < names.size(); ++i) {
      std::string name = names[i];
      if (name.empty() && i > 0) name = "x" + std::to_string(i + 1);
      for (const std::string first = name; positions_.contains(name) || (name != names[i] && next.contains(name));)
        name = first + "." + std::to_string(++next[first]);
      positions_.emplace(name, i);
      if (name != names[i]) renamed_.push_back({i, names[i]});
      columns_.push_back(std::move(name));
    }
  }

  bool next_row() {
    if (blanks_ > 0 && columns_.size() == 1 && is_held_) return take_blank_line();
    while (std::exchange(is_held_, false) || read_record()) {
      if (is_blank()) {
        ++blanks_;
      } else if (is_comment()) {
        ++left_out_.comments;
      } else if (record() == header_) {
        ++left_out_.headers;
      } else if (blanks_ > 0 && columns_.size() == 1) {
        is_held_ = true;
        return take_blank_line();
      } else {
        left_out_.blank += std::exchange(blanks_, 0);
        split_row();
        return true;
      }
    }
    left_out_.blank += std::exchange(blanks_, 0);
    return false;
  }

  bool take_blank_line() {
    --blanks_;
    cells_.clear();
    cells_.text.emplace_back();
    return true;
  }

  void split_row() {
    split_record();
    const std::size_t got = cells_.text.size(), expected = columns_.size();
    const bool fits = got >= expected && std::all_of(cells_.text.begin() + static_cast<std::ptrdiff_t>(expected),
                                                     cells_.text.end(), [](auto cell) { return cell.empty(); });
    if (!fits)
      refuse(place(line_), "got ", got, " cells, expected ", expected, ", one for each column of the header",
             dialect_.delimiter == ',' ? "" : " (" + describe(dialect_) + ")");
  }

  detail::TextSource source_;
  std::string name_;
  std::size_t at_ = 0, end_ = 0, next_ = 0;  // the last record, and where the next begins
  Dialect dialect_;
  std::vector<std::string> columns_;
  std::unordered_map<std::string, std::size_t> positions_;
  std::vector<Renamed> renamed_;
  std::string header_;  // as it stands in the text
  detail::CsvCells cells_;
  bool has_quotes_ = false;  // in the last record
  bool is_held_ = false;     // whether the last record is still to be read as a row
  std::size_t blanks_ = 0;   // lines before the last record
  std::size_t line_number_ = 0, line_ = 0, first_line_ = 0, rows_ = 0;
  LinesLeftOut left_out_;
};

}  // namespace gdssm
