// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "gdssm/io/dialect.hpp"

// Numbers as text, whatever the locale.

namespace gdssm {

namespace detail {

inline bool is_blank(char c) { return c == ' ' || c == '\t'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Does what `std::from_chars` does with a finite number, for standard libraries that support only whole numbers: calls
/// std::strtod on the decimal number at the start of [at, end), with the locale's decimal point. Too small a number is
/// out of range, as there, but leaves the zero that it rounds to in `number`.
inline std::from_chars_result from_chars_by_strtod(const char* at, const char* end, double& number) {
  const auto skip_digits = [end](const char* from) {
    while (from != end && is_digit(*from)) ++from;
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
  if (std::isinf(read)) return {after, std::errc::result_out_of_range};
  number = read;
  // Zero although a digit before the exponent is not zero.
  const bool lost = read == 0 && text.find_first_of("123456789") < text.find_first_of("eE");
  return {after, lost ? std::errc::result_out_of_range : std::errc()};
}

/// `std::from_chars` where it supports this type, `from_chars_by_strtod` elsewhere.
template <class Number>
std::from_chars_result read_number(const char* at, const char* end, Number& number) {
  if constexpr (requires { std::from_chars(at, end, number); })
    return std::from_chars(at, end, number);
  else
    return from_chars_by_strtod(at, end, number);
}

/// The number in other digits: '.' as the decimal mark, no thousands, '-' for a minus sign. Empty if there is none.
inline std::string in_plain_digits(std::string_view cell, const Dialect& dialect) {
  std::string plain;
  std::size_t at = 0;
  const auto skip = [&](std::string_view text) {
    const bool here = cell.substr(at).starts_with(text);
    if (here) at += text.size();
    return here;
  };
  const auto take_digits = [&] {
    const std::size_t from = at;
    while (at < cell.size() && is_digit(cell[at])) ++at;
    plain += cell.substr(from, at - from);
    return at - from;
  };
  const auto skip_thousands = [&] {
    if (dialect.thousands == '\0') return false;
    if (dialect.thousands != ' ') return skip(std::string_view(&dialect.thousands, 1));
    return skip(" ") || skip("\xC2\xA0") || skip("\xE2\x80\xAF");
  };
  if (skip("-"))
    plain = "-";
  else
    skip("+");
  const std::size_t first = take_digits();
  if (first >= 1 && first <= 3)
    while (skip_thousands())
      if (take_digits() != 3) return "";
  if (skip(std::string_view(&dialect.decimal, 1))) {
    plain += '.';
    take_digits();
  }
  if (at < cell.size() && cell[at] != 'e' && cell[at] != 'E') return "";
  return plain.append(cell.substr(at));
}

}  // namespace detail

namespace detail {

/// Powers of ten that a double holds exactly, as it holds whole numbers of up to 15 digits. The quotient of two such
/// numbers is rounded once, like the value of the text.
inline constexpr double exact_powers_of_ten[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/// A number of up to 15 digits without exponent or blanks, the usual kind, for which it is faster.
inline std::optional<double> parse_short_number(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = at != end && *at == '-';
  if (negative) ++at;
  if (end - at > 16) return std::nullopt;
  long long digits = 0;
  std::ptrdiff_t count = 0, decimals = 0;
  for (; at != end && is_digit(*at); ++at, ++count) digits = 10 * digits + (*at - '0');
  if (at != end && *at == '.')
    for (++at; at != end && is_digit(*at); ++at, ++decimals) digits = 10 * digits + (*at - '0');
  count += decimals;
  if (at != end || count == 0 || count > 15) return std::nullopt;
  const double magnitude = static_cast<double>(digits) / exact_powers_of_ten[decimals];
  return negative ? -magnitude : magnitude;
}

}  // namespace detail

/// The finite number that a text is, with blanks around it or not: digits with an optional sign, decimal point and
/// exponent. A number too small for double is what it rounds to; one too large is none, and neither are nan and inf.
inline std::optional<double> parse_number(std::string_view text) {
  if (const auto number = detail::parse_short_number(text)) return number;
  text = detail::without_blanks(text);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  const char* const end = text.data() + text.size();
  double number = 0;
  const auto [after, error] = detail::read_number(text.data(), end, number);
  if (after != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // from_chars says no more than that.
    detail::from_chars_by_strtod(text.data(), end, number = HUGE_VAL);
  }
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

/// The same in a dialect: with its decimal mark, and its thousands separators in their places or none at all. A mark of
/// another dialect makes no number: 1.234 is none where the decimal mark is a comma and no thousands are separated.
inline std::optional<double> parse_number(std::string_view cell, const Dialect& dialect) {
  if (dialect.decimal == '.' && dialect.thousands == '\0') return parse_number(cell);
  const std::string plain = detail::in_plain_digits(detail::without_blanks(cell), dialect);
  return plain.empty() ? std::nullopt : parse_number(plain);
}

}  // namespace gdssm
