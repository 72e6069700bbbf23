// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gdssm/io/dialect.hpp"
#include "gdssm/io/parse_number.hpp"

// How one record of a table is cut into cells.

namespace gdssm::detail {

/// The cells of a record, as they stand in the text and as they are meant.
struct CsvCells {
  std::vector<std::string_view> text;  ///< without quotes and the blanks around; doubled quotes are one
  std::vector<bool> quoted;
  std::string_view after_quote;  ///< the cell behind whose closing quote there is more text; no data: none

  void clear() {
    text.clear();
    quoted.clear();
    after_quote = {};
  }
};

/// Whether this is a blank around a cell, and not between two.
inline bool is_padding(char c, char delimiter) { return is_blank(c) && (delimiter == ' ' || c != delimiter); }

/// The position of the next delimiter in [at, end), or `end`.
inline const char* find_delimiter(const char* at, const char* end, char delimiter) {
  if (delimiter == '\0' || at == end) return end;
  if (delimiter == ' ') {
    while (at != end && !is_blank(*at)) ++at;
    return at;
  }
  const void* const found = std::memchr(at, delimiter, static_cast<std::size_t>(end - at));
  return found == nullptr ? end : static_cast<const char*>(found);
}

enum class Quote { closing, doubled, escaped };

/// What a quote in a quoted cell is; `begin` and `end` are those of the text in which it stands. A quote behind the
/// escape closes its cell all the same where a cell ends behind it.
inline Quote quote_at(const char* begin, const char* at, const char* end, const Dialect& dialect) {
  const auto is_next = [&](const char* next) { return next != end && *next == '"'; };
  const auto ends_cell = [&](const char* next) {
    return next == end || find_delimiter(next, end, dialect.delimiter) == next;
  };
  if (dialect.escape != '\0' && at != begin && at[-1] == dialect.escape) {
    const bool closes = is_next(at + 1) ? !ends_cell(at + 2) : ends_cell(at + 1);
    if (!closes) return Quote::escaped;
  }
  return is_next(at + 1) ? Quote::doubled : Quote::closing;
}

/// Follows the quotes of a record that may have several lines.
class OpenQuote {
 public:
  explicit OpenQuote(const Dialect& dialect) : dialect_(&dialect) {}

  /// Reads the next line, without its end; true if a quoted cell goes on behind it.
  bool read(std::string_view line) {
    ++lines_;
    while (line.ends_with('\r')) line.remove_suffix(1);
    const char *at = line.data(), *const end = at + line.size();
    const char* begin = at;
    for (bool inside = std::exchange(is_open_, false);;) {
      if (!inside) {
        while (at != end && is_padding(*at, dialect_->delimiter)) ++at;
        if (at != end && *at == '"') begin = ++at, inside = true;
      }
      while (inside) {
        const void* const quote = at == end ? nullptr : std::memchr(at, '"', static_cast<std::size_t>(end - at));
        if (quote == nullptr) {
          if (begin != line.data()) line_ = lines_, text_.assign(begin, end);
          return is_open_ = true;
        }
        at = static_cast<const char*>(quote);
        const Quote kind = quote_at(line.data(), at, end, *dialect_);
        inside = kind != Quote::closing;
        at += kind == Quote::doubled ? 2 : 1;
      }
      at = find_delimiter(at, end, dialect_->delimiter);
      if (at == end) return false;
      ++at;
    }
  }

  /// Where the open cell begins: the record's how manieth line, and what stands there behind the quote.
  std::size_t line() const { return line_; }
  const std::string& text() const { return text_; }

 private:
  const Dialect* dialect_;
  bool is_open_ = false;
  std::size_t lines_ = 0, line_ = 0;
  std::string text_;
};

/// Cuts a record without quotes into its cells.
inline void split_plain(const char* at, const char* const end, char delimiter, std::vector<std::string_view>& cells) {
  cells.clear();
  for (;;) {
    if (delimiter == ' ') {
      while (at != end && is_blank(*at)) ++at;
      if (at == end) return;
    }
    const char* from = at;
    if (delimiter == ' ' || delimiter == '\0')
      at = find_delimiter(at, end, delimiter);
    else
      while (at != end && *at != delimiter) ++at;  // cells are short
    const char* to = at;
    while (from != to && is_padding(*from, delimiter)) ++from;
    while (from != to && is_padding(to[-1], delimiter)) --to;
    cells.emplace_back(from, static_cast<std::size_t>(to - from));
    if (at == end) return;
    ++at;
  }
}

/// Cuts a record into its cells. Quoted cells are rewritten where they are, so that the text behind their views loses
/// doubled quotes, and the carriage returns before a line's end.
inline void split(char* at, char* const end, const Dialect& dialect, CsvCells& cells) {
  cells.clear();
  const char delimiter = dialect.delimiter;
  for (;;) {
    while (at != end && is_padding(*at, delimiter)) ++at;
    if (at != end && *at == '"') {
      char* const from = ++at;
      char* to = from;
      while (at != end) {
        if (*at == '"') {
          const Quote kind = quote_at(from, at, end, dialect);
          if (kind == Quote::closing) break;
          if (kind == Quote::doubled)
            ++at;
          else
            --to;
        }
        const char c = *at++;
        if (c == dialect.line_end) {
          while (to != from && to[-1] == '\r') --to;
          *to++ = '\n';
        } else {
          *to++ = c;
        }
      }
      const std::string_view text(from, static_cast<std::size_t>(to - from));
      cells.text.push_back(text);
      cells.quoted.push_back(true);
      if (at != end) ++at;
      char* const closed = at;
      at += find_delimiter(at, end, delimiter) - at;
      if (cells.after_quote.data() == nullptr &&
          !without_blanks({closed, static_cast<std::size_t>(at - closed)}).empty())
        cells.after_quote = text;
    } else {
      char* const from = at;
      at += find_delimiter(at, end, delimiter) - at;
      if (delimiter == ' ' && from == at) return;
      char* to = at;
      while (to != from && is_padding(to[-1], delimiter)) --to;
      cells.text.emplace_back(from, static_cast<std::size_t>(to - from));
      cells.quoted.push_back(false);
    }
    if (at == end) return;
    ++at;
  }
}

}  // namespace gdssm::detail
