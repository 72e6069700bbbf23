// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <Eigen/Core>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/io/cell_values.hpp"
#include "gdssm/io/column_memory.hpp"
#include "gdssm/io/dates.hpp"
#include "gdssm/io/dialect.hpp"
#include "gdssm/io/parse_number.hpp"
#include "gdssm/io/text.hpp"

// Rows of text as vectors of numbers, for a learner of one target.

namespace gdssm {

/// What a user says of columns, by name.
struct ColumnChoices {
  std::vector<std::string> text;     ///< whose cells are names
  std::vector<std::string> numbers;  ///< in which other cells are missing
  std::vector<std::string> dates;    ///< in which other cells are missing
};

/// A cell of a row: a number, NaN where it is missing, or text as a file has it.
using TableCell = std::variant<double, std::string_view>;

/// A row as numbers.
struct EncodedRow {
  Eigen::VectorXd x;     ///< the inputs so far
  Eigen::VectorXd keys;  ///< per column, the level of its text; 0 where it has none
};

/// Turns the cells of a row into inputs of a learner, one column after another:
///     TableEncoder encoder(names);
///     const EncodedRow& row = encoder.encode(cells);    // then predict from row.x; when the target is known,
///     encoder.observe(row, target);
/// A column is what its cells so far say: numbers, true and false, dates or text. Inputs are appended when a column
/// first needs them, and keep their places: `width` only grows, and an input that is new was 0 in all rows before (see
/// `widen`). Nothing that was encoded before changes, and a row is encoded from it and the rows before it alone.
/// - A number, or a truth value, is one input. Where it is missing `StandIn` stands in.
/// - Text has an indicator for each of the first levels that repeat; where there are more levels, also the mean of the
///   targets learned with the level, drawn towards the mean of all. The first level is what the others differ from.
///   A column whose cells do not repeat is left out.
/// - A date is the time since the first, in days; where the time from row to row varies, that is an input too. Once the
///   rows span two days, two weeks or two years, the hour, the weekday and the time of the year are sines and cosines.
/// - Text among numbers, truth values or dates has indicators as above. That a cell is missing becomes an input when
///   targets of such rows differ from the others by more than 2.5 standard errors.
/// - A first column without a name, or with one that R or pandas give, is an index and left out.
/// - Indicators and cycles are added only while there are fewer inputs than eight and a tenth of the rows.
/// Memory is bounded: at most `LevelTable::capacity` levels a column, and `most_inputs` indicators and cycles.
/// Errors  std::invalid_argument: another number of cells than columns, a state that does not fit
class TableEncoder {
 public:
  static constexpr double most_indicators = 12;  ///< of a column
  static constexpr Index most_inputs = 64;       ///< indicators and cycles are added only up to it

  /// All that later rows depend on.
  struct State {
    /// Inputs, rows, targets, their mean, the sum of their squared deviations.
    Eigen::Matrix<double, 5, 1> memory = Eigen::Matrix<double, 5, 1>::Zero();
    std::vector<ColumnMemory> columns;  ///< in the order of the names

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      visitor(Name{"memory"}, self.memory...);
      visit_list("column", visitor, self.columns...);
    }
  };

  /// For columns of these names. `dialect` says how numbers are written.
  explicit TableEncoder(std::vector<std::string> names, const ColumnChoices& choices = {}, Dialect dialect = {})
      : names_(std::move(names)), dialect_(dialect) {
    state_.columns.resize(names_.size());
    for (std::size_t c = 0; c < names_.size(); ++c) {
      ColumnMemory& column = state_.columns[c];
      const auto is_among = [&](const std::vector<std::string>& list) {
        return std::find(list.begin(), list.end(), names_[c]) != list.end();
      };
      if (c == 0 && is_index(names_[c])) column.set_kind(ColumnKind::left_out);
      if (is_among(choices.text)) column.choose(ColumnKind::text);
      if (is_among(choices.numbers)) column.choose(ColumnKind::number);
      if (is_among(choices.dates)) column.choose(ColumnKind::date);
    }
    row_.keys.setZero(static_cast<Index>(names_.size()));
  }

  /// Whether a first column of this name numbers the rows.
  static bool is_index(const std::string& name) { return name.empty() || name == "rownames" || name == "Unnamed: 0"; }

  const std::vector<std::string>& names() const { return names_; }  ///< of the columns
  /// What a column was taken for so far.
  ColumnKind kind(std::size_t column) const { return state_.columns[column].kind(); }
  Index width() const { return static_cast<Index>(state_.memory[0]); }  ///< inputs so far
  Index rows() const { return static_cast<Index>(state_.memory[1]); }   ///< rows so far

  /// The row, valid until the next call.
  const EncodedRow& encode(std::span<const std::string_view> cells) { return encode_cells(cells); }
  /// A row of numbers, NaN where one is missing: as the text that writes them.
  /// Errors  an infinite number
  const EncodedRow& encode(std::span<const double> cells) { return encode_cells(cells); }
  /// A row of numbers and text.
  const EncodedRow& encode(std::span<const TableCell> cells) { return encode_cells(cells); }

  /// What `encode` would make of a row. The row does not count: nothing changes.
  template <class Cell>
  EncodedRow preview(std::span<const Cell> cells) const {
    expect_equal("TableEncoder", "the number of cells", cells.size(), names_.size());
    if (const auto row = preview_numbers(cells)) return *row;
    TableEncoder copy = *this;
    return copy.encode(cells);
  }

  /// Appends a column, whose cells were missing so far.
  void add_column(std::string name) {
    names_.push_back(std::move(name));
    state_.columns.emplace_back();
    row_.keys.setZero(static_cast<Index>(names_.size()));
  }

  /// Learns which targets go with which levels. Targets may come later than their rows.
  void observe(const EncodedRow& row, double target) {
    double& n = state_.memory[2];
    double& mean = state_.memory[3];
    const double d = target - mean;
    n += 1;
    mean += d / n;
    state_.memory[4] += d * (target - mean);
    for (std::size_t c = 0; c < state_.columns.size(); ++c) {
      const double key = row.keys[static_cast<Index>(c)];
      LevelTable& levels = state_.columns[c].levels;
      const Index at = key == 0 ? -1 : levels.find(key);
      if (at < 0) continue;
      levels(LevelTable::targets, at) += 1;
      levels(LevelTable::target_mean, at) +=
          (target - levels(LevelTable::target_mean, at)) / levels(LevelTable::targets, at);
    }
  }

  /// What a column was taken for: "species: text, 3 values so far"; nothing for plain numbers.
  std::string describe(std::size_t c) const {
    const ColumnMemory& column = state_.columns[c];
    const double cells = column.count[ColumnMemory::text_cells];
    const bool has_gaps = column.levels.find(LevelTable::key_of({})) >= 0;  // a level of its own
    const double levels = column.count[ColumnMemory::levels_seen] - (has_gaps ? 1 : 0);
    const auto say = [&](const std::string& what) { return in_quotes(names_[c]) + ": " + what; };
    switch (column.kind()) {
      case ColumnKind::unknown:
        return say("no value so far");
      case ColumnKind::number:
        return is_mixed(column) ? say("numbers, and text in " + format_number(text_cells(column)) +
                                      (text_cells(column) == 1 ? " cell" : " cells"))
                                : "";
      case ColumnKind::truth:
        return say("true or false");
      case ColumnKind::date:
        return say("dates");
      case ColumnKind::text:
        return say(cells > 9 && levels == cells
                       ? "text, another in every row so far"
                       : "text, " + format_number(levels) + (levels == 1 ? " value so far" : " values so far") +
                             (has_gaps ? ", and gaps" : ""));
      default:
        return say(c == 0 && is_index(names_[c]) ? "index, left out" : "text that hardly repeats, left out");
    }
  }

  /// Whether all columns so far are dates or left out.
  bool has_only_dates() const {
    return std::all_of(state_.columns.begin(), state_.columns.end(), [](const ColumnMemory& column) {
      return column.kind() == ColumnKind::date || column.kind() == ColumnKind::left_out;
    });
  }

  const State& state() const { return state_; }  ///< a value

  /// Continues from a state of columns with the same names.
  void set_state(State state) {
    expect_valid(state);
    for (ColumnMemory& column : state.columns)
      if (!column.levels.restore()) refuse("TableEncoder", "set_state: a level occurs twice, expected it once");
    state_ = std::move(state);
  }

  /// Appends the rows of `later`. Both must have given the same inputs to the same columns.
  void merge(const State& later) {
    expect_valid(later);
    for (std::size_t c = 0; c < names_.size(); ++c) {
      const ColumnMemory &a = state_.columns[c], &b = later.columns[c];
      if (a.kind_and_choice != b.kind_and_choice || a.input != b.input || a.levels.size() > 0 || b.levels.size() > 0 ||
          a.dates.count() > 0 || b.dates.count() > 0)
        refuse("TableEncoder", "merge: column ", in_quotes(names_[c]),
               " has text, dates or other inputs, expected complete columns of numbers in both");
    }
    for (std::size_t c = 0; c < names_.size(); ++c) state_.columns[c].stand_in.merge(later.columns[c].stand_in);
    const double n = state_.memory[2] + later.memory[2], d = later.memory[3] - state_.memory[3];
    state_.memory[1] += later.memory[1];
    if (n > 0) {
      state_.memory[4] += later.memory[4] + state_.memory[2] * later.memory[2] / n * d * d;
      state_.memory[3] += later.memory[2] / n * d;
    }
    state_.memory[2] = n;
  }

 private:
  using Slot = ColumnMemory::Input;

  template <class Cell>
  const EncodedRow& encode_cells(std::span<const Cell> cells) {
    expect_equal("TableEncoder", "the number of cells", cells.size(), names_.size());
    state_.memory[1] += 1;
    row_.x.setZero(width());
    row_.keys.setZero();
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (state_.columns[c].kind() == ColumnKind::left_out) continue;
      if constexpr (std::is_same_v<Cell, TableCell>)
        std::visit([&](const auto& cell) { set_cell(c, cell); }, cells[c]);
      else
        set_cell(c, cells[c]);
    }
    return row_;
  }

  void set_cell(std::size_t c, std::string_view cell) {
    ColumnMemory& column = state_.columns[c];
    if (column.kind() == ColumnKind::number)
      if (const auto number = parse_number(cell, dialect_)) return set_number(column, *number);
    encode_cell(c, cell);
  }
  void set_cell(std::size_t c, double cell) {
    ColumnMemory& column = state_.columns[c];
    if (std::isnan(cell)) return encode_cell(c, "");
    expect_finite_cell(c, cell);
    if (column.kind() == ColumnKind::number) return set_number(column, cell);
    encode_cell(c, format_number(cell));
  }
  void expect_finite_cell(std::size_t c, double cell) const {
    if (std::isinf(cell))
      refuse("TableEncoder", "column ", in_quotes(names_[c]), " is ", format_number(cell),
             ", expected a finite number, or NaN where it is missing");
  }

  /// `preview` of numbers in columns of numbers that have inputs, without a copy.
  template <class Cell>
  std::optional<EncodedRow> preview_numbers(std::span<const Cell> cells) const {
    if constexpr (std::is_same_v<Cell, double>) {
      EncodedRow row{Eigen::VectorXd::Zero(width()), Eigen::VectorXd::Zero(static_cast<Index>(cells.size()))};
      for (std::size_t c = 0; c < cells.size(); ++c) {
        const ColumnMemory& column = state_.columns[c];
        const double input = column.input[Slot::value];
        if (column.kind() != ColumnKind::number || input < 0 || std::isnan(cells[c])) return std::nullopt;
        expect_finite_cell(c, cells[c]);
        row.x[static_cast<Index>(input)] = cells[c];
      }
      return row;
    }
    return std::nullopt;
  }

  static double text_cells(const ColumnMemory& column) { return column.count[ColumnMemory::text_cells]; }
  static bool is_mixed(const ColumnMemory& column) { return text_cells(column) > 0; }

  double add_inputs(Index count) {
    const double at = state_.memory[0];
    state_.memory[0] += static_cast<double>(count);
    row_.x.conservativeResizeLike(Eigen::VectorXd::Zero(width()));
    return at;
  }

  void put(ColumnMemory& column, Slot slot, double number) {
    if (column.input[slot] < 0) column.input[slot] = add_inputs(1);
    row_.x[static_cast<Index>(column.input[slot])] = number;
  }

  void set_number(ColumnMemory& column, double number) {
    column.stand_in.absorb(number);
    put(column, Slot::value, number);
  }

  /// What a first cell that is there makes of a column.
  ColumnKind kind_of(std::size_t c, std::string_view cell) {
    if (const auto number = parse_number(cell, dialect_)) {
      DateMemory& dates = state_.columns[c].dates;
      const std::string name = lower_case(names_[c]);
      const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
      const double n = *number;
      if ((has("date") || name == "day") && cell.size() == 8 && eight_digits(n)) {
        dates.set_form(DateMemory::eight_digits);
        return ColumnKind::date;
      }
      if (has("timestamp") || has("epoch") || has("unix") || name == "time" || name == "date") {
        if (n >= 1e8 && n < 1e10) return dates.set_form(DateMemory::seconds), ColumnKind::date;
        if (n >= 1e11 && n < 1e13) return dates.set_form(DateMemory::milliseconds), ColumnKind::date;
        if (n >= 1500 && n < 2200) return dates.set_form(DateMemory::years), ColumnKind::date;  // as of R's series
      }
      return ColumnKind::number;
    }
    if (read_truth(cell)) return ColumnKind::truth;
    if (read_date(cell)) return ColumnKind::date;
    return ColumnKind::text;
  }

  static std::string lower_case(std::string text) {
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return text;
  }

  static std::optional<double> eight_digits(double number) {
    const auto n = static_cast<long>(number);
    return n >= 10000000 && n <= 99999999 ? detail::days_of(n / 10000, n / 100 % 100, n % 100) : std::nullopt;
  }

  std::optional<DateReading> read_date_of(const ColumnMemory& column, std::string_view cell) const {
    const DateMemory::Form form = column.dates.form();
    if (form == DateMemory::text) return read_date(cell);
    const auto number = parse_number(cell, dialect_);
    if (!number) return std::nullopt;
    DateReading reading;
    if (form == DateMemory::eight_digits) {
      const auto days = eight_digits(*number);
      if (!days) return std::nullopt;
      reading.days = *days;
      return reading;
    }
    if (form == DateMemory::years) {
      reading.days = days_a_year * (*number - 1970);
      reading.has_days = false;
      return reading;
    }
    reading.days = *number / (form == DateMemory::seconds ? 86400 : 86400000.0);
    reading.has_time = true;
    return reading;
  }

  void encode_cell(std::size_t c, std::string_view cell) {
    ColumnMemory& column = state_.columns[c];
    const bool missing = is_missing_cell(cell);
    if (column.kind() == ColumnKind::unknown) {
      if (missing) return;
      column.set_kind(kind_of(c, cell));
    }
    if (column.kind() == ColumnKind::text) return set_text(c, missing ? std::string_view() : cell);
    if (!missing) {
      if (column.kind() == ColumnKind::date) {
        if (const auto date = read_date_of(column, cell)) return set_date(column, *date);
      } else {
        if (column.kind() == ColumnKind::truth)
          if (const auto truth = read_truth(cell)) return set_number(column, *truth);
        if (const auto number = parse_number(cell, dialect_)) return set_number(column, *number);
      }
    }
    if (column.input[Slot::value] >= 0) put(column, Slot::value, column.stand_in.value());
    if (missing || column.is_chosen())
      set_missing(c);
    else
      set_text(c, cell);
  }

  /// The level of a text, as it is after this cell; -1 where there is no room.
  Index count_level(std::size_t c, std::string_view text) {
    LevelTable& levels = state_.columns[c].levels;
    const double key = LevelTable::key_of(text);
    row_.keys[static_cast<Index>(c)] = key;
    Index at = levels.find(key);
    const bool is_new = at < 0;
    if (is_new) at = levels.insert(key);
    if (at < 0) return at;
    levels(LevelTable::cells, at) += 1;
    levels(LevelTable::last_row, at) = state_.memory[1];
    return at;
  }

  void set_indicator(ColumnMemory& column, Index level, bool may_begin) {
    double& input = column.levels(LevelTable::input, level);
    if (input < 0 && may_begin) {
      input = add_inputs(1);
      column.count[ColumnMemory::indicators] += 1;
    }
    if (input >= 0) row_.x[static_cast<Index>(input)] = 1;
  }

  bool has_room(const ColumnMemory& column) const {
    return column.count[ColumnMemory::indicators] < most_indicators && fits(1);
  }

  /// Whether so many inputs may be added to what rows of text or dates have: a tenth of the rows, and eight.
  bool fits(Index inputs) const {
    const double after = state_.memory[0] + static_cast<double>(inputs);
    return after <= most_inputs && after <= 8 + state_.memory[1] / 10;
  }

  void set_text(std::size_t c, std::string_view text) {
    ColumnMemory& column = state_.columns[c];
    LevelTable& levels = column.levels;
    const Index before = levels.size(), at = count_level(c, text);
    if (at < 0) return;
    double& cells = column.count[ColumnMemory::text_cells];
    double& seen = column.count[ColumnMemory::levels_seen];
    double& repeats = column.count[ColumnMemory::repeats];
    cells += 1;
    const bool is_new = levels(LevelTable::cells, at) == 1;
    (is_new ? seen : repeats) += 1;
    if (before == LevelTable::capacity && is_new && !column.is_chosen() && repeats < 0.05 * cells) {
      levels.clear();  // an identifier or free text
      row_.keys[static_cast<Index>(c)] = 0;
      column.set_kind(column.kind() == ColumnKind::text ? ColumnKind::left_out : column.kind());
      return;
    }
    const bool many = seen > most_indicators;
    const bool is_reference = column.kind() == ColumnKind::text && at == 0 && !many;
    const bool repeats_enough = levels(LevelTable::cells, at) >= 2 || seen <= 1 + cells / 2;
    set_indicator(column, at, !is_reference && repeats_enough && has_room(column));
    if (column.input[Slot::level_mean] < 0 && !(many && repeats > 0)) return;
    const double n = levels(LevelTable::targets, at), mean = state_.memory[3], weight = 2;
    put(column, Slot::level_mean, mean + n / (n + weight) * (levels(LevelTable::target_mean, at) - mean));
  }

  void set_missing(std::size_t c) {
    ColumnMemory& column = state_.columns[c];
    const Index at = count_level(c, "");
    if (at < 0) return;
    const double n = column.levels(LevelTable::targets, at), all = state_.memory[2];
    const double difference = column.levels(LevelTable::target_mean, at) - state_.memory[3];
    const bool tells = n >= 5 && all > n && difference * difference * n * all > 6.25 * state_.memory[4];
    set_indicator(column, at, tells && has_room(column));
    if (column.input[Slot::level_mean] >= 0) put(column, Slot::level_mean, state_.memory[3]);
  }

  void set_date(ColumnMemory& column, const DateReading& date) {
    const double days = column.dates.absorb(date), first = column.dates.first();
    const double before = column.stand_in.last();
    const bool is_first = column.stand_in.count() == 0;
    set_number(column, days - first);
    if (!is_first) {
      const double elapsed = days - first - before;
      if (column.dates.step_varies(elapsed)) put(column, Slot::step, elapsed);
    }
    const double span = std::abs(days - first);
    if (date.has_time) cycle(column, Slot::day, day_turn(days), day_turn(first), span >= 2, 6);
    if (date.has_days) cycle(column, Slot::week, week_turn(days), week_turn(first), span >= 14, 3);
    const auto turn = column.dates.form() == DateMemory::years ? decimal_turn : year_turn;
    cycle(column, Slot::year, turn(days), turn(first), span >= 730, 5);
  }

  // Turns are exact where dates are a whole number of periods apart, so that such a cycle is seen not to vary.
  static double day_turn(double days) { return std::round(1e6 * (days - std::floor(days))) / 1e6; }
  static double week_turn(double days) {
    const double since_monday = std::floor(days) + 3;
    return (since_monday - 7 * std::floor(since_monday / 7)) / 7;
  }
  static double year_turn(double days) {
    using namespace std::chrono;
    const year_month_day date{sys_days(std::chrono::days(static_cast<int>(std::floor(days))))};
    return (static_cast<double>(static_cast<unsigned>(date.month())) - 1 +
            (static_cast<double>(static_cast<unsigned>(date.day())) - 1) / 31) /
           12;
  }

  static double decimal_turn(double days) {
    const double tens_of_thousandths = std::round(1e4 * (days / days_a_year + 1970));
    return (tens_of_thousandths - 1e4 * std::floor(tens_of_thousandths / 1e4)) / 1e4;
  }

  static constexpr double days_a_year = 365.2425;

  void cycle(ColumnMemory& column, Slot slot, double turn, double first, bool long_enough, int harmonics) {
    double& input = column.input[slot];
    if (input < 0) {
      if (!long_enough || turn == first || !fits(2 * harmonics)) return;
      input = add_inputs(2 * harmonics);
    }
    for (int h = 0; h < harmonics; ++h) {
      const double angle = 2 * std::numbers::pi * (h + 1) * turn;
      row_.x[static_cast<Index>(input) + 2 * h] = std::sin(angle);
      row_.x[static_cast<Index>(input) + 2 * h + 1] = std::cos(angle);
    }
  }

  /// Refuses what no rows lead to: a state of other columns, or with inputs that there are not.
  void expect_valid(const State& state) const {
    expect_equal("TableEncoder", "set_state: the number of columns", state.columns.size(), names_.size());
    visit([](const Name& name, const auto& member) { expect_finite("TableEncoder", name.str().c_str(), member); },
          state);
    const auto expect = [](bool valid, const std::string& what) {
      if (!valid) refuse("TableEncoder", "set_state: ", what, " is out of range, expected what rows lead to");
    };
    const double width = state.memory[0];
    expect(width >= 0 && width <= 1e6 && width == std::floor(width), "the number of inputs");
    for (const int count : {1, 2, 4}) expect(state.memory[count] >= 0, "a count");
    const auto is_input = [&](double at, double count) {
      return at == -1 || (at >= 0 && at == std::floor(at) && at + count <= width);
    };
    for (const ColumnMemory& column : state.columns) {
      const double kind = column.kind_and_choice[0];
      expect(kind >= 0 && kind <= static_cast<double>(ColumnKind::left_out) && kind == std::floor(kind), "a kind");
      expect(column.dates.form() >= DateMemory::text && column.dates.form() <= DateMemory::years, "a date's form");
      constexpr std::array<double, ColumnMemory::inputs> counts{1, 1, 1, 12, 6, 10};
      for (int i = 0; i < ColumnMemory::inputs; ++i)
        expect(is_input(column.input[i], counts[static_cast<std::size_t>(i)]), "an input");
      expect(column.levels.size() <= LevelTable::capacity, "the number of levels");
      for (Index i = 0; i < column.levels.size(); ++i)
        expect(is_input(column.levels(LevelTable::input, i), 1), "an input");
    }
  }

  std::vector<std::string> names_;
  Dialect dialect_;
  State state_;
  EncodedRow row_;
};

}  // namespace gdssm
