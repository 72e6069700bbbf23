// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "gdssm/core/error.hpp"

// Files that are no text, told by how they begin.

namespace gdssm {

/// What a file is by its first bytes: "a gzip file", or "" if these may be text in UTF-8 or an 8-bit encoding. Source:
/// the formats' own specifications, which all fix these bytes.
inline std::string_view file_kind(std::string_view beginning) {
  using namespace std::string_view_literals;
  struct Kind {
    std::string_view begin, name;
  };
  static constexpr Kind kinds[] = {
      {"\x1F\x8B"sv, "a gzip file"},
      {"PK\x03\x04"sv, "a zip file"},
      {"PK\x05\x06"sv, "an empty zip file"},
      {"\xFD\x37zXZ\0"sv, "an xz file"},
      {"\x28\xB5\x2F\xFD"sv, "a zstd file"},
      {"7z\xBC\xAF\x27\x1C"sv, "a 7z file"},
      {"Rar!\x1A"sv, "a rar file"},
      {"\xD0\xCF\x11\xE0"sv, "an Excel workbook of before 2007"},
      {"PAR1\x15"sv, "a Parquet file"},
      {"ARROW1\0"sv, "an Arrow file"},
      {"FEA1\0"sv, "a Feather file"},
      {"\x89HDF"sv, "an HDF5 file"},
      {"SQLite format 3\0"sv, "an SQLite database"},
      {"RDX2\n"sv, "R's saved data"},
      {"RDX3\n"sv, "R's saved data"},
      {"%PDF"sv, "a PDF document"},
      {"\x93NUMPY"sv, "a NumPy array"},
      {"\xFF\xFE\0\0"sv, "text in UTF-32"},
      {"\0\0\xFE\xFF"sv, "text in UTF-32"},
  };
  // BZh, the size of blocks, and the first block or the end.
  if (beginning.size() >= 10 && beginning.starts_with("BZh") &&
      (beginning.substr(4, 6) == "1AY&SY" || beginning.substr(4, 6) == "\x17rE8P\x90"))
    return "a bzip2 file";
  for (const Kind& kind : kinds)
    if (beginning.starts_with(kind.begin)) return kind.name;
  return "";
}

/// Refuses bytes that are no text.
/// Errors  std::invalid_argument, "where: a gzip file, expected text"
inline void expect_text(std::string_view beginning, const std::string& where) {
  if (const std::string_view kind = file_kind(beginning); !kind.empty())
    refuse(where, kind, ", expected a table as text");
}

}  // namespace gdssm
