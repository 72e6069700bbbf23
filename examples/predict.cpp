// SPDX-License-Identifier: Apache-2.0
// Predicts the targets of a CSV stream row by row, learning in context: by gradient descent on the rows seen so far.
//     predict examples/data/sunspots_lags.csv --summary summary.json

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/learners/regression.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace {

using gdssm::Index;
using Learner = gdssm::GradientDescentLearner<>;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string file;
  std::vector<std::string> targets;
  std::string out, summary;
  Index burn_in = 10;
  Learner::Settings descent;
  int threads = 1;
};

/// Errors of the predictions of one target, beside those of its running mean and of its last value.
class Score {
 public:
  /// Takes a target with the prediction that was made before it was known; `counts` is false in the burn-in.
  void add(double prediction, double target, bool counts) {
    if (counts) {
      ++scored_;
      absolute_ += std::abs(target - prediction);
      squared_ += square(target - prediction);
      squared_mean_ += square(target - mean_);
      squared_last_ += square(target - last_);
    }
    ++seen_;
    mean_ += (target - mean_) / static_cast<double>(seen_);
    last_ = target;
  }

  Index scored() const { return scored_; }
  std::optional<double> mae() const { return ratio(absolute_, static_cast<double>(scored_)); }
  std::optional<double> rmse() const {
    const auto mse = ratio(squared_, static_cast<double>(scored_));
    return mse ? std::optional(std::sqrt(*mse)) : mse;
  }
  /// 1 - SSE / SSE of the mean of all earlier targets.
  std::optional<double> skill() const { return skill_against(squared_mean_); }
  /// 1 - SSE / SSE of the target seen last.
  std::optional<double> skill_last_value() const { return skill_against(squared_last_); }

 private:
  static double square(double x) { return x * x; }
  static std::optional<double> ratio(double a, double b) { return b > 0 ? std::optional(a / b) : std::nullopt; }
  std::optional<double> skill_against(double squared) const {
    const auto share = ratio(squared_, squared);
    return share ? std::optional(1 - *share) : share;
  }

  Index scored_ = 0, seen_ = 0;
  double absolute_ = 0, squared_ = 0, squared_mean_ = 0, squared_last_ = 0;
  double mean_ = 0, last_ = 0;
};

/// A target column. Each has a learner of its own, so that a row without one target still teaches the others.
struct Target {
  std::size_t column;
  Learner learner;
  Score score;
};

/// The input, and how far it has been read.
class Input {
 public:
  explicit Input(const std::string& file) : name_(file == "-" ? "standard input" : file) {
    if (file == "-") {
      std::ios::sync_with_stdio(false);
      return;
    }
    file_ = gdssm::open_input(file);
    struct stat status {};
    if (::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode)) size_ = status.st_size;
  }

  std::istream& stream() { return file_.is_open() ? file_ : std::cin; }
  const std::string& name() const { return name_; }
  Index size() const { return size_; }  // 0: unknown
  Index position() { return size_ == 0 ? 0 : static_cast<Index>(stream().tellg()); }

 private:
  std::string name_;
  std::ifstream file_;
  Index size_ = 0;
};

std::vector<Target> make_targets(const gdssm::CsvReader& table, const Options& options) {
  std::vector<std::size_t> columns;
  for (const std::string& name : options.targets) columns.push_back(table.column(name));
  if (columns.empty()) columns.push_back(table.columns().size() - 1);
  const auto inputs = static_cast<Index>(table.columns().size() - columns.size());
  std::vector<Target> targets;
  for (const std::size_t column : columns) targets.push_back({column, Learner(inputs, 1, options.descent), {}});
  return targets;
}

std::vector<std::size_t> input_columns(const gdssm::CsvReader& table, const Input& input, const Options& options) {
  std::vector<bool> is_target(table.columns().size(), false);
  for (const std::string& name : options.targets) is_target[table.column(name)] = true;
  if (options.targets.empty()) is_target.back() = true;
  std::vector<std::size_t> columns;
  for (std::size_t column = 0; column < is_target.size(); ++column)
    if (!is_target[column]) columns.push_back(column);
  if (columns.empty())
    gdssm::refuse(input.name() + ":1", "every column is a target, expected at least one feature column beside them");
  return columns;
}

std::vector<std::string> output_columns(const gdssm::CsvReader& table, const std::vector<Target>& targets) {
  if (targets.size() == 1) return {"row", "prediction", "target"};
  std::vector<std::string> columns{"row"};
  for (const Target& target : targets) {
    columns.push_back("prediction_" + table.columns()[target.column]);
    columns.push_back("target_" + table.columns()[target.column]);
  }
  return columns;
}

void expect_learnable(const gdssm::CsvReader& table, std::size_t column, double cell) {
  if (std::abs(cell) > Learner::largest_input)
    table.refuse_cell(column, gdssm::format_number(cell), " is too large, expected a magnitude of at most ",
                      gdssm::format_number(Learner::largest_input));
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

Json summary_of(const gdssm::CsvReader& table, const std::vector<Target>& targets, double seconds) {
  if (targets.size() == 1) return summary_of(targets.front().score, table.rows(), seconds);
  Json summary{{"rows", table.rows()}, {"seconds", seconds}};
  for (const Target& target : targets)
    summary["targets"][table.columns()[target.column]] = summary_of(target.score, table.rows(), seconds);
  return summary;
}

void report(const gdssm::CsvReader& table, const std::vector<Target>& targets) {
  std::ostringstream text;
  text.precision(4);
  const auto number = [&](const char* name, const std::optional<double>& value) {
    if (value) text << ", " << name << " " << *value;
  };
  for (const Target& target : targets) {
    const Score& score = target.score;
    text << table.columns()[target.column] << ": " << score.scored() << " of " << table.rows() << " rows scored";
    number("MAE", score.mae());
    number("RMSE", score.rmse());
    number("skill", score.skill());
    number("skill against the last value", score.skill_last_value());
    text << '\n';
  }
  std::cerr << text.str();
}

void predict(const Options& options) {
  const auto start = Clock::now();
  Input input(options.file);
  gdssm::CsvReader table(input.stream(), input.name());
  const std::vector<std::size_t> features = input_columns(table, input, options);
  std::vector<Target> targets = make_targets(table, options);

  // Created before the work, so that a folder that is missing is reported now.
  std::unique_ptr<gdssm::AtomicFile> out_file, summary_file;
  if (!options.out.empty()) out_file = std::make_unique<gdssm::AtomicFile>(options.out);
  if (!options.summary.empty()) summary_file = std::make_unique<gdssm::AtomicFile>(options.summary);
  gdssm::CsvWriter predictions(out_file ? *out_file : std::cout, output_columns(table, targets),
                               out_file ? options.out : "standard output");
  if (!out_file) predictions.flush();

  {
    // Rows on a terminal show progress themselves.
    const bool rows_are_seen = !out_file && ::isatty(STDOUT_FILENO) == 1;
    gdssm::programs::Progress progress("predict", input.size(), !rows_are_seen);
    Eigen::VectorXd x(static_cast<Index>(features.size()));
    Eigen::VectorXd y(1);
    for (std::vector<double> row; table.next(row);) {
      for (std::size_t j = 0; j < features.size(); ++j) {
        const double cell = row[features[j]];
        if (gdssm::is_missing(cell))
          table.refuse_cell(features[j], "an empty feature, expected a number (only targets may be missing)");
        expect_learnable(table, features[j], cell);
        x[static_cast<Index>(j)] = cell;
      }
      for (const Target& target : targets) expect_learnable(table, target.column, row[target.column]);

      predictions.cell(table.rows());
      for (Target& target : targets) {
        const double prediction = target.learner.predict(x)[0];
        predictions.cell(prediction);
        predictions.cell(row[target.column]);
        if (gdssm::is_missing(row[target.column])) continue;
        y[0] = row[target.column];
        target.score.add(prediction, y[0], static_cast<Index>(table.rows()) > options.burn_in);
        target.learner.observe(x, y);
      }
      predictions.end_row();
      if (!out_file) predictions.flush();
      progress.advance_to([&] { return input.position(); });
    }
  }

  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (summary_file)
    *summary_file << summary_of(table, targets, seconds).dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  if (out_file) out_file->commit();
  if (summary_file) summary_file->commit();
  report(table, targets);
}

std::string finite_number(const std::string& text) {
  double number = 0;
  if (!CLI::detail::lexical_cast(text, number) || !std::isfinite(number) || number < 0)
    return "got '" + text + "', expected a finite number of at least 0";
  return "";
}

void expect_consistent(const Options& options) {
  for (auto name = options.targets.begin(); name != options.targets.end(); ++name)
    if (std::find(options.targets.begin(), name, *name) != name)
      throw CLI::ValidationError("--target", gdssm::in_quotes(*name) + " is given twice, expected different columns");
  if (!options.out.empty() && options.out == options.summary)
    throw CLI::ValidationError("--summary", "names the same file as --out, expected another");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error like any other, and temporary files are to be removed
  Options options;
  CLI::App app(
      "Predicts a CSV stream row by row, each target from its own features and the rows before it, by K steps of\n"
      "gradient descent in context. Predictions go to standard output, a line a row, or to a file.",
      "predict");
  app.add_option("FILE", options.file, "CSV file with a header line and numeric columns; - reads standard input")
      ->required();
  app.add_option("--target", options.targets, "Column to predict, may be given several times (default: the last)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_option("--out", options.out, "Write predictions here instead, complete at the end")->type_name("OUT.csv");
  app.add_option("--summary", options.summary, "Write errors and skills here, as JSON")->type_name("S.json");
  app.add_option("--burn-in", options.burn_in, "Rows at the beginning that are learned but not scored")
      ->type_name("ROWS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--steps", options.descent.steps, "Steps of gradient descent a prediction")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--ridge", options.descent.ridge, "Penalty on slopes, in rows")
      ->type_name("R")
      ->check(CLI::Validator(finite_number, ""))
      ->capture_default_str();
  gdssm::programs::add_threads_option(app, options.threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    expect_consistent(options);
    predict(options);
  });
}
