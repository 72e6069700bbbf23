// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include <Eigen/Core>

#include "gdssm/core/parameters.hpp"
#include "gdssm/io/dates.hpp"

// What `TableEncoder` remembers of a column. Each part is a few numbers in a matrix, so that it is saved by `visit`.

namespace gdssm {

/// What stands in for a missing number: the mean of the column so far or its last number, whichever would have foreseen
/// the column's numbers with the smaller sum of squared errors. 0 before the first number.
class StandIn {
 public:
  double count() const { return memory_[0]; }  ///< numbers seen
  double last() const { return memory_[2]; }   ///< the last of them
  /// What stands in now.
  double value() const { return memory_[4] < memory_[3] ? memory_[2] : memory_[1]; }

  /// Takes in a number of the column.
  void absorb(double x) {
    const double from_mean = x - memory_[1], from_last = x - memory_[2];
    if (memory_[0] > 0) {
      memory_[3] += from_mean * from_mean;
      memory_[4] += from_last * from_last;
    }
    memory_[0] += 1;
    memory_[1] += from_mean / memory_[0];
    memory_[2] = x;
  }

  /// Appends the numbers that `later` has seen.
  void merge(const StandIn& later) {
    const double n = memory_[0] + later.memory_[0];
    if (later.memory_[0] > 0) memory_[2] = later.memory_[2];
    if (n > 0) memory_[1] += later.memory_[0] / n * (later.memory_[1] - memory_[1]);
    memory_[0] = n;
    memory_[3] += later.memory_[3];
    memory_[4] += later.memory_[4];
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"memory"}, self.memory_...);
  }

 private:
  // count, mean, last, squared errors of the mean and of the last
  Eigen::Matrix<double, 5, 1> memory_ = Eigen::Matrix<double, 5, 1>::Zero();
};

/// How a column writes its dates, and which it has seen.
class DateMemory {
 public:
  /// Dates as text, seconds or milliseconds since 1970, 20240301, or years with decimals.
  enum Form { text, seconds, milliseconds, eight_digits, years };

  double count() const { return memory_[0]; }                                  ///< dates seen
  double first() const { return is_month_first() ? memory_[2] : memory_[1]; }  ///< in days since 1970-01-01
  /// How dates are written; text unless `set_form` says otherwise.
  Form form() const { return static_cast<Form>(static_cast<int>(memory_[6])); }
  /// Says how dates are written.
  void set_form(Form form) { memory_[6] = form; }

  /// The date that was read, in days since 1970-01-01. Where only the order tells day and month apart, it is that of
  /// the cells that had one reading, or else that with the smaller steps from row to row: decided by the rows so far.
  double absorb(const DateReading& date) {
    const double month_first = date.swapped.value_or(date.days);
    if (date.has_order) memory_[5] = date.swapped ? 2 : 1;
    if (memory_[0] > 0) steps_ += (Eigen::Array2d(date.days, month_first) - before_).abs();
    before_ = {date.days, month_first};
    if (memory_[0] == 0) memory_.segment<2>(1) << date.days, month_first;
    memory_[0] += 1;
    return is_month_first() ? month_first : date.days;
  }

  /// Whether the time between rows varies, by more than the lengths of months, when it was this one at last.
  bool step_varies(double step) {
    if (memory_[0] > 3 && std::abs(step - memory_[3]) > 0.3 * std::abs(memory_[3])) memory_[4] = 1;
    memory_[3] = step;
    return memory_[4] != 0;
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"memory"}, self.memory_...);
    visitor(Name{"before"}, self.before_...);
    visitor(Name{"steps"}, self.steps_...);
  }

 private:
  bool is_month_first() const { return memory_[5] == 2 || (memory_[5] == 0 && steps_[1] < steps_[0]); }

  // count, first by either order, last step, whether it has varied, order (1: day first, 2: month first), form
  Eigen::Matrix<double, 7, 1> memory_ = Eigen::Matrix<double, 7, 1>::Zero();
  Eigen::Array2d before_ = Eigen::Array2d::Zero(), steps_ = Eigen::Array2d::Zero();  // by order
};

/// The levels of a text column, at most `capacity`. Of each it keeps the number of cells, the last row, the number and
/// the mean of the targets that were learned with it, and its input if it has one. The text itself is not kept, only 52
/// bits of a hash. When the table is full, the level without an input that was seen least, and longest ago, makes room.
class LevelTable {
 public:
  static constexpr Index capacity = 1024;  ///< levels at most

  /// What is kept of a level, in this order.
  enum Field { key, cells, last_row, targets, target_mean, input, fields };

  /// The key of a text: 52 bits of its FNV-1a hash, never 0.
  static double key_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return static_cast<double>((hash >> 12) | 1);
  }

  Index size() const { return levels_.cols(); }  ///< levels that are kept
  /// What is kept of a level.
  double operator()(Field field, Index level) const { return levels_(field, level); }
  /// The same, to be changed; a key only together with `restore`.
  double& operator()(Field field, Index level) { return levels_(field, level); }

  /// The position of a level, or -1.
  Index find(double wanted) const {
    const auto found = positions_.find(wanted);
    return found == positions_.end() ? -1 : found->second;
  }

  /// Adds a level that is not there, and returns its position; -1 where every level has an input.
  Index insert(double new_key) {
    Index at = size();
    if (at < capacity) {
      levels_.conservativeResize(Eigen::NoChange, at + 1);
    } else {
      at = least_seen();
      if (at < 0) return at;
      positions_.erase(levels_(key, at));
    }
    levels_.col(at).setZero();
    levels_(key, at) = new_key;
    levels_(input, at) = -1;
    positions_.emplace(new_key, at);
    return at;
  }

  /// Forgets all levels.
  void clear() {
    levels_.resize(Eigen::NoChange, 0);
    positions_.clear();
  }

  /// Finds the levels again after `visit` has set them. False for a key that occurs twice.
  bool restore() {
    positions_.clear();
    for (Index i = 0; i < size(); ++i)
      if (!positions_.emplace(levels_(key, i), i).second) return false;
    return true;
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"levels"}, self.levels_...);
  }

 private:
  Index least_seen() const {
    Index least = -1;
    for (Index i = 0; i < size(); ++i) {
      if (levels_(input, i) >= 0) continue;
      const bool less = least < 0 || levels_(cells, i) < levels_(cells, least) ||
                        (levels_(cells, i) == levels_(cells, least) && levels_(last_row, i) < levels_(last_row, least));
      if (less) least = i;
    }
    return least;
  }

  Eigen::Matrix<double, fields, Eigen::Dynamic> levels_ = Eigen::Matrix<double, fields, Eigen::Dynamic>(fields, 0);
  std::unordered_map<double, Index> positions_;
};

/// What the cells of a column are.
enum class ColumnKind { unknown, number, truth, date, text, left_out };

/// All that is remembered of a column.
struct ColumnMemory {
  /// The inputs of a column, by what they say.
  enum Input { value, level_mean, step, day, week, year, inputs };
  /// Counts of cells that are text.
  enum Count { text_cells, levels_seen, repeats, indicators, counts };

  Eigen::Matrix<double, 2, 1> kind_and_choice = Eigen::Matrix<double, 2, 1>::Zero();  ///< and whether it was chosen
  Eigen::Matrix<double, inputs, 1> input = Eigen::Matrix<double, inputs, 1>::Constant(-1);  ///< positions, or -1
  Eigen::Matrix<double, counts, 1> count = Eigen::Matrix<double, counts, 1>::Zero();        ///< by `Count`
  StandIn stand_in;   ///< of numbers, and of dates as days
  DateMemory dates;   ///< of a column of dates
  LevelTable levels;  ///< of text, and of missing cells

  /// What the cells so far say.
  ColumnKind kind() const { return static_cast<ColumnKind>(static_cast<int>(kind_and_choice[0])); }
  /// Says what the cells so far say.
  void set_kind(ColumnKind kind) { kind_and_choice[0] = static_cast<double>(kind); }
  bool is_chosen() const { return kind_and_choice[1] != 0; }  ///< whether the user said what it is
  /// Says what the user says; cells do not change it.
  void choose(ColumnKind kind) {
    set_kind(kind);
    kind_and_choice[1] = 1;
  }

  template <class Visitor, class... Self>
  static void visit(Visitor&& visitor, Self&&... self) {
    visitor(Name{"kind"}, self.kind_and_choice...);
    visitor(Name{"input"}, self.input...);
    visitor(Name{"count"}, self.count...);
    visit_part("stand_in", visitor, self.stand_in...);
    visit_part("dates", visitor, self.dates...);
    visit_part("levels", visitor, self.levels...);
  }
};

}  // namespace gdssm
