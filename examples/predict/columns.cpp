// SPDX-License-Identifier: Apache-2.0
#include "predict/columns.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <optional>
#include <string>

#include "gdssm/core/error.hpp"
#include "gdssm/io/cell_values.hpp"
#include "gdssm/io/dialect.hpp"
#include "gdssm/io/parse_number.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/learners/learner.hpp"

namespace gdssm::predict {
namespace {

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<std::size_t> position(const CsvRows& table, const std::string& name) {
  const auto& names = table.columns();
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - names.begin()));
}

void expect_small(const CsvRows& table, std::size_t column, double number) {
  if (std::abs(number) > largest_input<double>)
    table.refuse_cell(column, format_number(number), " is too large, expected a magnitude of at most ",
                      format_number(largest_input<double>));
}

}  // namespace

Columns::Columns(const CsvRows& table, const std::string& where, ColumnOptions options, const Beginning& beginning) {
  // Names may be given with the blanks around them that the file has.
  for (auto* names :
       {&options.targets, &options.ignored, &options.choices.text, &options.choices.numbers, &options.choices.dates})
    for (std::string& name : *names)
      if (!position(table, name)) name = std::string(detail::without_blanks(name));
  const auto expect_known = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names)
      if (beginning.is_empty() || !is_among(beginning.setting().columns, name)) table.column(name);
  };
  expect_known(options.ignored);
  for (const auto* names : {&options.choices.text, &options.choices.numbers, &options.choices.dates})
    expect_known(*names);

  if (!beginning.is_empty()) {
    const Setting& setting = beginning.setting();
    targets_ = options.targets.empty() ? setting.targets : options.targets;
    inputs_ = setting.columns;
    for (const std::string& name : table.columns())
      if (!is_among(inputs_, name) && !is_among(targets_, name) && !is_among(options.ignored, name) && !name.empty())
        notices_.push_back(in_quotes(name) + ": unknown to " + beginning.name() + ", left out");
    for (const std::string& name : inputs_)
      if (!position(table, name) && !TableEncoder::is_index(name) && !is_among(options.ignored, name))
        refuse(where, "no column ", in_quotes(name), ", from which ", beginning.name(),
               " has learned, expected it, or --ignore ", name, " to take its cells as missing");
    for (const std::string& name : targets_)
      if (!position(table, name)) notices_.push_back(in_quotes(name) + ": no such column, rows are predicted alone");
  } else {
    targets_ = options.targets;
    for (const std::string& name : targets_) table.column(name);
    for (auto name = table.columns().rbegin(); targets_.empty() && name != table.columns().rend(); ++name)
      if (!is_among(options.ignored, *name)) targets_ = {*name};
    if (targets_.empty()) refuse(where, "every column is ignored, expected one to predict");
    for (const std::string& name : table.columns())
      if (!is_among(targets_, name) && !is_among(options.ignored, name)) inputs_.push_back(name);
  }
  for (const std::string& name : inputs_)
    input_positions_.push_back(is_among(options.ignored, name) ? nowhere : position(table, name).value_or(nowhere));
  for (const std::string& name : targets_) target_positions_.push_back(position(table, name).value_or(nowhere));
  cells_.resize(inputs_.size());
}

std::span<const std::string_view> Columns::cells(CsvRows::Cells row) {
  for (std::size_t i = 0; i < cells_.size(); ++i)
    cells_[i] = input_positions_[i] == nowhere ? std::string_view() : row[input_positions_[i]];
  return cells_;
}

double Columns::target(const CsvRows& table, CsvRows::Cells row, std::size_t i, const TableEncoder& encoder) const {
  const std::size_t column = target_positions_[i];
  if (column == nowhere) return std::numeric_limits<double>::quiet_NaN();
  if (const auto number = parse_number(row[column], table.dialect())) {
    expect_small(table, column, *number);
    return *number;
  }
  if (is_missing_cell(row[column])) return std::numeric_limits<double>::quiet_NaN();
  if (const auto truth = read_truth(row[column])) return *truth;
  std::string others;
  for (std::size_t c = 0; c < inputs_.size(); ++c)
    if (encoder.kind(c) == ColumnKind::number || encoder.kind(c) == ColumnKind::truth)
      others += (others.empty() ? "" : ", ") + in_quotes(inputs_[c]);
  table.refuse_cell(column, in_quotes(row[column]), " is not a finite number, as a target must be; ",
                    others.empty()
                        ? "no other column has numbers so far, expected --classify"
                        : "columns with numbers are " + others + ", expected --target with one of them, or --classify");
}

std::optional<std::string> Columns::label(CsvRows::Cells row, std::size_t i) const {
  const std::size_t column = target_positions_[i];
  if (column == nowhere || is_missing_cell(row[column])) return std::nullopt;
  return std::string(detail::without_blanks(row[column]));
}

void Columns::expect_learnable(const CsvRows& table, CsvRows::Cells row, const Eigen::VectorXd& x) const {
  bool all = true;
  for (const double number : x) all &= std::abs(number) <= largest_input<double>;
  if (all) return;
  for (const std::size_t column : input_positions_)
    if (column != nowhere)
      if (const auto number = parse_number(row[column], table.dialect())) expect_small(table, column, *number);
}

void say_dialect(const CsvRows& table, const DialectOptions& known) {
  const Dialect& dialect = table.dialect();
  Dialect usual = dialect;
  usual.delimiter = known.delimiter.value_or(table.columns().size() == 1 ? '\0' : ',');
  usual.decimal = known.decimal.value_or('.');
  usual.thousands = '\0';
  usual.header_in_comment = false;
  usual.preamble = 0;
  if (dialect != usual) std::cerr << "file: " << describe(dialect) << '\n';
  if (!dialect.header) return;
  std::string text;
  for (const auto& [column, name] : table.renamed())
    if (name.empty())
      text += (text.empty() ? "columns without a name: " : ", ") + std::to_string(column + 1) + " is called " +
              in_quotes(table.columns()[column]);
  if (!text.empty()) std::cerr << text << '\n';
}

void say_left_out(const CsvRows& table) {
  std::string text;
  const auto say = [&](std::size_t lines, const std::string& what) {
    if (lines > 0)
      text += (text.empty() ? "left out: " : ", ") + std::to_string(lines) + (lines == 1 ? " line" : " lines") + what;
  };
  say(table.left_out().comments, std::string(" beginning with ") + table.dialect().comment);
  say(table.left_out().headers, " repeating the header");
  if (!text.empty()) std::cerr << text << '\n';
}

void ColumnNotice::say(const TableEncoder& encoder) {
  std::string text;
  kinds_.resize(encoder.names().size());
  for (std::size_t c = 0; c < kinds_.size(); ++c) {
    const std::string what = encoder.describe(c);
    const std::string kind = what.substr(0, what.find_first_of(",0123456789", encoder.names()[c].size() + 2));
    if (kind == kinds_[c]) continue;
    kinds_[c] = kind;
    text += (text.empty() ? "columns: " : "; ") + what;
  }
  if (!text.empty()) std::cerr << text << '\n';
  said_rows_ = encoder.rows();
  width_ = encoder.width();
}

}  // namespace gdssm::predict
