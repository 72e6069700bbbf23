// SPDX-License-Identifier: Apache-2.0
// The paper's experiments: `reproduce [--experiment NAME]... [--out DIR] [--seed S] [--seeds K] [--quick] [--resume]`.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <limits>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/text.hpp"
#include "reproduce/experiments/experiments.hpp"
#include "reproduce/report/record_json.hpp"
#include "reproduce/report/report.hpp"
#include "reproduce/run/checkpoints.hpp"
#include "reproduce/run/sweep.hpp"
#include "support/program.hpp"
#include "support/ranks.hpp"

namespace gdssm::reproduce {
namespace {

using std::filesystem::path;

/// Makes the folder, and refuses one that cannot be written to before the work rather than after it.
void prepare_folder(const path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && !std::filesystem::is_directory(folder)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) throw std::system_error(error, folder.string() + ": cannot create the folder");
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw std::system_error(errno, std::generic_category(), folder.string() + ": cannot write to the folder");
}

/// All files appear after all of them are written.
void write_files(const path& folder, const std::vector<OutputFile>& files) {
  std::list<AtomicFile> open;
  for (const OutputFile& file : files) open.emplace_back(folder / file.name) << file.bytes << std::flush;
  for (AtomicFile& file : open) file.commit();
}

/// Prints what experiments have found, one by one, and writes their files in the end.
class Writer {
 public:
  Writer(const Options& options, path folder) : folder_(std::move(folder)), report_(options) {}

  void add(const Experiment& experiment, const Result& result) {
    std::vector<std::string> drawn;
    for (const auto& item : result.section)
      std::visit(
          [&](const auto& part) {
            if constexpr (requires { to_svg(part); }) {
              drawn.push_back(to_svg(part));
              files_.push_back({part.name + ".svg", drawn.back()});
            }
          },
          item);
    files_.insert(files_.end(), result.files.begin(), result.files.end());
    summary_[experiment.name] = to_json(result.summary);
    report_.add(experiment, result, drawn);
    print(std::cout, result.overview);
    std::cout << std::endl;
  }

  void write() {
    files_.push_back({"report.html", report_.html()});
    files_.push_back({"summary.json", summary_.dump(2) + "\n"});
    write_files(folder_, files_);
    if (const Table found = report_.claims(); !found.rows.empty()) {
      print(std::cout, found);
      std::cout << '\n';
    }
    std::cout << "Report: " << (folder_ / "report.html").string() << '\n';
  }

 private:
  path folder_;
  nlohmann::ordered_json summary_ = nlohmann::ordered_json::object();
  Report report_;
  std::vector<OutputFile> files_;
};

/// Runs all of the chosen experiments and writes their files; or a shard's, and leaves what `join` reads. Where there
/// are several processes they share the work, and process 0 has the files.
void run(const std::vector<const Experiment*>& chosen, Options options, const std::optional<Shard>& part,
         const path& folder, bool resume, double seconds, Processes& processes) {
  const Shard shard = part.value_or(Shard());
  std::vector<std::string> names;
  std::vector<const Experiment*> mine;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    names.push_back(chosen[i]->name);
    if (shard.has(i)) mine.push_back(chosen[i]);
  }
  expect_same(processes, identity_in_words(options, shard, names));
  if (processes.rank() != 0) return run_sweep(processes, mine, options, nullptr, seconds, {});

  prepare_folder(folder);
  programs::expect_gnuplot();
  Checkpoints checkpoints(folder, options, shard, names, resume, seconds);
  Writer writer(options, folder);
  if (processes.size() > 1)
    run_sweep(processes, mine, options, &checkpoints, seconds,
              [&](const Experiment& experiment, const Result& result) { writer.add(experiment, result); });
  else
    for (const Experiment* experiment : mine) {
      const std::string& name = experiment->name;
      options.checkpoint = [&](const std::string& run) { return checkpoints.of_run(name, run); };
      std::optional<Result> finished = checkpoints.result(name);
      if (!finished) {
        finished = experiment->run(options);
        checkpoints.keep(name, *finished);
      }
      writer.add(*experiment, *finished);
    }
  if (part) {
    std::cout << "Shard " << shard.text() << " is done; --join puts all together\n";
    return;
  }
  writer.write();
  checkpoints.remove();
}

/// Writes the files of the run whose shards are in these folders.
void join(const std::vector<path>& shards, const path& folder) {
  const JoinedRun joined = join_shards(shards);
  prepare_folder(folder);
  programs::expect_gnuplot();
  Writer writer(joined.options, folder);
  for (const Experiment* experiment : experiments())
    if (const auto result = joined.results.find(experiment->name); result != joined.results.end())
      writer.add(*experiment, result->second);
  writer.write();
}

/// "2/3", as CLI11 checks and reads it.
struct ShardText : CLI::Validator {
  ShardText() : CLI::Validator("I/N") {
    func_ = [](std::string& text) {
      Shard shard;
      return parse(text, shard) ? std::string() : "got " + in_quotes(text) + ", expected I/N with 1 <= I <= N";
    };
  }
  static bool parse(const std::string& text, Shard& shard) {
    const char* const end = text.data() + text.size();
    const auto [slash, error] = std::from_chars(text.data(), end, shard.index);
    if (error != std::errc() || slash == end || *slash != '/') return false;
    const auto [rest, also] = std::from_chars(slash + 1, end, shard.count);
    return also == std::errc() && rest == end && shard.index >= 1 && shard.index <= shard.count &&
           shard.count <= 1000000;
  }
};

}  // namespace
}  // namespace gdssm::reproduce

int main(int argc, char** argv) {
  using namespace gdssm::reproduce;
  Options options;
  std::string folder = "results";
  bool resume = false;
  double seconds = 10;
  std::vector<std::string> names;
  std::set<std::string> known;
  for (const Experiment* experiment : experiments()) known.insert(experiment->name);

  CLI::App app(
      "Runs the experiments of arXiv:2410.11687v1, prints what they found, and writes tables, figures, weights,\n"
      "summary.json and report.html. The same seed gives the same files, but for \"seconds\" in summary.json.",
      "reproduce");
  app.add_option("--experiment", names, "What to run; may be given several times (default: all)")
      ->check(CLI::IsMember(known))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME");
  app.add_option("--out", folder, "The folder for the results, made when missing")->capture_default_str();
  app.add_option("--seed", options.seed, "The first run's seed; the others follow it")
      ->transform(gdssm::programs::whole_number(0, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str();
  CLI::Option* const seeds = app.add_option("--seeds", options.seeds, "How many runs, each with a seed of its own");
  seeds->transform(gdssm::programs::whole_number(1, 1000000))->default_str("5, 1 with --quick");
  app.add_flag(
      "--resume", resume,
      "Go on where an earlier run into the same folder was interrupted: with the same program, --seed, --seeds\n"
      "and --quick; threads may differ. The files become those of a run that was not interrupted");
  app.add_option("--checkpoint-every", seconds,
                 "How often a training run is saved for --resume; 0: after every update, which takes far longer")
      ->type_name("SECONDS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--quick", options.quick, "Fewer tasks, one seed: seconds instead of minutes");
  std::string part;
  app.add_option("--shard", part, "Run one of N parts, 1/N to N/N, each into a folder of its own, for --join")
      ->check(ShardText());
  std::vector<std::string> shards;
  auto* const join_option =
      app.add_option("--join", shards, "Write the files of the run whose parts are in these folders; runs nothing")
          ->type_name("DIR");
  for (CLI::Option* const option : app.get_options())
    if (option->get_name() != "--out" && option->get_name() != "--help" && option->get_name() != "--version" &&
        option != join_option)
      join_option->excludes(option);
  gdssm::programs::add_threads_option(app, options.threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    if (join_option->count() > 0) return join({shards.begin(), shards.end()}, folder);
    std::optional<Shard> shard;
    if (!part.empty()) ShardText::parse(part, shard.emplace());
    if (options.quick && seeds->count() == 0) options.seeds = 1;
    std::vector<const Experiment*> chosen = experiments();
    if (!names.empty())
      std::erase_if(chosen, [&](const Experiment* experiment) {
        return std::find(names.begin(), names.end(), experiment->name) == names.end();
      });
    gdssm::programs::with_ranks(
        [&](gdssm::Processes& ranks) { run(chosen, options, shard, folder, resume, seconds, ranks); });
  });
}
