// SPDX-License-Identifier: Apache-2.0
// Predicts the targets of a CSV stream row by row, learning in context from the rows seen so far.
//     predict examples/data/sunspots_lags.csv --summary summary.json --plot sunspots.svg

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/cell_values.hpp"
#include "gdssm/io/csv_rows.hpp"
#include "gdssm/io/csv_writer.hpp"
#include "gdssm/io/decompressed.hpp"
#include "gdssm/io/dialect.hpp"
#include "gdssm/io/parse_number.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/table_encoder.hpp"
#include "gdssm/io/text.hpp"
#include "predict/classify.hpp"
#include "predict/columns.hpp"
#include "predict/dialect_options.hpp"
#include "predict/fit.hpp"
#include "predict/learners.hpp"
#include "predict/state_file.hpp"
#include "predict/target.hpp"
#include "support/figure.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"
#include "support/ranks.hpp"

namespace {

using gdssm::Index;
using gdssm::predict::Beginning;
using gdssm::predict::ClassScore;
using gdssm::predict::ClassTarget;
using gdssm::predict::ClassTargetSettings;
using gdssm::predict::ColumnNotice;
using gdssm::predict::ColumnOptions;
using gdssm::predict::Columns;
using gdssm::predict::Compared;
using gdssm::predict::ComparedClassifier;
using gdssm::predict::LearnerOptions;
using gdssm::predict::Score;
using gdssm::predict::Setting;
using gdssm::predict::Target;
using gdssm::predict::TargetSettings;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string file;
  ColumnOptions columns;
  gdssm::DialectOptions dialect;
  std::string out, summary, plot, state;
  std::vector<std::string> merge, fit;
  Index burn_in = 10;
  LearnerOptions learner;
  Index delay = 0;
  bool compare = false, classify = false;
  int threads = 1;
};

/// The input, and how far it has been read.
class Input {
 public:
  explicit Input(const std::string& file) : name_(file == "-" ? "standard input" : file) {
    if (file == "-") {
      std::ios::sync_with_stdio(false);
    } else {
      file_ = gdssm::open_input(file);
      struct stat status {};
      if (::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode)) size_ = status.st_size;
    }
    bytes_.emplace(file_.is_open() ? file_.rdbuf() : std::cin.rdbuf(), name_);
    stream_.rdbuf(&*bytes_);
  }

  std::istream& stream() { return stream_; }
  const std::string& name() const { return name_; }
  Index size() const { return size_; }  // 0: unknown
  Index position() { return size_ == 0 ? 0 : static_cast<Index>(file_.tellg()); }

 private:
  std::string name_;
  std::ifstream file_;
  std::optional<gdssm::Decompressed> bytes_;
  std::istream stream_{nullptr};
  Index size_ = 0;
};

/// Refuses what a table would need an option for.
void expect_names(const gdssm::CsvRows& table, const std::string& file, const Options& options) {
  const std::string where = file + ":" + std::to_string(table.first_line());
  if (!table.dialect().header && !options.dialect.header)
    gdssm::refuse(where, "no header: all cells are numbers, expected the columns' names, or --no-header");
  for (const auto& [column, name] : table.renamed())
    if (!name.empty())
      gdssm::refuse(where, "column ", column + 1, ": the name ", gdssm::in_quotes(name),
                    " occurs twice, expected different names");
}

std::vector<std::string> output_columns(const std::vector<std::string>& targets) {
  if (targets.size() <= 1) return {"row", "prediction", "target", "low", "high"};
  std::vector<std::string> columns{"row"};
  for (const std::string& target : targets)
    for (const char* what : {"prediction_", "target_", "low_", "high_"}) columns.push_back(what + target);
  return columns;
}

Json number_or_null(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

Json summary_of(const Score& score, std::size_t rows, double seconds) {
  return {{"rows", rows},
          {"scored_rows", score.scored()},
          {"mae", number_or_null(score.mae())},
          {"rmse", number_or_null(score.rmse())},
          {"skill", number_or_null(score.skill())},
          {"skill_last_value", number_or_null(score.skill_last_value())},
          {"seconds", seconds}};
}

Json summary_of(const Target& target, std::size_t rows, double seconds) {
  Json summary = summary_of(target.score(), rows, seconds);
  for (const Compared& other : target.others()) {
    Json& entry = summary["learners"][other.name];
    entry = summary_of(other.score, rows, seconds);
    for (const char* shared : {"rows", "scored_rows", "seconds"}) entry.erase(shared);
  }
  return summary;
}

Json summary_of(const std::vector<Target>& targets, std::size_t rows, double seconds) {
  if (targets.size() == 1) return summary_of(targets.front(), rows, seconds);
  Json summary{{"rows", rows}, {"seconds", seconds}};
  for (const Target& target : targets) summary["targets"][target.name()] = summary_of(target, rows, seconds);
  return summary;
}

void report(const gdssm::CsvRows& table, const std::vector<Target>& targets) {
  std::ostringstream text;
  text.precision(4);
  const auto number = [&](const char* name, const std::optional<double>& value) {
    if (value) text << ", " << name << " " << *value;
  };
  for (const Target& target : targets) {
    const Score& score = target.score();
    text << target.name() << ": " << score.scored() << " of " << table.rows() << " rows scored";
    number("MAE", score.mae());
    number("RMSE", score.rmse());
    number("skill", score.skill());
    number("skill against the last value", score.skill_last_value());
    text << '\n';
  }
  std::cerr << text.str();
}

/// The learners of a target beside the one that predicts, by name.
std::string comparison_of(const std::vector<Target>& targets, const std::string& learner) {
  std::ostringstream text;
  text.precision(4);
  const auto cell = [&](const std::optional<double>& number) {
    text << std::setw(12);
    if (number)
      text << *number;
    else
      text << "-";
  };
  for (const Target& target : targets) {
    text << std::left << std::setw(26) << target.name() << std::right << std::setw(12) << "RMSE" << std::setw(12)
         << "MAE" << std::setw(12) << "skill" << std::setw(12) << "last value" << '\n';
    const auto line = [&](const std::string& name, const Score& score) {
      text << std::left << std::setw(26) << name << std::right;
      cell(score.rmse());
      cell(score.mae());
      cell(score.skill());
      cell(score.skill_last_value());
      text << '\n';
    };
    line(learner, target.score());
    for (const Compared& other : target.others()) line(other.name, other.score);
  }
  return text.str();
}

/// What is written at the end, whole or not at all; created before the work, so that a folder that is missing is
/// reported at once.
std::unique_ptr<gdssm::AtomicFile> output(const std::string& name) {
  return name.empty() ? nullptr : std::make_unique<gdssm::AtomicFile>(name);
}

void write_state(const std::unique_ptr<gdssm::AtomicFile>& out, const std::string& name, std::vector<Target>& targets,
                 const Setting& setting) {
  if (out) *out << gdssm::serialize(gdssm::predict::state_file_of(targets, setting), name);
}

/// --merge without a stream.
void merge(const Options& options) {
  const Beginning beginning(options.merge, options.state);
  const Setting& setting = beginning.setting();
  const auto state_file = output(options.state);
  std::vector<Target> targets;
  for (const std::string& name : setting.targets)
    targets.emplace_back(name, gdssm::TableEncoder(setting.columns), TargetSettings{setting.learner, {}, 0, 0});
  beginning.apply(targets, setting);
  write_state(state_file, options.state, targets, setting);
  state_file->commit();
}

/// Says when a learner takes long because of the number of inputs.
void warn_of_width(Target& target, const std::string& learner) {
  constexpr Index many = 200;
  const std::set<std::string> fast{"nlms", "delta", "longhorn", "mean", "last-value"};
  if (const Index inputs = target.learner()->inputs(); inputs >= many && !fast.contains(learner))
    std::cerr << inputs << " inputs: after " << inputs / 4 << " rows each takes long, since the cost of the learner "
              << learner << " grows with their cube; --learner nlms is meant for them\n";
}

/// The classes of a file's target, in the order in which they come; none if its first cell is a number and nobody asks
/// for classes, or if the rows can be read but once.
std::vector<std::string> classes_in(const Options& options) {
  std::vector<std::string> names;
  struct stat status {};
  if (::stat(options.file.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || options.columns.targets.size() > 1 ||
      !options.state.empty() || !options.merge.empty())
    return names;
  Input input(options.file);
  gdssm::CsvRows table(input.stream(), input.name(), options.dialect);
  expect_names(table, input.name(), options);
  const Columns columns(table, input.name() + ":" + std::to_string(table.first_line()), options.columns,
                        Beginning({}, ""));
  std::set<std::string> seen;
  for (gdssm::CsvRows::Cells row; table.next(row);) {
    const auto label = columns.label(row, 0);
    if (!label) continue;
    if (names.empty() && !options.classify &&
        (gdssm::parse_number(*label, table.dialect()) || gdssm::read_truth(*label)))
      return names;
    if (seen.insert(*label).second) names.push_back(*label);
    if (names.size() > ClassTarget::most_classes)
      gdssm::refuse(input.name() + ":" + std::to_string(table.first_line()), "column ",
                    gdssm::in_quotes(columns.targets().front()), " has more than ", ClassTarget::most_classes,
                    " different cells, expected a target of numbers or of fewer classes");
  }
  return names;
}

Json summary_of(const ClassScore& score) {
  return {{"scored_rows", score.scored()},
          {"log_loss", number_or_null(score.log_loss())},
          {"accuracy", number_or_null(score.accuracy())},
          {"brier", number_or_null(score.brier())},
          {"skill", number_or_null(score.skill())}};
}

std::string comparison_of(const ClassTarget& target, const std::string& learner) {
  std::ostringstream text;
  text.precision(4);
  const auto line = [&](const std::string& name, const auto&... cells) {
    text << std::left << std::setw(26) << name << std::right;
    ((text << std::setw(12) << cells), ...);
    text << '\n';
  };
  const auto score = [&](const std::string& name, const ClassScore& its) {
    line(name, its.log_loss().value_or(0), its.accuracy().value_or(0), its.brier().value_or(0),
         its.skill().value_or(0));
  };
  line(target.name(), "log loss", "accuracy", "Brier", "skill");
  score(learner, target.score());
  for (const ComparedClassifier& other : target.others()) score(other.name, other.score);
  return text.str();
}

/// What `predict` does where the target is a class.
void classify(const Options& options, const std::vector<std::string>& names) {
  const auto start = Clock::now();
  if (!options.state.empty() || !options.merge.empty())
    gdssm::refuse("--state", "a target of classes has no states in files, expected a target of numbers");
  if (!options.plot.empty()) gdssm::programs::expect_gnuplot();
  const std::string learner = gdssm::predict::classifier_of(options.learner);
  ClassTargetSettings settings{options.learner, {}, names, options.delay, options.burn_in};
  for (const std::string& name : gdssm::predict::classifier_names())
    if (options.compare && name != learner) settings.compared.push_back(name);
  Input input(options.file);
  const bool streams = options.out.empty() && !options.compare;
  std::vector<std::string> header{"row", "prediction", "target"};
  if (names.empty()) header.emplace_back("probability");
  for (const std::string& name : names) header.push_back("probability_" + name);
  std::optional<gdssm::CsvWriter> predictions;
  const auto out_file = output(options.out), summary_file = output(options.summary), plot_file = output(options.plot);
  if (out_file || streams) {
    predictions.emplace(out_file ? *out_file : std::cout, header, out_file ? options.out : "standard output");
    if (streams) predictions->flush();
  }
  gdssm::CsvRows table(input.stream(), input.name(), options.dialect);
  expect_names(table, input.name(), options);
  Columns columns(table, input.name() + ":" + std::to_string(table.first_line()), options.columns, Beginning({}, ""));
  if (columns.targets().size() > 1)
    gdssm::refuse("--classify", columns.targets().size(), " targets are given, expected one");
  ClassTarget target(columns.targets().front(),
                     gdssm::TableEncoder(columns.inputs(), options.columns.choices, table.dialect()), settings);
  ColumnNotice notice;
  {
    gdssm::programs::Progress progress("predict", input.size(), !(streams && ::isatty(STDOUT_FILENO) == 1));
    for (gdssm::CsvRows::Cells row; table.next(row);) {
      target.encode(columns.cells(row));
      columns.expect_learnable(table, row, target.inputs());
      const auto label = columns.label(row, 0);
      const Eigen::VectorXd& p = target.predict();
      if (predictions) {
        predictions->cell(table.rows());
        const auto name_or_nothing = [&](std::string_view name) {
          name.empty() ? predictions->cell(std::nan("")) : predictions->cell(name);
        };
        name_or_nothing(target.likeliest());
        name_or_nothing(label ? std::string_view(*label) : std::string_view());
        if (names.empty())
          predictions->cell(p.size() > 1 ? p.head(p.size() - 1).maxCoeff() : std::nan(""));
        else
          for (const double probability : p) predictions->cell(probability);
        predictions->end_row();
        if (streams) predictions->flush();
      }
      target.take(label, static_cast<Index>(table.rows()), plot_file != nullptr);
      notice.after_row(target.encoder());
      progress.advance_to([&] { return input.position(); });
    }
  }
  target.finish();
  notice.say(target.encoder());
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (summary_file) {
    Json summary{{"rows", table.rows()}, {"classes", target.classes().size()}};
    summary.update(summary_of(target.score()));
    summary["seconds"] = seconds;
    for (const ComparedClassifier& other : target.others()) {
      Json entry = summary_of(other.score);
      entry.erase("scored_rows");
      summary["learners"][other.name] = entry;
    }
    *summary_file << summary.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  }
  if (plot_file) *plot_file << target.reliability().to_svg(target.name());
  if (options.compare) std::cout << comparison_of(target, learner);
  gdssm::programs::flush_standard_output();
  for (const auto& file : {&out_file, &summary_file, &plot_file})
    if (*file) (*file)->commit();
  std::ostringstream text;
  text.precision(4);
  const ClassScore& score = target.score();
  text << target.name() << ": " << score.scored() << " of " << table.rows() << " rows scored";
  if (score.scored() > 0)
    text << ", log loss " << *score.log_loss() << ", accuracy " << *score.accuracy() << ", Brier score "
         << *score.brier();
  if (score.skill()) text << ", skill " << *score.skill();
  std::cerr << text.str() << '\n';
}

void predict(const Options& options) {
  const auto start = Clock::now();
  if (!options.plot.empty()) gdssm::programs::expect_gnuplot();
  const Beginning beginning(options.merge, options.state);
  Input input(options.file);
  // With --compare standard output is for the table.
  const bool streams = options.out.empty() && !options.compare;
  std::optional<gdssm::CsvWriter> predictions;
  const auto begin_predictions = [&](std::ostream& out, const std::string& name) {
    const bool goes_on = options.columns.targets.empty() && !beginning.is_empty();
    predictions.emplace(out, output_columns(goes_on ? beginning.setting().targets : options.columns.targets), name);
    if (streams) predictions->flush();
  };
  // Who writes rows to a pipe may wait for this line before the first.
  if (streams && input.size() == 0) begin_predictions(std::cout, "standard output");

  gdssm::CsvRows table(input.stream(), input.name(), options.dialect);
  expect_names(table, input.name(), options);
  Columns columns(table, input.name() + ":" + std::to_string(table.first_line()), options.columns, beginning);
  const Setting setting{columns.inputs(), columns.targets(),
                        gdssm::predict::learner_with_state(options.learner, beginning)};
  if (!options.state.empty()) gdssm::predict::expect_utf8(table, input.name());

  const std::string learner = gdssm::predict::learner_of(setting.learner);
  TargetSettings target_settings{setting.learner, {}, options.delay, options.burn_in};
  if (options.compare)
    for (const std::string& name : gdssm::predict::learner_names())
      if (name != learner) target_settings.compared.push_back(name);
  std::vector<Target> targets;
  for (const std::string& name : setting.targets)
    targets.emplace_back(name, gdssm::TableEncoder(setting.columns, options.columns.choices, table.dialect()),
                         target_settings);
  beginning.apply(targets, setting);
  gdssm::predict::say_dialect(table, options.dialect);
  for (const std::string& notice : columns.notices()) std::cerr << notice << '\n';

  const auto out_file = output(options.out), summary_file = output(options.summary), plot_file = output(options.plot),
             state_file = output(options.state);
  if (out_file) begin_predictions(*out_file, options.out);
  if (streams && !predictions) begin_predictions(std::cout, "standard output");

  ColumnNotice notice;
  {
    // Rows on a terminal show progress themselves.
    const bool rows_are_seen = streams && ::isatty(STDOUT_FILENO) == 1;
    gdssm::programs::Progress progress("predict", input.size(), !rows_are_seen);
    for (gdssm::CsvRows::Cells row; table.next(row);) {
      const auto number = static_cast<Index>(table.rows());
      if (predictions) predictions->cell(table.rows());
      const auto cells = columns.cells(row);
      for (std::size_t i = 0; i < targets.size(); ++i) {
        Target& target = targets[i];
        target.encode(cells);
        columns.expect_learnable(table, row, target.row().x);
        const double y = columns.target(table, row, i, target.encoder());
        const auto [prediction, half_width] = target.predict();
        if (number == 1) warn_of_width(target, learner);
        if (predictions)
          for (const double cell : {prediction, y, prediction - half_width, prediction + half_width})
            predictions->cell(cell);
        target.take(y, number, plot_file != nullptr);
      }
      if (predictions) predictions->end_row();
      if (streams) predictions->flush();
      notice.after_row(targets.front().encoder());
      progress.advance_to([&] { return input.position(); });
    }
  }
  for (Target& target : targets) target.finish();
  notice.say(targets.front().encoder());
  gdssm::predict::say_left_out(table);

  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (summary_file)
    *summary_file << summary_of(targets, table.rows(), seconds).dump(2, ' ', false, Json::error_handler_t::replace)
                  << '\n';
  if (plot_file) *plot_file << targets.front().curve().to_svg(targets.front().name());
  write_state(state_file, options.state, targets, setting);
  if (options.compare) std::cout << comparison_of(targets, learner);
  gdssm::programs::flush_standard_output();  // rows count as learned only when all that was said of them is out
  for (const auto& file : {&out_file, &summary_file, &plot_file, &state_file})
    if (*file) (*file)->commit();
  report(table, targets);
}

std::string finite_number(const std::string& text) {
  double number = 0;
  if (!CLI::detail::lexical_cast(text, number) || !std::isfinite(number) || number < 0)
    return "got '" + text + "', expected a finite number of at least 0";
  return "";
}

std::string decay(const std::string& text) {
  double number = 0;
  if (!CLI::detail::lexical_cast(text, number) || !(number > 0) || !(number <= 1))
    return "got '" + text + "', expected a number above 0 and at most 1";
  return "";
}

void expect_consistent(const Options& options) {
  const auto expect_once = [](const char* option, const std::vector<std::string>& names) {
    for (auto name = names.begin(); name != names.end(); ++name)
      if (std::find(names.begin(), name, *name) != name)
        throw CLI::ValidationError(option, gdssm::in_quotes(*name) + " is given twice, expected different columns");
  };
  const auto& columns = options.columns;
  expect_once("--target", columns.targets);
  for (const std::string& name : columns.ignored)
    if (std::find(columns.targets.begin(), columns.targets.end(), name) != columns.targets.end())
      throw CLI::ValidationError("--ignore", gdssm::in_quotes(name) + " is a target, expected another column");
  std::vector<std::string> chosen = columns.choices.text;
  for (const auto* names : {&columns.choices.numbers, &columns.choices.dates})
    chosen.insert(chosen.end(), names->begin(), names->end());
  expect_once("--text, --number, --date", chosen);
  using gdssm::programs::NamedFile;
  std::vector<NamedFile> inputs{{"FILE", options.file == "-" ? "" : options.file}};
  const std::vector<NamedFile> outputs{
      {"--out", options.out}, {"--summary", options.summary}, {"--plot", options.plot}, {"--state", options.state}};
  gdssm::programs::expect_different_files(inputs, outputs);
  // A state may take the place of one that was merged.
  for (const std::string& name : options.merge) inputs.push_back({"--merge", name});
  gdssm::programs::expect_different_files(inputs, {outputs.begin(), outputs.end() - 1});
  if (options.file.empty() && options.fit.empty() && (options.merge.empty() || options.state.empty()))
    throw CLI::ValidationError("FILE",
                               "is missing, expected a CSV file, - for standard input, or --merge with --state");
  try {
    const auto classifiers = gdssm::predict::classifier_names();
    const bool may_classify = options.learner.learner && std::find(classifiers.begin(), classifiers.end(),
                                                                   *options.learner.learner) != classifiers.end();
    if (options.classify)
      gdssm::predict::classifier_of(options.learner);
    else if (!may_classify)
      gdssm::predict::learner_of(options.learner);
    gdssm::predict::expect_features(options.learner.features);
  } catch (const std::invalid_argument& error) {
    throw CLI::ParseError(error.what(), 2);
  }
}

/// Options that have no meaning for --fit.
bool does_not_fit(const std::string& name) {
  static const std::set<std::string> names{"FILE",   "file",      "--out",   "--summary", "--burn-in",
                                           "--plot", "--compare", "--merge", "--delay",   "--classify"};
  return names.contains(name);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Predicts a CSV stream row by row, each target from its own features and the rows before it, learning as it\n"
      "goes. Predictions with 95 % intervals go to standard output, a line a row, or to a file.",
      "predict");
  app.add_option("FILE", options.file,
                 "Table as text, compressed by gzip, bzip2 or zip or not; - reads standard input");
  const auto add_columns = [&](const char* name, std::vector<std::string>& columns, const char* what) {
    app.add_option(name, columns, what)->type_name("NAME")->allow_extra_args(false);
  };
  add_columns("--target", options.columns.targets, "Column to predict, may be given several times (default: the last)");
  add_columns("--ignore", options.columns.ignored, "Column to leave out, may be given several times");
  add_columns("--text", options.columns.choices.text,
              "Column whose cells are names, such as numbers of places (this and the next two: default: by its cells)");
  add_columns("--number", options.columns.choices.numbers, "Column of numbers; other cells are taken as missing");
  add_columns("--date", options.columns.choices.dates, "Column of dates; other cells are taken as missing");
  gdssm::predict::add_dialect_options(app, options.dialect);
  app.add_option("--out", options.out, "Write predictions here instead, complete at the end")->type_name("OUT.csv");
  app.add_option("--summary", options.summary, "Write errors and skills here, as JSON")->type_name("S.json");
  app.add_option("--burn-in", options.burn_in,
                 "Targets at the beginning, a state's included, that are learned but not scored")
      ->type_name("ROWS")
      ->transform(gdssm::programs::whole_number(0))
      ->capture_default_str();
  app.add_option("--plot", options.plot, "Draw prediction, target and running skill (of the first target) here")
      ->type_name("OUT.svg");
  app.add_flag("--compare", options.compare,
               "Run every learner beside the chosen one, each from nothing, and print a table to standard output (no\n"
               "predictions there)");
  app.add_option("--state", options.state, "Go on from what the last run left here, if it did, and leave the new state")
      ->type_name("FILE");
  app.add_option("--merge", options.merge,
                 "Begin with the states A and B joined, B's rows after A's; with --state and no FILE, leave it there")
      ->type_name("A B")
      ->expected(2);
  app.add_option(
         "--fit", options.fit,
         "Learn these large files without predicting, on all --threads and on all ranks of mpirun, and leave the\n"
         "--state, which does not depend on their number")
      ->type_name("FILE.csv...")
      ->expected(1, 1 << 20);
  app.add_flag(
      "--classify", options.classify,
      "Take the target's cells as names of classes, as without it those of a file that begin with text: predict\n"
      "the class, with a probability of each");
  std::string names, classifiers;
  for (const std::string& name : gdssm::predict::classifier_names())
    classifiers += (classifiers.empty() ? "" : ", ") + name;
  for (const std::string& name : gdssm::predict::learner_names()) names += (names.empty() ? "" : ", ") + name;
  app.add_option(
         "--learner", options.learner.learner,
         "One of " + names + " (default: the first that takes the options given); for classes one of " + classifiers)
      ->type_name("NAME");
  app.add_option("--steps", options.learner.steps, "Steps of a descent a prediction (default: 100)")
      ->type_name("K")
      ->transform(gdssm::programs::whole_number(0));
  app.add_option("--ridge", options.learner.ridge, "Penalty on slopes, in rows (default: 1)")
      ->type_name("R")
      ->check(CLI::Validator(finite_number, ""));
  app.add_option("--forgetting", options.learner.forgetting,
                 "What a row's weight is multiplied by a row later, up to 1")
      ->type_name("L")
      ->check(CLI::Validator(decay, ""));
  app.add_option("--window", options.learner.window, "Rows in the sliding window (default: 100)")
      ->type_name("ROWS")
      ->transform(gdssm::programs::whole_number(1));
  app.add_option("--lags", options.learner.lags,
                 "Past values of the target as further features (default: 6 for a file of dates and a target, else 0)")
      ->type_name("P")
      ->transform(gdssm::programs::whole_number(0));
  app.add_option("--delay", options.delay, "Rows after its own at which a target is known, and learned")
      ->type_name("ROWS")
      ->transform(gdssm::programs::whole_number(0, 10000))
      ->capture_default_str();
  app.add_option("--features", options.learner.features, "linear, polynomial:DEGREE or fourier:COUNT")
      ->type_name("NAME")
      ->capture_default_str();
  gdssm::programs::add_threads_option(app, options.threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    expect_consistent(options);
    if (!options.fit.empty()) {
      for (const CLI::Option* option : app.get_options())
        if (const std::string name = option->get_name(); option->count() > 0 && does_not_fit(name))
          throw CLI::ValidationError(name,
                                     "is given with --fit, which learns without predicting, expected one of them");
      if (options.state.empty()) throw CLI::ValidationError("--fit", "leaves nothing, expected --state");
      gdssm::programs::with_ranks([&](gdssm::Processes& ranks) {
        gdssm::predict::fit(
            {options.fit, options.columns, options.dialect, options.learner, options.state, options.threads}, ranks);
      });
    } else if (options.file.empty()) {
      for (const CLI::Option* option : app.get_options())
        if (const std::string name = option->get_name();
            option->count() > 0 && name != "--merge" && name != "--state" && name != "--threads")
          throw CLI::ValidationError(name, "is given without FILE, expected --merge and --state alone");
      merge(options);
    } else if (const auto classes = classes_in(options); options.classify || !classes.empty()) {
      classify(options, classes);
    } else {
      predict(options);
    }
  });
}
