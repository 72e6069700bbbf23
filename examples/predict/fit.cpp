// SPDX-License-Identifier: Apache-2.0
#include "predict/fit.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <istream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "gdssm/core/thread_pool.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/csv_rows.hpp"
#include "gdssm/io/row_ranges.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/table_encoder.hpp"
#include "gdssm/version.hpp"
#include "predict/state_file.hpp"
#include "predict/target.hpp"
#include "support/progress.hpp"

namespace gdssm::predict {
namespace {

constexpr std::uint64_t piece_size = 1 << 18;
constexpr Index most_pieces = 1 << 14;  // of a file
constexpr std::size_t looked_at = 1 << 16;

std::string read_bytes(const std::string& file, std::uint64_t begin, std::size_t count) {
  std::ifstream in = open_input(file);
  std::string bytes(count, '\0');
  in.seekg(static_cast<std::streamoff>(begin));
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

/// Lines that end before a byte.
std::size_t lines_before(const std::string& file, std::uint64_t end, char line_end) {
  std::size_t lines = 0;
  for (std::uint64_t at = 0; at < end; at += looked_at) {
    const std::string bytes =
        read_bytes(file, at, static_cast<std::size_t>(std::min<std::uint64_t>(looked_at, end - at)));
    lines += static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), line_end));
  }
  return lines;
}

/// A table whose rows are read in pieces.
struct Table {
  std::string header;  // its line, with its end; empty where there is none
  DialectOptions dialect;
  Dialect sniffed;
  std::vector<std::string> names;
  RowRanges ranges;

  static Table open(const std::string& file, const DialectOptions& known) {
    std::error_code error;
    if (std::filesystem::exists(file, error) && !std::filesystem::is_regular_file(file, error))
      refuse(file, "is no regular file, expected one that can be read in pieces");
    std::ifstream in = open_input(file);
    CsvRows rows(in, file, known);
    const Dialect& dialect = rows.dialect();
    const std::string beginning = read_bytes(file, 0, 1 << 20);
    if (beginning.starts_with("\xFF\xFE") || beginning.starts_with("\xFE\xFF"))
      refuse(file, "is text in UTF-16, expected text in which a line end is one byte");
    if (dialect.header_in_comment) refuse(file, "the header is in a comment, expected a line of its own");
    if (!dialect.header && !known.header)
      refuse(file + ":" + std::to_string(rows.first_line()),
             "no header: all cells are numbers, expected the columns' names, or --no-header");
    // The header is one line, or --fit would find other names in its pieces and say so.
    std::size_t begin = 0;
    for (std::size_t line = 1; line < rows.first_line(); ++line) begin = beginning.find(dialect.line_end, begin) + 1;
    std::size_t end = begin;
    if (dialect.header) {
      end = beginning.find(dialect.line_end, begin);
      end = end == std::string::npos ? beginning.size() : end + 1;
    }
    const auto size = std::filesystem::file_size(file);
    return {beginning.substr(begin, end - begin),
            {dialect.delimiter, dialect.decimal, dialect.header},
            dialect,
            rows.columns(),
            RowRanges(file, end, RowRanges::pieces_of(size - end, piece_size, most_pieces), dialect.line_end)};
  }

  bool has_rows(const ByteRange& range) const {
    for (std::uint64_t at = range.begin; at < range.end; at += looked_at) {
      const std::string bytes =
          read_bytes(ranges.file(), at, static_cast<std::size_t>(std::min<std::uint64_t>(looked_at, range.end - at)));
      if (std::any_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) > 0x20; }))
        return true;
    }
    return false;
  }

  /// What is read the same way must be the same: its size, and how it begins and ends.
  std::string in_words() const {
    const std::uint64_t size = ranges.file_size(), tail = size > looked_at ? size - looked_at : 0;
    const std::hash<std::string> hash;
    return std::to_string(size) + " bytes, hash " +
           std::to_string(hash(read_bytes(ranges.file(), 0, looked_at) + read_bytes(ranges.file(), tail, looked_at)));
  }
};

/// What has been learned of some rows; nothing where there were none.
struct Part {
  std::string where;
  std::optional<Safetensors> state;
};

std::vector<Target> targets_for(const Setting& setting, const ColumnOptions& columns, const Dialect& dialect) {
  std::vector<Target> targets;
  for (const std::string& name : setting.targets)
    targets.emplace_back(name, TableEncoder(setting.columns, columns.choices, dialect),
                         TargetSettings{setting.learner, {}, 0, 0});
  return targets;
}

class Fit {
 public:
  Fit(const FitOptions& options, std::vector<Table> tables)
      : options_(options), tables_(std::move(tables)), columns_(columns_of_first()) {
    setting_ = {columns_->inputs(), columns_->targets(), options.learner};
    setting_.learner.learner = learner_of(options.learner);
    setting_.learner.lags = 0;
    for (const Table& table : tables_) {
      if (table.names != tables_.front().names)
        refuse(table.ranges.file(), "has other columns than ", tables_.front().ranges.file(), ", expected the same");
      pieces_ += table.ranges.count();
    }
  }

  Index pieces() const { return pieces_; }
  const Setting& setting() const { return setting_; }

  /// Learns piece p of all files.
  Part learn(Index p) const {
    std::size_t t = 0;
    for (; p >= tables_[t].ranges.count(); ++t) p -= tables_[t].ranges.count();
    const Table& table = tables_[t];
    const std::string& file = table.ranges.file();
    const ByteRange range = table.ranges[p];
    Part part{file + ", bytes " + std::to_string(range.begin) + " to " + std::to_string(range.end), std::nullopt};
    if (!table.has_rows(range)) return part;
    try {
      part.state = learn(table, range);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(with_line_of_file(error.what(), table, range));
    }
    return part;
  }

  /// What has been learned of some rows and of those behind them.
  Part merged(Part first, Part later) const {
    if (!later.state) return first;
    if (!first.state) return later;
    std::vector<Target> targets = targets_for(setting_, options_.columns, tables_.front().sniffed);
    const Beginning both({{first.where, std::move(*first.state)}, {later.where, std::move(*later.state)}});
    both.apply(targets, setting_);
    return {first.where, state_file_of(targets, setting_)};
  }

 private:
  std::unique_ptr<const Columns> columns_of_first() const {
    const std::string& file = tables_.front().ranges.file();
    std::ifstream in = open_input(file);
    const CsvRows rows(in, file, options_.dialect);
    expect_utf8(rows, file);
    return std::make_unique<const Columns>(rows, file + ":" + std::to_string(rows.first_line()), options_.columns,
                                           Beginning({}, ""));
  }

  Safetensors learn(const Table& table, const ByteRange& range) const {
    RangeBuffer bytes(table.header, table.ranges.file(), range);
    std::istream in(&bytes);
    CsvRows rows(in, table.ranges.file(), table.dialect);
    if (rows.columns() != table.names || rows.dialect().thousands != table.sniffed.thousands ||
        rows.dialect().delimiter != table.sniffed.delimiter)
      refuse(table.ranges.file(), "bytes ", range.begin, " to ", range.end, " read as ", describe(rows.dialect()),
             ", expected ", describe(table.sniffed), " as at the beginning");
    Columns columns = *columns_;
    std::vector<Target> targets = targets_for(setting_, options_.columns, rows.dialect());
    for (CsvRows::Cells row; rows.next(row);) {
      const auto cells = columns.cells(row);
      for (std::size_t i = 0; i < targets.size(); ++i) {
        targets[i].encode(cells);
        columns.expect_learnable(rows, row, targets[i].row().x);
        targets[i].teach(columns.target(rows, row, i, targets[i].encoder()));
      }
    }
    return state_file_of(targets, setting_);
  }

  /// Messages of a piece count its own lines, "FILE:12: ..."; they are to count the file's.
  static std::string with_line_of_file(const std::string& message, const Table& table, const ByteRange& range) {
    const std::string place = table.ranges.file() + ":";
    std::size_t line = 0;
    if (!message.starts_with(place)) return message;
    const char* const digits = message.data() + place.size();
    const auto [end, error] = std::from_chars(digits, message.data() + message.size(), line);
    if (error != std::errc()) return message;
    line += lines_before(table.ranges.file(), range.begin, table.sniffed.line_end);
    return place + std::to_string(line - (table.header.empty() ? 0 : 1)) + end;
  }

  FitOptions options_;
  std::vector<Table> tables_;
  std::unique_ptr<const Columns> columns_;
  Setting setting_;
  Index pieces_ = 0;
};

/// All that must be the same on every process.
std::vector<std::pair<std::string, std::string>> identity_of(const FitOptions& options, const Fit& fit,
                                                             const std::vector<Table>& tables) {
  std::string columns, choices;
  for (const std::string& name : fit.setting().targets) columns += name + " ";
  columns += "of";
  for (const std::string& name : fit.setting().columns) columns += " " + name;
  for (const auto* names :
       {&options.columns.choices.text, &options.columns.choices.numbers, &options.columns.choices.dates}) {
    for (const std::string& name : *names) choices += name + " ";
    choices += ";";
  }
  std::vector<std::pair<std::string, std::string>> words{{"the version", std::string(version)},
                                                         {"the learner", in_words(fit.setting().learner)},
                                                         {"the columns", columns},
                                                         {"--text, --number and --date", choices},
                                                         {"the number of files", std::to_string(tables.size())}};
  for (const Table& table : tables) words.emplace_back("the file " + table.ranges.file(), table.in_words());
  return words;
}

}  // namespace

void fit(const FitOptions& options, Processes& processes) {
  expect_exact_merge(options.learner);
  std::vector<Table> tables;
  for (const std::string& file : options.files) tables.push_back(Table::open(file, options.dialect));
  const Fit fit(options, tables);
  expect_same(processes, identity_of(options, fit, tables));
  std::unique_ptr<AtomicFile> out;
  if (processes.rank() == 0) {
    if (std::filesystem::exists(options.state))
      refuse(options.state, "is there already, expected a new file (--merge joins states)");
    out = std::make_unique<AtomicFile>(options.state);
  }

  const Index n = fit.pieces();
  const ItemRange mine = items_of(processes.rank(), n, processes.size());
  std::vector<Part> parts(static_cast<std::size_t>(mine.count));
  const auto part = [&](Index p) -> Part& { return parts[static_cast<std::size_t>(p - mine.first)]; };
  const auto merge = [&](Index first, Part later) {
    part(first) = fit.merged(std::exchange(part(first), {}), std::move(later));
  };
  {
    programs::Progress progress("predict --fit", mine.count);
    ThreadPool pool(options.threads);
    for (Index begin = mine.first; begin < mine.end(); begin += pool.threads()) {
      const Index end = std::min(begin + pool.threads(), mine.end());
      pool.run(end - begin, [&](Index i) { part(begin + i) = fit.learn(begin + i); });
      progress.advance(end - begin);
      // What can be merged is merged at once, in the order in which it would be later, and needs no room until then.
      for (Index p = begin; p < end; ++p)
        for (Index width = 4; (p + 1) % width == 0 && p + 1 - width >= mine.first; width *= 4)
          for (Index child = p + 1 - width + width / 4; child <= p; child += width / 4)
            merge(p + 1 - width, std::exchange(part(child), {}));
    }
  }
  fold_in_fours(
      n, processes, [&](Index first, Index other) { merge(first, std::exchange(part(other), {})); },
      [&](Index other, Index to) {
        send_text(processes, part(other).where, to);
        send_text(processes, part(other).state ? serialize(*part(other).state) : "", to);
      },
      [&](Index first, Index from) {
        Part later{receive_text(processes, from), std::nullopt};
        const std::string bytes = receive_text(processes, from);
        if (!bytes.empty()) later.state = parse_safetensors(bytes, later.where);
        merge(first, std::move(later));
      });
  if (processes.rank() != 0) return;

  Part& whole = part(0);
  if (!whole.state) refuse(options.files.front(), "a header without rows, expected at least one row after it");
  *out << serialize(*whole.state, options.state);
  out->commit();
  std::cerr << n << (n == 1 ? " piece" : " pieces") << " learned, the state is in " << options.state << '\n';
}

}  // namespace gdssm::predict
