// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gdssm/io/csv_rows.hpp"
#include "gdssm/io/dialect.hpp"
#include "gdssm/io/table_encoder.hpp"
#include "predict/state_file.hpp"
#include "predict/target.hpp"

namespace gdssm::predict {

/// What the command line says of columns.
struct ColumnOptions {
  std::vector<std::string> targets, ignored;
  ColumnChoices choices;
};

/// Which columns of a file are inputs and which are targets.
class Columns {
 public:
  /// Matches columns by name with those of a state, if there is one.
  /// Errors  std::invalid_argument naming the file: unknown columns, or one that the state has learned from is missing
  Columns(const CsvRows& table, const std::string& where, ColumnOptions options, const Beginning& beginning);

  const std::vector<std::string>& inputs() const { return inputs_; }
  const std::vector<std::string>& targets() const { return targets_; }
  /// What was left out or missed, for standard error.
  const std::vector<std::string>& notices() const { return notices_; }

  /// The cells of the inputs, empty where the file has no such column; valid until the next call.
  std::span<const std::string_view> cells(CsvRows::Cells row);

  /// The number of a target's cell; NaN where it is missing.
  /// Errors  std::invalid_argument with the line, naming columns that would do
  double target(const CsvRows& table, CsvRows::Cells row, std::size_t i, const TableEncoder& encoder) const;

  /// The name in a target's cell; nothing where it is missing.
  std::optional<std::string> label(CsvRows::Cells row, std::size_t i) const;

  /// Refuses inputs that are too large to learn from, with the line.
  void expect_learnable(const CsvRows& table, CsvRows::Cells row, const Eigen::VectorXd& x) const;

 private:
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

  std::vector<std::string> inputs_, targets_, notices_;
  std::vector<std::size_t> input_positions_, target_positions_;
  std::vector<std::string_view> cells_;
};

/// Says on standard error how a table is written, where that is neither usual nor known, and which columns have no
/// name.
void say_dialect(const CsvRows& table, const DialectOptions& known);

/// Says on standard error which lines were no rows. To be called at the end.
void say_left_out(const CsvRows& table);

/// Says on standard error what columns were taken for: once when it is clear, and again of a column that turns out to
/// be something else.
class ColumnNotice {
 public:
  /// To be called after each row.
  void after_row(const TableEncoder& encoder) {
    if (encoder.rows() < first_notice || (said_rows_ > 0 && encoder.width() == width_)) return;
    say(encoder);
  }
  /// To be called at the end.
  void say(const TableEncoder& encoder);

 private:
  static constexpr Index first_notice = 100;

  Index said_rows_ = 0, width_ = 0;
  std::vector<std::string> kinds_;
};

}  // namespace gdssm::predict
