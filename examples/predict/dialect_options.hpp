// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "gdssm/io/dialect.hpp"

// Options by which a user says what a file is written in.

namespace gdssm::predict {

/// A mark by its name, or as itself.
inline std::optional<char> mark_of(const std::string& text) {
  constexpr std::pair<const char*, char> names[] = {{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'},  {"\\t", '\t'},
                                                    {"bar", '|'},   {"blank", ' '},     {"point", '.'}, {"none", '\0'}};
  for (const auto& [name, mark] : names)
    if (text == name) return mark;
  return text.size() == 1 ? std::optional(text[0]) : std::nullopt;
}

/// Adds --delimiter, --decimal and --no-header.
inline void add_dialect_options(CLI::App& app, DialectOptions& options) {
  app.add_option_function<std::string>(
         "--delimiter",
         [&options](const std::string& text) {
           options.delimiter = mark_of(text);
           if (!options.delimiter || std::string_view("\"\r\n.").find(*options.delimiter) != std::string_view::npos)
             throw CLI::ValidationError("--delimiter", "got '" + text +
                                                           "', expected one character, comma, semicolon, tab, bar, "
                                                           "blank (any run of them) or none");
         },
         "What separates cells: a character, or comma, semicolon, tab, bar, blank, none (default: what fits the rows)")
      ->type_name("MARK");
  app.add_option_function<std::string>(
         "--decimal",
         [&options](const std::string& text) {
           options.decimal = mark_of(text);
           if (options.decimal != '.' && options.decimal != ',')
             throw CLI::ValidationError("--decimal", "got '" + text + "', expected point or comma");
         },
         "The decimal mark: point or comma (default: what fits the numbers)")
      ->type_name("MARK");
  app.add_flag_callback(
      "--no-header", [&options] { options.header = false; }, "The first line is a row; columns are called x1, x2, ...");
}

}  // namespace gdssm::predict
