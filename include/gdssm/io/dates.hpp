// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "gdssm/core/requirements.hpp"

namespace gdssm {

/// A date or a time that was read, in days since 1970-01-01 (UTC where a zone is given).
struct DateReading {
  double days = 0;                ///< with day before month where only the order tells them apart
  std::optional<double> swapped;  ///< with month before day, where that is a date too
  bool has_order = false;         ///< whether the order of day and month told them apart
  bool has_days = true;           ///< false for months, quarters and times of day alone
  bool has_time = false;          ///< whether a time of day was given
};

namespace detail {

/// Parts of a date: runs of digits, runs of letters, and what separates them.
class DateParts {
 public:
  struct Part {
    enum Kind { digits, letters, sign } kind;
    std::string_view text;
    long number;  // of digits; the character of a sign
  };

  /// Empty when the text has more parts than a date.
  explicit DateParts(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const auto run = [&](auto is) {
        while (at < text.size() && is(text[at])) ++at;
        return text.substr(begin, at - begin);
      };
      if (text[at] == ' ' || text[at] == '\t') {
        ++at;
        continue;
      }
      if (count_ == parts_.size()) {
        count_ = 0;
        return;
      }
      Part& part = parts_[count_++];
      if (is_digit(text[at])) {
        part = {Part::digits, run(is_digit), 0};
        for (std::size_t i = 0; i < part.text.size() && i < 10; ++i)
          part.number = 10 * part.number + (part.text[i] - '0');
      } else if (is_letter(text[at])) {
        part = {Part::letters, run(is_letter), 0};
      } else {
        part = {Part::sign, text.substr(at++, 1), static_cast<unsigned char>(text[begin])};
      }
    }
  }

  std::size_t size() const { return count_ - at_; }
  const Part* peek(std::size_t ahead = 0) const { return at_ + ahead < count_ ? &parts_[at_ + ahead] : nullptr; }
  void skip(std::size_t parts = 1) { at_ += parts; }
  bool is_digits(std::size_t ahead, std::size_t least, std::size_t most) const {
    const Part* const part = peek(ahead);
    return part != nullptr && part->kind == Part::digits && part->text.size() >= least && part->text.size() <= most;
  }
  bool is_sign(std::size_t ahead, std::string_view any_of) const {
    const Part* const part = peek(ahead);
    return part != nullptr && part->kind == Part::sign && any_of.find(part->text[0]) != std::string_view::npos;
  }
  const Part* letters(std::size_t ahead) const {
    const Part* const part = peek(ahead);
    return part != nullptr && part->kind == Part::letters ? part : nullptr;
  }
  bool take_sign(std::string_view any_of) {
    if (!is_sign(0, any_of)) return false;
    skip();
    return true;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

  std::array<Part, 20> parts_;
  std::size_t count_ = 0, at_ = 0;
};

/// Whether the text is a name or its beginning of at least three letters, in any case.
inline bool is_name(std::string_view text, std::string_view name) {
  if (text.size() < 3 || text.size() > name.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] | 0x20) != name[i]) return false;
  return true;
}

/// 1 to 12, or 0.
inline int month_of(std::string_view text) {
  constexpr std::array<std::string_view, 12> names{"january",   "february", "march",    "april",
                                                   "may",       "june",     "july",     "august",
                                                   "september", "october",  "november", "december"};
  for (std::size_t i = 0; i < names.size(); ++i)
    if (is_name(text, names[i])) return static_cast<int>(i + 1);
  return 0;
}

inline bool is_weekday(std::string_view text) {
  for (const std::string_view name : {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"})
    if (is_name(text, name)) return true;
  return false;
}

inline std::optional<double> days_of(long year, long month, long day) {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(static_cast<int>(year)), std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return static_cast<double>(sys_days(date).time_since_epoch().count());
}

/// The year of two digits or of four: 69 is 2069 up to 1968 behind, as in POSIX.
inline long whole_year(const DateParts::Part& part) {
  return part.text.size() > 2 ? part.number : part.number + (part.number < 69 ? 2000 : 1900);
}

/// Reads the day, the month or the quarter.
inline bool read_day(DateParts& parts, DateReading& reading) {
  const auto number = [&](std::size_t ahead) { return parts.peek(ahead)->number; };
  const auto set = [&](std::optional<double> days, std::size_t used, bool has_days = true) {
    if (!days) return false;
    reading.days = *days;
    reading.has_days = has_days;
    parts.skip(used);
    return true;
  };
  constexpr std::string_view separators = "-/.";
  if (const auto* name = parts.letters(0); name && is_weekday(name->text)) {
    parts.skip();
    parts.take_sign(",.");
  }
  if (const auto* name = parts.letters(0)) {
    if ((name->text == "Q" || name->text == "q") && parts.is_digits(1, 1, 1) && number(1) >= 1 && number(1) <= 4) {
      const std::size_t year = parts.is_sign(2, "-/ ") ? 3 : 2;  // Q1 2010, Q1-2010
      return parts.is_digits(year, 4, 4) && set(days_of(number(year), 3 * number(1) - 2, 1), year + 1, false);
    }
    const long month = month_of(name->text);
    if (month == 0) return false;
    std::size_t at = parts.is_sign(1, "-/.") ? 2 : 1;
    if (parts.is_digits(at, 4, 4) || (at == 2 && parts.is_digits(at, 2, 2) && parts.size() == 3))  // Jan 2010, Jan-10
      return set(days_of(whole_year(*parts.peek(at)), month, 1), at + 1, false);
    if (!parts.is_digits(at, 1, 2)) return false;  // Jan 5, 2010
    const long day = number(at++);
    if (parts.letters(at) && parts.letters(at)->text.size() == 2) ++at;  // 5th
    if (parts.is_sign(at, ",-/")) ++at;
    return parts.is_digits(at, 4, 4) && set(days_of(number(at), month, day), at + 1);
  }
  if (parts.is_digits(0, 4, 4)) {
    const long year = number(0);
    std::size_t at = parts.is_sign(1, separators) ? 2 : 1;
    if (const auto* name = parts.letters(at)) {
      if ((name->text == "Q" || name->text == "q") && parts.is_digits(at + 1, 1, 1) && number(at + 1) >= 1 &&
          number(at + 1) <= 4)
        return set(days_of(year, 3 * number(at + 1) - 2, 1), at + 2, false);  // 2010Q1, 2010-Q1
      if ((name->text == "M" || name->text == "m") && parts.is_digits(at + 1, 1, 2))
        return set(days_of(year, number(at + 1), 1), at + 2, false);  // 2010M01
      const long month = month_of(name->text);
      if (month == 0) return false;
      if (parts.is_sign(at + 1, separators) && parts.is_digits(at + 2, 1, 2))
        return set(days_of(year, month, number(at + 2)), at + 3);  // 2010-Jan-05
      return set(days_of(year, month, 1), at + 1, false);          // 2010 Jan
    }
    if (at != 2 || !parts.is_digits(2, 1, 2)) return false;
    const char separator = parts.peek(1)->text[0];
    if (parts.is_sign(3, std::string_view(&separator, 1)) && parts.is_digits(4, 1, 2))
      return set(days_of(year, number(2), number(4)), 5);                    // 2010-01-05
    return parts.size() == 3 && set(days_of(year, number(2), 1), 3, false);  // 2010-01
  }
  if (!parts.is_digits(0, 1, 2)) return false;
  std::size_t at = 1;
  if (parts.letters(at) && parts.letters(at)->text.size() == 2 && month_of(parts.letters(at)->text) == 0) ++at;  // 5th
  if (parts.is_sign(at, separators)) ++at;
  if (const auto* name = parts.letters(at)) {
    const long month = month_of(name->text);
    if (month == 0) return false;
    const std::size_t year = parts.is_sign(at + 1, "-/.,") ? at + 2 : at + 1;  // 5 Jan 2010, 05-Jan-10
    const bool two_digits = parts.is_digits(year, 2, 2) && year == at + 2;
    return (two_digits || parts.is_digits(year, 4, 4)) &&
           set(days_of(whole_year(*parts.peek(year)), month, number(0)), year + 1);
  }
  if (at != 2 || !parts.is_digits(2, 1, 2)) {
    if (at != 2 || !parts.is_digits(2, 4, 4) || parts.size() != 3) return false;
    return set(days_of(number(2), number(0), 1), 3, false);  // 01/2010
  }
  const char separator = parts.peek(1)->text[0];
  if (!parts.is_sign(3, std::string_view(&separator, 1)) || (!parts.is_digits(4, 4, 4) && !parts.is_digits(4, 2, 2)))
    return false;
  if (separator == '.' && parts.is_sign(5, ".")) return false;  // an address or a version
  const long year = whole_year(*parts.peek(4));
  const auto day_first = days_of(year, number(2), number(0));
  const auto month_first = days_of(year, number(0), number(2));
  if (!set(day_first ? day_first : month_first, 5)) return false;
  reading.has_order = day_first.has_value() != month_first.has_value();
  reading.swapped = month_first;
  if (!day_first) reading.swapped = reading.days;
  return true;
}

/// Reads hours, minutes and seconds, and a zone; adds them to the days.
inline bool read_time(DateParts& parts, DateReading& reading) {
  if (!parts.is_digits(0, 1, 2) || !parts.is_sign(1, ":") || !parts.is_digits(2, 2, 2)) return false;
  long hour = parts.peek(0)->number;
  const long minute = parts.peek(2)->number;
  double second = 0;
  parts.skip(3);
  if (parts.is_sign(0, ":") && parts.is_digits(1, 2, 2)) {
    second = static_cast<double>(parts.peek(1)->number);
    parts.skip(2);
    if (parts.is_sign(0, ".,") && parts.is_digits(1, 1, 9)) {
      double fraction = static_cast<double>(parts.peek(1)->number);
      for (std::size_t i = 0; i < parts.peek(1)->text.size(); ++i) fraction /= 10;
      second += fraction;
      parts.skip(2);
    }
  }
  if (const auto* name = parts.letters(0); name && name->text.size() == 2 && (name->text[1] | 0x20) == 'm') {
    const char half = static_cast<char>(name->text[0] | 0x20);
    if (hour < 1 || hour > 12 || (half != 'a' && half != 'p')) return false;
    hour = hour % 12 + (half == 'p' ? 12 : 0);
    parts.skip();
  }
  if (hour > 24 || minute > 59 || second > 60) return false;
  double minutes_east = 0;
  if (const auto* name = parts.letters(0); name && (name->text == "Z" || name->text == "UTC" || name->text == "GMT"))
    parts.skip();
  if (parts.is_sign(0, "+-") && parts.is_digits(1, 2, 4)) {
    const double sign = parts.peek(0)->text[0] == '-' ? -1 : 1;
    const auto offset = static_cast<double>(parts.peek(1)->number);
    if (parts.peek(1)->text.size() == 4) {
      minutes_east = sign * (60 * static_cast<double>(parts.peek(1)->number / 100) +
                             static_cast<double>(parts.peek(1)->number % 100));
      parts.skip(2);
    } else if (parts.is_sign(2, ":") && parts.is_digits(3, 2, 2)) {
      minutes_east = sign * (60 * offset + static_cast<double>(parts.peek(3)->number));
      parts.skip(4);
    } else {
      minutes_east = sign * 60 * offset;
      parts.skip(2);
    }
  }
  const double time =
      (60 * static_cast<double>(hour) + static_cast<double>(minute) - minutes_east) / 1440 + second / 86400;
  reading.days += time;
  if (reading.swapped) *reading.swapped += time;
  reading.has_time = true;
  return true;
}

}  // namespace detail

/// Reads a whole text as a date, with or without a time, or as a time of day:
///     2024-03-01, 2024/3/1, 2024-03, 1/3/2024, 3-1-24, 1.3.2024, 1 Mar 2024, Mar 1, 2024, March 2024, 2024 Mar,
///     Mar-24, 2024Q1, Q1 2024, 2024M03, 2024-03-01T14:30:00.5+01:00, 2024-03-01 14:30 Z, 3/1/2024 2:30 PM, 14:30
/// A weekday before it is skipped. A month or a quarter is its first day.
inline std::optional<DateReading> read_date(std::string_view text) {
  if (text.size() < 4 || text.size() > 48) return std::nullopt;
  detail::DateParts parts(text);
  DateReading reading;
  const bool time_alone = parts.is_digits(0, 1, 2) && parts.is_sign(1, ":");
  if (time_alone)
    reading.has_days = false;
  else if (!detail::read_day(parts, reading))
    return std::nullopt;
  if (parts.size() > 0) {
    if (const auto* name = parts.letters(0); name && (name->text == "T" || name->text == "t"))
      parts.skip();
    else
      parts.take_sign(",:");  // 01/Mar/2024:14:30
    if (!detail::read_time(parts, reading)) return std::nullopt;
  }
  if (const auto* name = parts.letters(0); name && parts.size() == 1 && name->text.size() <= 4) parts.skip();  // a zone
  if (parts.size() > 0) return std::nullopt;
  return reading;
}

}  // namespace gdssm
