// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

namespace detail {

template <class Number>
concept PrintableNumber = std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool> && sizeof(Number) <= 8;

/// The byte order mark of UTF-8, with which some programs begin a file.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace detail

/// The shortest decimal text that reads back as the same number: 0.1, 1e+23, 42, nan, -inf. Independent of the locale.
template <detail::PrintableNumber Number>
std::string format_number(Number number) {
  char text[32];  // the longest double takes 24 characters
  return std::string(text, std::to_chars(text, text + sizeof text, number).ptr);
}

/// Text of a user's file for an error message, on one line: in single quotes, with control bytes as \xNN, and cut after
/// `limit` bytes with "..." (UTF-8 sequences stay whole).
inline std::string in_quotes(std::string_view text, std::size_t limit = 40) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const bool cut = text.size() > limit;
  if (cut) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
    text = text.substr(0, limit);
  }
  std::string shown = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      shown += c;
    } else {
      shown += "\\x";
      shown += digits[byte / 16];
      shown += digits[byte % 16];
    }
  }
  return shown + (cut ? "...'" : "'");
}

}  // namespace gdssm
