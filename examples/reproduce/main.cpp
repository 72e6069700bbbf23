// SPDX-License-Identifier: Apache-2.0
// The paper's experiments: `reproduce [--experiment NAME]... [--out DIR] [--seed S] [--seeds K] [--quick] [--resume]`.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
#include "reproduce/experiments/experiments.hpp"
#include "reproduce/report/record_json.hpp"
#include "reproduce/report/report.hpp"
#include "reproduce/run/checkpoints.hpp"
#include "support/program.hpp"

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

void run(const std::vector<const Experiment*>& chosen, Options options, const path& folder, bool resume,
         double seconds) {
  prepare_folder(folder);
  programs::expect_gnuplot();
  Checkpoints checkpoints(folder, options, resume, seconds);
  nlohmann::ordered_json summary = nlohmann::ordered_json::object();
  Report report(options);
  std::vector<OutputFile> files;
  for (const Experiment* experiment : chosen) {
    options.checkpoint = [&](const std::string& run) { return checkpoints.of_run(experiment->name, run); };
    std::optional<Result> finished = checkpoints.result(experiment->name);
    if (!finished) {
      finished = experiment->run(options);
      checkpoints.keep(experiment->name, *finished);
    }
    const Result& result = *finished;
    std::vector<std::string> drawn;
    for (const auto& item : result.section)
      std::visit(
          [&](const auto& part) {
            if constexpr (requires { to_svg(part); }) {
              drawn.push_back(to_svg(part));
              files.push_back({part.name + ".svg", drawn.back()});
            }
          },
          item);
    files.insert(files.end(), result.files.begin(), result.files.end());
    summary[experiment->name] = to_json(result.summary);
    report.add(*experiment, result, drawn);
    print(std::cout, result.overview);
    std::cout << std::endl;
  }
  files.push_back({"report.html", report.html()});
  files.push_back({"summary.json", summary.dump(2) + "\n"});
  write_files(folder, files);
  checkpoints.remove();
  std::cout << "Report: " << (folder / "report.html").string() << '\n';
}

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
  gdssm::programs::add_threads_option(app, options.threads);
  return gdssm::programs::run_program(argc, argv, app, [&] {
    if (options.quick && seeds->count() == 0) options.seeds = 1;
    std::vector<const Experiment*> chosen = experiments();
    if (!names.empty())
      std::erase_if(chosen, [&](const Experiment* experiment) {
        return std::find(names.begin(), names.end(), experiment->name) == names.end();
      });
    run(chosen, options, folder, resume, seconds);
  });
}
