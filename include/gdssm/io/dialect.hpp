// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gdssm/io/text.hpp"

// What a table's text is written in: what separates cells, how numbers are written, where the table begins.

namespace gdssm {

/// How a table is written as text. The default is that of RFC 4180.
struct Dialect {
  char delimiter = ',';   ///< between cells; ' ' is any run of blanks and tabs, '\0' none: a line is one cell
  char decimal = '.';     ///< the decimal mark: '.' or ','
  char thousands = '\0';  ///< between groups of three digits: ',', '.', '\'', ' ' (also the no-break blanks); '\0' none
  char line_end = '\n';   ///< '\n', which may follow '\r', or '\r' alone
  char escape = '\0';     ///< before a quote within a quoted cell, as other than doubling it; '\0' none
  char comment = '#';     ///< lines that begin with it are left out; '\0' none
  bool header = true;     ///< whether the table begins with the columns' names
  bool header_in_comment = false;  ///< whether these are the last comment before the first row
  std::size_t preamble = 0;        ///< lines before the table, which are left out

  bool operator==(const Dialect&) const = default;
};

/// What is known of a file's dialect beforehand; the rest is sniffed.
struct DialectOptions {
  std::optional<char> delimiter = {};  ///< between cells
  std::optional<char> decimal = {};    ///< the decimal mark
  std::optional<bool> header = {};     ///< whether the first line has names
};

namespace detail {

inline std::string name_of_mark(char mark) {
  constexpr std::pair<char, const char*> names[] = {{',', "comma"},      {';', "semicolon"}, {'\t', "tab"},
                                                    {'|', "bar"},        {' ', "blank"},     {'.', "point"},
                                                    {'\'', "apostrophe"}};
  for (const auto& [known, name] : names)
    if (mark == known) return name;
  return in_quotes(std::string_view(&mark, 1));
}

}  // namespace detail

/// What a table is written in, as a phrase: "cells separated by semicolons, decimal commas, lines 1 to 3 left out".
inline std::string describe(const Dialect& dialect) {
  const auto marks = [](char mark) { return detail::name_of_mark(mark) + "s"; };
  std::string text = dialect.delimiter == '\0' ? "one cell a line" : "cells separated by " + marks(dialect.delimiter);
  if (dialect.decimal != '.') text += ", decimal " + marks(dialect.decimal);
  if (dialect.thousands != '\0') text += ", thousands separated by " + marks(dialect.thousands);
  if (!dialect.header) text += ", no header";
  if (dialect.header_in_comment) text += ", the header in a comment";
  if (dialect.preamble == 1) text += ", line 1 left out";
  if (dialect.preamble > 1) text += ", lines 1 to " + std::to_string(dialect.preamble) + " left out";
  return text;
}

}  // namespace gdssm
