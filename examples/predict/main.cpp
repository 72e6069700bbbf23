// SPDX-License-Identifier: Apache-2.0
// Predicts the targets of a CSV stream row by row, learning in context from the rows seen so far.
//     predict examples/data/sunspots_lags.csv --summary summary.json --plot sunspots.svg

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "gdssm/io/aggregate.hpp"
#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/csv.hpp"
#include "gdssm/io/decompressed.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/text.hpp"
#include "gdssm/learners/any_learner.hpp"
#include "gdssm/learners/intervals.hpp"
#include "gdssm/learners/mean_and_last_value.hpp"
#include "predict/dialect_options.hpp"
#include "predict/learners.hpp"
#include "support/figure.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

namespace {

using gdssm::Index;
using gdssm::predict::LearnerOptions;
using Learner = gdssm::AnyLearner<>;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string file;
  std::vector<std::string> targets;
  gdssm::DialectOptions dialect;
  std::string out, summary, plot, state;
  std::vector<std::string> merge;
  Index burn_in = 10;
  LearnerOptions learner;
  bool compare = false;
  int threads = 1;
};

/// What a target's predictions are measured by: its running mean and its last value, which go on as its learner does.
class Yardstick {
 public:
  struct State {
    gdssm::RunningMean<>::State mean;
    gdssm::LastValue<>::State last;

    template <class Visitor, class... Self>
    static void visit(Visitor&& visitor, Self&&... self) {
      gdssm::visit_part("mean", visitor, self.mean...);
      gdssm::visit_part("last", visitor, self.last...);
    }
  };

  Index rows() const { return static_cast<Index>(mean_.state().rows[0]); }  ///< targets seen
  double mean() const { return mean_.state().mean[0]; }
  double last() const { return last_.state().last[0]; }
  void observe(const Eigen::VectorXd& target) {
    mean_.observe(Eigen::VectorXd(), target);
    last_.observe(Eigen::VectorXd(), target);
  }

  State state() const { return {mean_.state(), last_.state()}; }
  void set_state(const State& state) {
    mean_.set_state(state.mean);
    last_.set_state(state.last);
  }
  void merge(const State& later) {
    mean_.merge(later.mean);
    last_.merge(later.last);
  }

 private:
  gdssm::RunningMean<> mean_{0, 1};
  gdssm::LastValue<> last_{0, 1};
};

/// Errors of the predictions of one target, beside those of its running mean and of its last value.
class Score {
 public:
  /// Takes a target with the prediction that was made before it was known.
  void add(double prediction, double target, const Yardstick& before) {
    ++scored_;
    absolute_ += std::abs(target - prediction);
    squared_ += square(target - prediction);
    squared_mean_ += square(target - before.mean());
    squared_last_ += square(target - before.last());
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

  Index scored_ = 0;
  double absolute_ = 0, squared_ = 0, squared_mean_ = 0, squared_last_ = 0;
};

/// Predictions, targets and running skill at rows that are thinned out as the stream goes on.
class Curve {
 public:
  void add(Index row, double prediction, double target, const std::optional<double>& skill) {
    if (row % stride_ != 0) return;
    if (rows_.size() == 2 * kept) {
      stride_ *= 2;
      for (std::vector<double>* list : {&rows_, &predictions_, &targets_, &skills_}) {
        for (std::size_t i = 0; i < kept; ++i) (*list)[i] = (*list)[2 * i + 1];
        list->resize(kept);
      }
      if (row % stride_ != 0) return;
    }
    rows_.push_back(static_cast<double>(row));
    predictions_.push_back(prediction);
    targets_.push_back(target);
    skills_.push_back(skill ? *skill : 0);
  }

  /// The two figures of one target, one above the other in one document.
  std::string to_svg(const std::string& target) const {
    using namespace gdssm::programs;
    const Figure values{"prediction",
                        "",
                        {"row"},
                        {target},
                        {{"target", Mark::points, Colour::grey, rows_, targets_},
                         {"prediction", Mark::line, Colour::blue, rows_, predictions_}}};
    const Figure skill{"skill",
                       "",
                       {"row"},
                       {"skill so far"},
                       {{"1 - SSE / SSE of the running mean", Mark::line, Colour::green, rows_, skills_}}};
    std::string document =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"960\" viewBox=\"0 0 760 960\">\n";
    double top = 0;
    for (const Figure* figure : {&values, &skill}) {
      std::string svg = gdssm::programs::to_svg(*figure);
      svg.erase(0, svg.find("<svg") + 4);
      document += "<svg y=\"" + gdssm::format_number(top) + "\"" + svg;
      top += 480;
    }
    return document + "</svg>\n";
  }

 private:
  static constexpr std::size_t kept = 1000;

  Index stride_ = 1;
  std::vector<double> rows_, predictions_, targets_, skills_;
};

/// A learner that runs beside, for the table.
struct Compared {
  std::string name;
  Learner learner;
  Score score;
};

/// A target column. Each has a learner of its own, so that a row without one target still teaches the others.
struct Target {
  std::size_t column;
  std::string name;
  Learner learner;
  gdssm::Intervals<> intervals{1};
  Yardstick yardstick{};
  Score score;
  std::vector<Compared> others;
  Curve curve;
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
void expect_names(const gdssm::CsvReader& table, const std::string& file, const Options& options) {
  const std::string where = file + ":" + std::to_string(table.first_line());
  if (!table.dialect().header && !options.dialect.header)
    gdssm::refuse(where, "no header: all cells are numbers, expected the columns' names, or --no-header");
  for (const auto& [column, name] : table.renamed())
    if (!name.empty())
      gdssm::refuse(where, "column ", column + 1, ": the name ", gdssm::in_quotes(name),
                    " occurs twice, expected different names");
}

std::vector<std::string> target_names(const gdssm::CsvReader& table, const Options& options) {
  return options.targets.empty() ? std::vector{table.columns().back()} : options.targets;
}

std::vector<std::size_t> input_columns(const gdssm::CsvReader& table, const Options& options) {
  std::vector<bool> is_target(table.columns().size(), false);
  for (const std::string& name : options.targets) is_target[table.column(name)] = true;
  if (options.targets.empty()) is_target.back() = true;
  std::vector<std::size_t> columns;
  for (std::size_t column = 0; column < is_target.size(); ++column)
    if (!is_target[column]) columns.push_back(column);
  return columns;
}

std::vector<std::string> output_columns(const Options& options) {
  if (options.targets.size() <= 1) return {"row", "prediction", "target", "low", "high"};
  std::vector<std::string> columns{"row"};
  for (const std::string& target : options.targets)
    for (const char* what : {"prediction_", "target_", "low_", "high_"}) columns.push_back(what + target);
  return columns;
}

void expect_learnable(const gdssm::CsvReader& table, std::size_t column, double cell) {
  if (std::abs(cell) > gdssm::largest_input<double>)
    table.refuse_cell(column, gdssm::format_number(cell), " is too large, expected a magnitude of at most ",
                      gdssm::format_number(gdssm::largest_input<double>));
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
  Json summary = summary_of(target.score, rows, seconds);
  for (const Compared& other : target.others) {
    Json& entry = summary["learners"][other.name];
    entry = summary_of(other.score, rows, seconds);
    for (const char* shared : {"rows", "scored_rows", "seconds"}) entry.erase(shared);
  }
  return summary;
}

Json summary_of(const std::vector<Target>& targets, std::size_t rows, double seconds) {
  if (targets.size() == 1) return summary_of(targets.front(), rows, seconds);
  Json summary{{"rows", rows}, {"seconds", seconds}};
  for (const Target& target : targets) summary["targets"][target.name] = summary_of(target, rows, seconds);
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
    text << target.name << ": " << score.scored() << " of " << table.rows() << " rows scored";
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
    text << std::left << std::setw(26) << target.name << std::right << std::setw(12) << "RMSE" << std::setw(12) << "MAE"
         << std::setw(12) << "skill" << std::setw(12) << "last value" << '\n';
    const auto line = [&](const std::string& name, const Score& score) {
      text << std::left << std::setw(26) << name << std::right;
      cell(score.rmse());
      cell(score.mae());
      cell(score.skill());
      cell(score.skill_last_value());
      text << '\n';
    };
    line(learner, target.score);
    for (const Compared& other : target.others) line(other.name, other.score);
  }
  return text.str();
}

// What a state's file says beside its tensors: which learner, of which columns.

Json json_of(const LearnerOptions& options) {
  Json json{{"learner", gdssm::predict::learner_of(options)}};
  if (options.steps) json["steps"] = *options.steps;
  if (options.window) json["window"] = *options.window;
  if (options.ridge) json["ridge"] = *options.ridge;
  if (options.forgetting) json["forgetting"] = *options.forgetting;
  json["lags"] = options.lags;
  json["features"] = options.features;
  return json;
}

LearnerOptions learner_options_of(const Json& json) {
  LearnerOptions options;
  options.learner = json.at("learner").get<std::string>();
  if (json.contains("steps")) options.steps = json["steps"].get<Index>();
  if (json.contains("window")) options.window = json["window"].get<Index>();
  if (json.contains("ridge")) options.ridge = json["ridge"].get<double>();
  if (json.contains("forgetting")) options.forgetting = json["forgetting"].get<double>();
  options.lags = json.at("lags").get<Index>();
  options.features = json.at("features").get<std::string>();
  return options;
}

/// Which columns a learner has seen, and what it is.
struct Setting {
  std::vector<std::string> features, targets;
  LearnerOptions learner;
};

constexpr auto state_format = "gdssm predict state 1";

Setting setting_of(const gdssm::Safetensors& file, const std::string& where) {
  const auto entry = [&](const char* name) -> const std::string& {
    const auto found = file.metadata.find(name);
    if (found == file.metadata.end())
      gdssm::refuse(where, "metadata '", name, "' is missing, expected a state of predict");
    return found->second;
  };
  if (entry("format") != state_format)
    gdssm::refuse(where, "format is ", gdssm::in_quotes(entry("format")), ", expected '", state_format, "'");
  try {
    return {Json::parse(entry("features")).get<std::vector<std::string>>(),
            Json::parse(entry("targets")).get<std::vector<std::string>>(),
            learner_options_of(Json::parse(entry("learner")))};
  } catch (const Json::exception&) {
    gdssm::refuse(where, "its metadata cannot be read, expected a state of predict");
  }
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + gdssm::in_quotes(name);
  return text;
}

/// Refuses names that a state's file cannot hold.
void expect_utf8(const gdssm::CsvReader& table, const std::string& where) {
  for (const std::string& name : table.columns()) try {
      Json(name).dump();
    } catch (const Json::exception&) {
      gdssm::refuse(where + ":1", "column ", gdssm::in_quotes(name),
                    " has a name that is not UTF-8, which --state needs");
    }
}

/// Refuses a state of other columns or of another learner.
void expect_setting(const std::string& where, const Setting& found, const Setting& expected) {
  if (found.features != expected.features)
    gdssm::refuse(where, "its features are ", list_of(found.features), ", expected ", list_of(expected.features));
  if (found.targets != expected.targets)
    gdssm::refuse(where, "its targets are ", list_of(found.targets), ", expected ", list_of(expected.targets));
  if (const Json mine = json_of(expected.learner), its = json_of(found.learner); mine != its)
    gdssm::refuse(where, "its learner is ", its.dump(), ", expected ", mine.dump());
}

/// The learners, from nothing.
std::vector<Target> make_targets(const Setting& setting) {
  std::vector<Target> targets;
  for (const std::string& name : setting.targets) {
    Learner learner = gdssm::predict::make_learner(setting.learner, static_cast<Index>(setting.features.size()));
    targets.push_back(
        {.column = 0, .name = name, .learner = std::move(learner), .score = {}, .others = {}, .curve = {}});
  }
  return targets;
}

gdssm::Safetensors file_of(const std::vector<Target>& targets, const Setting& setting) {
  gdssm::Safetensors file;
  file.metadata = {{"format", state_format},
                   {"features", Json(setting.features).dump()},
                   {"targets", Json(setting.targets).dump()},
                   {"learner", json_of(setting.learner).dump()}};
  for (std::size_t i = 0; i < targets.size(); ++i) {
    gdssm::put_aggregate(file, std::to_string(i) + ".learner.", targets[i].learner.state());
    gdssm::put_aggregate(file, std::to_string(i) + ".intervals.", targets[i].intervals.state());
    gdssm::put_aggregate(file, std::to_string(i) + ".yardstick.", targets[i].yardstick.state());
  }
  return file;
}

/// Hands the states in a file to `use(part, state)`, for the learner, the intervals and the yardstick of each target.
template <class Use>
void take_states(const gdssm::Safetensors& file, const std::string& where, std::vector<Target>& targets, Use&& use) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    auto learner = targets[i].learner.state();
    auto intervals = targets[i].intervals.state();
    auto yardstick = targets[i].yardstick.state();
    gdssm::take_aggregate(file, where, std::to_string(i) + ".learner.", learner);
    gdssm::take_aggregate(file, where, std::to_string(i) + ".intervals.", intervals);
    gdssm::take_aggregate(file, where, std::to_string(i) + ".yardstick.", yardstick);
    use(targets[i].learner, learner);
    use(targets[i].intervals, intervals);
    use(targets[i].yardstick, yardstick);
  }
}

/// The state to begin with, if there is one: the two that are merged, or what the last run has left.
struct Beginning {
  std::vector<std::string> names;
  std::vector<gdssm::Safetensors> files;

  explicit Beginning(const Options& options) : names(options.merge) {
    if (names.empty() && !options.state.empty() && std::filesystem::exists(options.state)) names = {options.state};
    for (const std::string& name : names) {
      if (std::filesystem::exists(name) && !std::filesystem::is_regular_file(name))
        gdssm::refuse(name, "is not a regular file, expected a state of predict");
      files.push_back(gdssm::read_safetensors(name));
    }
  }

  /// Sets the learners, made for this setting.
  void apply(std::vector<Target>& targets, const Setting& setting) const {
    for (std::size_t i = 0; i < files.size(); ++i) {
      expect_setting(names[i], setting_of(files[i], names[i]), setting);
      take_states(files[i], names[i], targets, [&](auto& part, const auto& state) {
        if (i == 0)
          part.set_state(state);
        else
          part.merge(state);
      });
    }
  }
};

/// What is written at the end, whole or not at all; created before the work, so that a folder that is missing is
/// reported at once.
std::unique_ptr<gdssm::AtomicFile> output(const std::string& name) {
  return name.empty() ? nullptr : std::make_unique<gdssm::AtomicFile>(name);
}

void write_state(const std::unique_ptr<gdssm::AtomicFile>& out, const std::string& name,
                 const std::vector<Target>& targets, const Setting& setting) {
  if (out) *out << gdssm::serialize(file_of(targets, setting), name);
}

/// --merge without a stream.
void merge(const Options& options) {
  const Beginning beginning(options);
  const Setting setting = setting_of(beginning.files.front(), beginning.names.front());
  const auto state_file = output(options.state);
  std::vector<Target> targets = make_targets(setting);
  beginning.apply(targets, setting);
  write_state(state_file, options.state, targets, setting);
  state_file->commit();
}

void predict(const Options& options) {
  const auto start = Clock::now();
  if (!options.plot.empty()) gdssm::programs::expect_gnuplot();
  const Beginning beginning(options);
  Input input(options.file);
  // With --compare standard output is for the table.
  const bool streams = options.out.empty() && !options.compare;
  std::optional<gdssm::CsvWriter> predictions;
  const auto begin_predictions = [&](std::ostream& out, const std::string& name) {
    predictions.emplace(out, output_columns(options), name);
    if (streams) predictions->flush();
  };
  // Who writes rows to a pipe may wait for this line before the first.
  if (streams && input.size() == 0) begin_predictions(std::cout, "standard output");

  gdssm::CsvReader table(input.stream(), input.name(), options.dialect);
  expect_names(table, input.name(), options);
  const std::vector<std::size_t> features = input_columns(table, options);
  Setting setting{{}, target_names(table, options), options.learner};
  for (const std::size_t column : features) setting.features.push_back(table.columns()[column]);
  if (!beginning.files.empty() && setting.learner == LearnerOptions{})
    setting.learner = setting_of(beginning.files.front(), beginning.names.front()).learner;

  if (features.empty() && setting.learner.lags == 0)
    gdssm::refuse(input.name() + ":1", "every column is a target, expected at least one feature column beside them, ",
                  "or --lags (", gdssm::describe(table.dialect()), "; --delimiter says what separates cells)");
  if (!options.state.empty()) expect_utf8(table, input.name());

  std::vector<Target> targets = make_targets(setting);
  beginning.apply(targets, setting);
  const std::string learner = gdssm::predict::learner_of(setting.learner);
  for (Target& target : targets) {
    target.column = table.column(target.name);
    if (!options.compare) continue;
    for (const std::string& name : gdssm::predict::learner_names())
      if (name != learner)
        target.others.push_back({name,
                                 gdssm::predict::make_learner(gdssm::predict::options_for(name, setting.learner),
                                                              static_cast<Index>(features.size())),
                                 {}});
  }

  const auto out_file = output(options.out), summary_file = output(options.summary), plot_file = output(options.plot),
             state_file = output(options.state);
  if (out_file) begin_predictions(*out_file, options.out);
  if (streams && !predictions) begin_predictions(std::cout, "standard output");

  {
    // Rows on a terminal show progress themselves.
    const bool rows_are_seen = streams && ::isatty(STDOUT_FILENO) == 1;
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

      const auto number = static_cast<Index>(table.rows());
      if (predictions) predictions->cell(table.rows());
      for (Target& target : targets) {
        const Eigen::VectorXd& prediction = target.learner.predict(x);
        y[0] = row[target.column];
        if (predictions) {
          const double half_width = target.intervals.half_widths()[0];
          for (const double cell : {prediction[0], y[0], prediction[0] - half_width, prediction[0] + half_width})
            predictions->cell(cell);
        }
        if (gdssm::is_missing(y[0])) continue;
        const bool counts = target.yardstick.rows() >= options.burn_in;
        if (counts) target.score.add(prediction[0], y[0], target.yardstick);
        if (plot_file) target.curve.add(number, prediction[0], y[0], target.score.skill());
        target.intervals.observe(prediction, y);
        target.learner.observe(x, y);
        for (Compared& other : target.others) {
          const double guess = other.learner.predict(x)[0];
          if (counts) other.score.add(guess, y[0], target.yardstick);
          other.learner.observe(x, y);
        }
        target.yardstick.observe(y);
      }
      if (predictions) predictions->end_row();
      if (streams) predictions->flush();
      progress.advance_to([&] { return input.position(); });
    }
  }

  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (summary_file)
    *summary_file << summary_of(targets, table.rows(), seconds).dump(2, ' ', false, Json::error_handler_t::replace)
                  << '\n';
  if (plot_file) *plot_file << targets.front().curve.to_svg(targets.front().name);
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
  for (auto name = options.targets.begin(); name != options.targets.end(); ++name)
    if (std::find(options.targets.begin(), name, *name) != name)
      throw CLI::ValidationError("--target", gdssm::in_quotes(*name) + " is given twice, expected different columns");
  using gdssm::programs::NamedFile;
  std::vector<NamedFile> inputs{{"FILE", options.file == "-" ? "" : options.file}};
  const std::vector<NamedFile> outputs{
      {"--out", options.out}, {"--summary", options.summary}, {"--plot", options.plot}, {"--state", options.state}};
  gdssm::programs::expect_different_files(inputs, outputs);
  // A state may take the place of one that was merged.
  for (const std::string& name : options.merge) inputs.push_back({"--merge", name});
  gdssm::programs::expect_different_files(inputs, {outputs.begin(), outputs.end() - 1});
  if (options.file.empty() && (options.merge.empty() || options.state.empty()))
    throw CLI::ValidationError("FILE",
                               "is missing, expected a CSV file, - for standard input, or --merge with --state");
  try {
    gdssm::predict::learner_of(options.learner);
    gdssm::predict::expect_features(options.learner.features);
  } catch (const std::invalid_argument& error) {
    throw CLI::ParseError(error.what(), 2);
  }
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
  app.add_option("--target", options.targets, "Column to predict, may be given several times (default: the last)")
      ->type_name("NAME")
      ->allow_extra_args(false);
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
  std::string names;
  for (const std::string& name : gdssm::predict::learner_names()) names += (names.empty() ? "" : ", ") + name;
  app.add_option("--learner", options.learner.learner,
                 "One of " + names + " (default: the first that takes the options given)")
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
  app.add_option("--lags", options.learner.lags, "Past values of the target as further features")
      ->type_name("P")
      ->transform(gdssm::programs::whole_number(0))
      ->capture_default_str();
  app.add_option("--features", options.learner.features, "linear, polynomial:DEGREE or fourier:COUNT")
      ->type_name("NAME")
      ->capture_default_str();
  gdssm::programs::add_threads_option(app, options.threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    expect_consistent(options);
    if (options.file.empty()) {
      for (const CLI::Option* option : app.get_options())
        if (const std::string name = option->get_name();
            option->count() > 0 && name != "--merge" && name != "--state" && name != "--threads")
          throw CLI::ValidationError(name, "is given without FILE, expected --merge and --state alone");
      merge(options);
    } else
      predict(options);
  });
}
