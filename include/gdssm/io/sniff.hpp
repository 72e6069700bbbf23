// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gdssm/io/csv_cells.hpp"
#include "gdssm/io/dialect.hpp"
#include "gdssm/io/number_marks.hpp"
#include "gdssm/io/parse_number.hpp"
#include "gdssm/io/text.hpp"

// What a table is written in, guessed from its first lines.

namespace gdssm {

namespace detail {

/// The delimiter that a first line "sep=;" declares, as Excel reads it. Above a number alone it is a column's name.
inline std::optional<char> declared_delimiter(std::string_view text, char line_end) {
  const auto take_line = [&] {
    std::string_view line = text.substr(0, text.find(line_end));
    text.remove_prefix((std::min)(line.size() + 1, text.size()));
    while (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  };
  std::string_view line = take_line();
  if (line.starts_with('"') && line.ends_with('"') && line.size() > 1) line = line.substr(1, line.size() - 2);
  if (line.size() != 5 || (!line.starts_with("sep=") && !line.starts_with("SEP="))) return std::nullopt;
  const char mark = line[4];
  const bool separates = !is_digit(mark) && ((mark | 0x20) < 'a' || (mark | 0x20) > 'z') &&
                         std::string_view("+-.\"").find(mark) == std::string_view::npos;
  const std::string_view next = take_line();
  const bool above_number = next.find(mark) == std::string_view::npos && (next == "\"\"" || is_number_somewhere(next));
  return separates && !above_number ? std::optional(mark) : std::nullopt;
}

struct WholeLines {
  std::size_t lines, end;
};

/// The lines of a text that have cells, counted up to two, and where its last whole line ends.
inline WholeLines whole_lines(std::string_view text) {
  const char line_end = text.find('\n') == std::string_view::npos ? '\r' : '\n';
  const std::size_t last = text.rfind(line_end);
  WholeLines found{0, last == std::string_view::npos ? 0 : last + 1};
  const bool has_mark = text.starts_with(byte_order_mark);
  const bool declares = declared_delimiter(text.substr(has_mark ? byte_order_mark.size() : 0), line_end).has_value();
  for (std::size_t at = 0; at < found.end && found.lines < 2;) {
    const std::size_t next = text.find(line_end, at);
    std::string_view line = text.substr(at, next - at);
    if (at == 0 && has_mark) line.remove_prefix(byte_order_mark.size());
    const bool has_cells = line.find_first_not_of(" \t\r") != std::string_view::npos;
    if (has_cells && line[0] != '#' && !(at == 0 && declares)) ++found.lines;
    at = next + 1;
  }
  return found;
}

/// The first lines of a file, cut by one delimiter.
class Sample {
 public:
  Sample(std::string_view beginning, const Dialect& dialect, const DialectOptions& known)
      : dialect_(dialect), header_(known.header) {
    read_records(beginning);
    find_comments();
    for (std::size_t i = 0; i < records_.size(); ++i)
      if (!is_comment(records_[i])) lines_.push_back(i);
    find_width();
    if (!lines_.empty()) find_header();
    find_marks();
    if (known.decimal) set_decimal(*known.decimal);
  }

  const Dialect& dialect() const { return dialect_; }

  /// How much the sample looks like a table of this delimiter, from 0 to 1: the share of lines with as many cells as
  /// most, times the share of cells that hold no other delimiter. 0 for a table of one column that might have more.
  double score() const {
    const bool one_cell = dialect_.delimiter == '\0';
    if (!fits_ || (width_ < 2 && !one_cell) || (one_cell && !is_clean(records_[first_], 0))) return 0;
    std::size_t rows = 0, fitting = 0, cells = 0, clean = 0;
    for (const std::size_t i : lines_) {
      if (i < first_) continue;
      const Record& record = records_[i];
      ++rows;
      if (record.width() == width_ || i == first_) ++fitting;
      cells += record.width();
      for (std::size_t j = 0; j < record.width(); ++j)
        if (is_clean(record, j)) ++clean;
    }
    return rows == 0 ? 0
                     : static_cast<double>(fitting) / static_cast<double>(rows) * static_cast<double>(clean) /
                           static_cast<double>(cells);
  }

  /// The number of columns that have a name or a cell.
  std::size_t columns() const {
    std::size_t columns = 0;
    for (const std::size_t i : lines_) {
      if (i < first_ || (i > first_ && records_[i].width() != width_)) continue;
      for (std::size_t j = columns; j < records_[i].width(); ++j)
        if (!records_[i].cell(j).empty()) columns = j + 1;
    }
    return columns;
  }

  /// Whether the first column has no name because the header has one name less than rows have cells.
  bool has_row_names() const {
    return fits_ && dialect_.header && records_[first_].width() + 1 == width_ && columns() == width_;
  }

 private:
  struct Record {
    std::size_t line = 0;  // its first, from 0
    std::string text;
    CsvCells cells;  // in `text`

    std::size_t width() const { return cells.text.size(); }
    std::string_view cell(std::size_t i) const { return cells.text[i]; }
    bool quoted(std::size_t i) const { return cells.quoted[i]; }
    bool is_number(std::size_t i) const { return gdssm::detail::is_number_somewhere(cell(i)); }
    /// Whether a cell that is not quoted is a number.
    bool has_numbers() const {
      for (std::size_t i = 0; i < width(); ++i)
        if (!quoted(i) && is_number(i)) return true;
      return false;
    }
  };

  void read_records(std::string_view beginning) {
    std::size_t line = 0;
    for (std::size_t at = 0; at < beginning.size();) {
      const auto end_of = [&](std::size_t from) {
        return (std::min)(beginning.find(dialect_.line_end, from), beginning.size());
      };
      const std::size_t first = line++;
      std::size_t end = end_of(at);
      OpenQuote quote(dialect_);
      for (std::size_t from = at; quote.read(beginning.substr(from, end - from)) && end < beginning.size(); ++line)
        end = end_of(from = end + 1);
      std::string text(beginning.substr(at, end - at));
      at = end + 1;
      while (text.ends_with('\r')) text.pop_back();
      const bool declares = first == 0 && declared_delimiter(beginning, dialect_.line_end);
      if (declares) dialect_.preamble = 1;
      if (!declares && !without_blanks(text).empty()) records_.push_back({first, std::move(text), {}});
    }
    for (Record& record : records_)  // none moves any more
      split(record.text.data(), record.text.data() + record.text.size(), dialect_, record.cells);
  }

  bool is_comment(const Record& record) const {
    return dialect_.comment != '\0' && record.text.front() == dialect_.comment;
  }

  /// Lines that begin with # are comments, unless all those below the first that does not have the table's width and
  /// text behind the #.
  void find_comments() {
    if (dialect_.comment == '\0') return;
    const auto hash = [](const Record& record) { return record.text.front() == '#'; };
    const auto first = std::find_if_not(records_.begin(), records_.end(), hash);
    if (first == records_.end() || first->width() == 1) return;
    std::size_t comments = 0, rows = 0;
    for (auto record = first; record != records_.end(); ++record) {
      if (!hash(*record)) continue;
      const std::string_view text = without_blanks(record->cell(0).substr(1));
      ++(record->width() != first->width() || text.empty() || is_number_somewhere(text) ? comments : rows);
    }
    if (rows > 0 && comments == 0) dialect_.comment = '\0';
  }

  /// The most frequent number of cells; that of the first line with one of these if several are.
  void find_width() {
    std::map<std::size_t, std::size_t> counts;
    for (const std::size_t i : lines_) ++counts[records_[i].width()];
    for (const std::size_t i : lines_)
      if (width_ == 0 || counts[records_[i].width()] > counts[width_]) width_ = records_[i].width();
  }

  /// Finds the line with which the table begins, and whether that is a header.
  void find_header() {
    std::size_t at = 0;
    while (records_[lines_[at]].width() != width_) ++at;
    const Record& first = records_[lines_[at]];
    const auto begin_at = [&](std::size_t line, bool header) {
      first_ = lines_[line];
      fits_ = true;
      dialect_.header = header_.value_or(header);
      if (line > 0) dialect_.preamble = records_[first_].line;
    };
    if (header_ == false) return begin_at(at, false);
    if (at > 0 && is_header_of_other_width(lines_[at - 1], at)) return begin_at(at - 1, true);
    if (at == 0) {
      dialect_.header_in_comment =
          header_ != true && lines_[0] > 0 && first.has_numbers() && is_commented_header(lines_[0] - 1);
      return begin_at(0, dialect_.header_in_comment || !is_row(first));
    }
    if (!first.has_numbers() && at + 1 < lines_.size()) return begin_at(at, true);
    first_ = lines_[0];  // whose number of cells is not the rows', as the reader will say
  }

  /// A header with one name less than the rows have cells, the first of which are row names: quoted, text, or 1, 2,
  /// ...; or with an empty name more.
  bool is_header_of_other_width(std::size_t header, std::size_t at) const {
    const Record& names = records_[header];
    if (names.has_numbers()) return false;
    if (names.width() == width_ + 1) return names.cell(width_).empty();
    if (names.width() + 1 != width_) return false;
    bool quoted = true, text = true, counted = true, empty = true;
    std::set<std::string_view> seen;
    std::optional<double> last;
    std::size_t rows = 0;
    for (std::size_t i = at; i < lines_.size(); ++i) {
      const Record& row = records_[lines_[i]];
      if (row.width() != width_) continue;
      ++rows;
      if (!row.cell(width_ - 1).empty()) empty = false;
      if (!seen.insert(row.cell(0)).second) return false;
      const std::optional<double> number = parse_number(row.cell(0));
      quoted = quoted && row.quoted(0);
      text = text && !number;
      counted = counted && number && (last ? *number == *last + 1 : *number == 0 || *number == 1);
      last = number;
    }
    // 1,5 below a single name is a decimal.
    return empty || quoted || (rows > 1 && (text || (counted && width_ > 2)));
  }

  /// Whether a comment line has a name for each column.
  bool is_commented_header(std::size_t record) const {
    const std::string& text = records_[record].text;
    std::string names = text.substr((std::min)(text.find_first_not_of("# \t"), text.size()));
    CsvCells cells;
    split(names.data(), names.data() + names.size(), dialect_, cells);
    if (cells.text.size() != width_) return false;
    for (std::size_t i = 0; i < width_; ++i)
      if (is_number_somewhere(cells.text[i]) || (i > 0 && cells.text[i].empty())) return false;
    return true;
  }

  /// Whether the first line is a row: its cells are numbers or empty.
  static bool is_row(const Record& record) {
    std::size_t numbers = 0;
    if (record.cell(0).empty()) return false;  // above an index
    for (std::size_t i = 0; i < record.width(); ++i) {
      if (record.cell(i).empty()) continue;
      if (record.quoted(i) || !record.is_number(i)) return false;
      ++numbers;
    }
    return numbers > 0;
  }

  /// A cell that holds no delimiter, is quoted or a number.
  static bool is_clean(const Record& record, std::size_t i) {
    return record.quoted(i) || record.cell(i).find_first_of(",;\t|\"") == std::string_view::npos || record.is_number(i);
  }

  /// The marks that numbers have: those that can be read in one way alone decide. Without one, 1,234 is a decimal where
  /// cells are separated by semicolons or not at all, and a thousand elsewhere.
  void find_marks() {
    NumberMarks marks;
    for (const std::size_t i : lines_)
      if (i > first_ || (i == first_ && !dialect_.header))
        for (const std::string_view cell : records_[i].cells.text) marks.count(cell);
    const std::size_t points = marks.points.decimal + marks.commas.thousands,
                      commas = marks.commas.decimal + marks.points.thousands;
    const bool undecided = points + commas + marks.points.either == 0 && marks.commas.either > 0;
    const bool comma = undecided ? dialect_.delimiter == ';' || dialect_.delimiter == '\0' : commas > points;
    dialect_.decimal = comma ? ',' : '.';
    const NumberMarks::Uses& other = comma ? marks.points : marks.commas;
    if (other.decimal == 0 && other.thousands + other.either > 0)
      dialect_.thousands = comma ? '.' : ',';
    else if (marks.blanks > 0 && dialect_.delimiter != ' ')
      dialect_.thousands = ' ';
    else if (marks.apostrophes > 0)
      dialect_.thousands = '\'';
  }

  void set_decimal(char decimal) {
    if (dialect_.thousands == decimal) dialect_.thousands = '\0';
    dialect_.decimal = decimal;
  }

  Dialect dialect_;
  std::optional<bool> header_;
  std::vector<Record> records_;
  std::vector<std::size_t> lines_;  // records that are no comments
  std::size_t width_ = 0, first_ = 0;
  bool fits_ = false;
};

/// The delimiter of which the first line that is no comment has most; a comma if it has none.
inline char delimiter_of_first_line(std::string_view text, char line_end) {
  std::string_view line;
  while (!text.empty() && (without_blanks(line).empty() || line.starts_with('#'))) {
    line = text.substr(0, text.find(line_end));
    text.remove_prefix((std::min)(line.size() + 1, text.size()));
  }
  char best = ',';
  for (const char candidate : {';', '\t', '|'})
    if (std::count(line.begin(), line.end(), candidate) > std::count(line.begin(), line.end(), best)) best = candidate;
  return best;
}

/// Whether a quote behind a backslash has text behind it, as it would have nowhere if it closed a cell.
inline bool has_escaped_quotes(std::string_view text) {
  for (std::size_t at = 0; (at = text.find("\\\"", at)) != std::string_view::npos; ++at)
    if (at > 0 && at + 2 < text.size() && std::string_view("\",;|\t \r\n").find(text[at + 2]) == std::string_view::npos)
      return true;
  return false;
}

struct Sniffed {
  Dialect dialect;
  std::size_t columns;  ///< that have a name or a cell
  bool has_row_names;   ///< whether the header has one name less
};

inline Sniffed sniff(std::string_view beginning, const DialectOptions& known) {
  if (beginning.starts_with(byte_order_mark)) beginning.remove_prefix(byte_order_mark.size());
  Dialect dialect;
  if (beginning.find('\n') == std::string_view::npos && beginning.find('\r') != std::string_view::npos)
    dialect.line_end = '\r';
  if (has_escaped_quotes(beginning)) dialect.escape = '\\';
  std::optional<char> delimiter = known.delimiter;
  if (!delimiter) delimiter = declared_delimiter(beginning, dialect.line_end);

  if (delimiter == dialect.comment) dialect.comment = '\0';
  std::optional<Sample> best;
  const auto consider = [&](char candidate) {
    dialect.delimiter = candidate;
    Sample sample(beginning, dialect, known);
    if (!best || sample.score() > best->score()) best.emplace(std::move(sample));
  };
  if (delimiter) {
    consider(*delimiter);
  } else {
    for (const char candidate : {',', ';', '\t', '|'}) consider(candidate);
    for (const char candidate : {' ', '\0'})
      if (best->score() <= 0.5) consider(candidate);
    if (best->score() == 0) {
      best.reset();
      consider(delimiter_of_first_line(beginning, dialect.line_end));
    }
  }
  return {best->dialect(), best->columns(), best->has_row_names()};
}

}  // namespace detail

/// Guesses what a table is written in from its first lines, of which the last is whole: the delimiter by which most
/// lines have the same number of cells and cells hold no other delimiter; the marks of numbers by those that can be
/// read in one way alone (12,5 or 1.234.567); lines before the header by their number of cells; a missing header by a
/// first line of numbers. What `known` says is taken as it is.
inline Dialect sniff(std::string_view beginning, const DialectOptions& known = {}) {
  return detail::sniff(beginning, known).dialect;
}

}  // namespace gdssm
