// SPDX-License-Identifier: Apache-2.0
// Programs that are killed, and programs that cannot write their output.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "gdssm/io/atomic_file.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/text.hpp"
#include "io/support.hpp"
#include "programs/run.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

namespace {

using gdssm::Index;
using gdssm::Safetensors;
using gdssm::test::Output;
using gdssm::test::Process;
using gdssm::test::Random;
using gdssm::test::Run;
using gdssm::test::run;
using gdssm::test::TemporaryFolder;
using nlohmann::json;
using std::filesystem::path;
using Strings = std::vector<std::string>;
using Files = std::map<std::string, std::string>;

Strings operator+(Strings a, const Strings& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The content of a folder's files by name, except hidden files and the times in summary.json.
Files files(const path& folder) {
  Files files;
  if (!std::filesystem::exists(folder)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.')) continue;
    files[name] = gdssm::read_file(entry.path());
    if (name != "summary.json") continue;
    json summary = json::parse(files[name]);
    const auto remove_seconds = [](const auto& self, json& value) -> void {
      if (value.is_object()) value.erase("seconds");
      if (value.is_structured())
        for (json& member : value) self(self, member);
    };
    remove_seconds(remove_seconds, summary);
    files[name] = summary.dump();
  }
  return files;
}

/// Inputs of every program; the two of each kind differ.
class Inputs {
 public:
  Inputs() {
    for (const int which : {0, 1}) {
      Random random(1 + static_cast<std::uint64_t>(which));
      std::string table = "a,b,y\n";
      for (int t = 0; t < 400; ++t) {
        const double a = random(), b = random();
        table += gdssm::format_number(a) + "," + gdssm::format_number(b) + "," + gdssm::format_number(a - 2 * b) + "\n";
      }
      gdssm::write_file(folder_ / ("table-" + std::to_string(which)), table);
      const auto tensor = [&](std::vector<Index> shape) {
        Index size = 1;
        for (const Index n : shape) size *= n;
        std::vector<double> numbers(static_cast<std::size_t>(size));
        for (double& number : numbers) number = random();
        return gdssm::Tensor{std::move(shape), std::move(numbers)};
      };
      Safetensors weights{{{"discretization", "none"}, {"targets", "vector"}, {"readout", "none"}},
                          {{"layers_0.seq.w_q", tensor({3, 3})},
                           {"layers_0.seq.Lambda_re", tensor({4, 4})},
                           {"layers_0.seq.C", tensor({4, 4})},
                           {"layers_0.seq.D", tensor({3})}}};
      gdssm::write_safetensors(folder_ / ("weights-" + std::to_string(which)), weights);
      gdssm::write_safetensors(folder_ / ("tokens-" + std::to_string(which)),
                               {{}, {{"tokens", tensor({500, 9, 4})}, {"target", tensor({500, 4})}}});
    }
  }

  std::string operator()(const std::string& kind, int which = 0) const {
    return (folder_ / (kind + "-" + std::to_string(which))).string();
  }

 private:
  TemporaryFolder folder_;
};

const Inputs& inputs() {
  static const Inputs once;
  return once;
}

void expect_error(const Run& ended, const std::string& begin) {
  INFO(ended.err);
  CHECK(ended.status == 1);
  CHECK(ended.err.starts_with("error: " + begin));
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
}

/// A program with arguments that make it write the file `out`, or files in the folder `out`.
struct Command {
  std::string program;
  Strings arguments;
  std::string to;  ///< the option before `out`

  Strings with(const path& out) const { return arguments + Strings{to, out.string()}; }
};

std::vector<Command> commands(int which = 0) {
  return {{"predict", {inputs()("table", which)}, "--out"},
          {"predict", {inputs()("table", which), "--out", "/dev/null"}, "--summary"},
          {"predict", {inputs()("table", which), "--out", "/dev/null"}, "--plot"},
          {"predict", {inputs()("table", which), "--out", "/dev/null"}, "--state"},
          {"evaluate", {inputs()("weights", which), inputs()("tokens", which)}, "--out"},
          {"explain", {inputs()("weights", which), "--tasks", "100"}, "--json"}};
}

/// The run time of an action in seconds.
template <class Action>
double seconds_of(const Action& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Starts a program and sends it a signal within this many seconds. Returns how it ended.
Run interrupted(const std::string& program, const Strings& arguments, int signal, double most, Random& random) {
  Process process(program, arguments);
  std::this_thread::sleep_for(std::chrono::duration<double>(most * (random() + 0.5)));
  process.signal(signal);
  return process.end();
}

const int signals[] = {SIGKILL, SIGINT, SIGTERM, SIGHUP};

/// Kills each program this often while it replaces a file: the file is always the old one or the new one.
void expect_old_or_new(int kills, std::uint64_t seed) {
  const std::vector<Command> first = commands(0), second = commands(1);
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i].to == "--summary" || first[i].to == "--state") continue;  // has times in it; goes on with the old one
    CAPTURE(first[i].program, first[i].to);
    const TemporaryFolder folder;
    const path out = folder / "out";
    const auto write = [&](const Command& command) {
      REQUIRE(run(command.program, command.with(out)).status == 0);
      return gdssm::read_file(out);
    };
    const std::string newer = write(second[i]), old = write(first[i]);
    REQUIRE(newer != old);
    const double most = 1.2 * seconds_of([&] { write(first[i]); });
    Random random(seed + i);
    std::size_t left = 0;
    for (int k = 0; k < kills; ++k) {
      const int signal = signals[k % std::ssize(signals)];
      gdssm::write_file(out, old);  // and removes what the last kill may have left
      // A gnuplot that is starting when its parent is killed holds the lock for a while.
      for (int wait = 0; wait < 200 && folder.names().size() > 1; ++wait) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        gdssm::write_file(out, old);
      }
      CHECK(folder.names() == std::set<std::string>{"out"});
      const Run ended = interrupted(second[i].program, second[i].with(out), signal, most, random);
      const std::string now = gdssm::read_file(out);
      CAPTURE(k, signal, ended.status);
      CHECK((ended.status == 128 + signal || (ended.status == 0 && now == newer)));
      CHECK((now == old || now == newer));
      if (signal == SIGKILL)
        left = std::max(left, folder.names().size() - 1);
      else
        CHECK(folder.names() == std::set<std::string>{"out"});
    }
    CHECK(left <= 1);
  }
}

const Strings resumed = {"--quick", "--resume", "--checkpoint-every", "0.02"};

/// `reproduce`, killed this often and resumed each time, on one and two threads, writes the files of a single run.
void expect_resumes(const Strings& experiments, int kills, std::uint64_t seed) {
  Strings chosen;
  for (const std::string& name : experiments) chosen = chosen + Strings{"--experiment", name};
  const TemporaryFolder folder;
  const path whole = folder / "whole", out = folder / "out";
  const double seconds = seconds_of([&] {
    REQUIRE(run("reproduce", chosen + Strings{"--quick", "--out", whole.string()}).status == 0);
  });
  const Files expected = files(whole);
  REQUIRE(expected.size() > 3);
  Random random(seed);
  for (int k = 0; k < kills; ++k) {
    const int signal = signals[k % std::ssize(signals)];
    const Strings arguments = chosen + resumed + Strings{"--out", out.string(), "--threads", std::to_string(1 + k % 2)};
    const Run ended = interrupted("reproduce", arguments, signal, 0.5 * seconds, random);
    CAPTURE(k, signal, ended.status, ended.err);
    CHECK((ended.status == 128 + signal || ended.status == 0));
    for (const auto& [name, bytes] : files(out)) {
      INFO(name);
      CHECK(bytes == expected.at(name));
    }
  }
  const Run ended = run("reproduce", chosen + resumed + Strings{"--out", out.string()});
  INFO(ended.err);
  REQUIRE(ended.status == 0);
  CHECK(files(out) == expected);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(out)) names.insert(entry.path().filename().string());
  CHECK(names.size() == expected.size());
}

}  // namespace

TEST_CASE("Killed at any moment, programs leave the old file or the new one", "[faults]") { expect_old_or_new(24, 1); }

TEST_CASE("Killed and resumed, reproduce leaves the bytes of a run that was not", "[faults]") {
  expect_resumes({"theory", "linear-vector"}, 6, 1);
}

// Takes many minutes: run it by test_programs "[long]" or the preset nightly.
TEST_CASE("Killed a thousand times, programs leave the old file or the new one", "[.][long]") {
  expect_old_or_new(250, 2);
}

TEST_CASE("Killed and resumed hundreds of times, reproduce leaves the bytes of a run that was not", "[.][long]") {
  std::uint64_t seed = 2;
  for (const Strings& experiments : std::vector<Strings>{{"theory", "linear-online"},
                                                         {"linear-scalar"},
                                                         {"constructed"},
                                                         {"features"},
                                                         {"multi-step"},
                                                         {"nonlinear"},
                                                         {"drift"},
                                                         {"ablations"},
                                                         {"baselines"},
                                                         {"classification"}})
    for (int round = 0; round < 2; ++round) {
      CAPTURE(experiments, round);
      expect_resumes(experiments, 12, ++seed);
    }
}

TEST_CASE("A finished experiment is not run again, and a run of another kind is not resumed", "[faults]") {
  const TemporaryFolder folder;
  const path out = folder / "out", kept = out / ".checkpoints";
  const Strings chosen{"--experiment", "theory", "--quick", "--out", out.string()};
  std::filesystem::create_directory(out);
  std::filesystem::create_directory(out / "summary.json");  // in the way, at the end
  expect_error(run("reproduce", chosen), (out / "summary.json").string() + ": cannot write: Is a directory\n");
  CHECK(std::set<std::string>{"run.json", "theory.result"} == [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kept)) names.insert(entry.path().filename().string());
    return names;
  }());
  const std::string theory = gdssm::read_file(kept / "theory.result");  // with the seconds that it took

  const auto resume = [&](const Strings& more) { return run("reproduce", chosen + Strings{"--resume"} + more); };
  expect_error(resume({}), (out / "summary.json").string() + ": cannot write: Is a directory\n");
  CHECK(gdssm::read_file(kept / "theory.result") == theory);

  const std::string place = (kept / "run.json").string() + ": this run has ";
  expect_error(resume({"--seed", "7"}), place + "--seed 1, expected 7 to resume it");
  expect_error(resume({"--seeds", "2"}), place + "--seeds 1, expected 2 to resume it");
  CHECK(gdssm::read_file(kept / "theory.result") == theory);
  json other = json::parse(gdssm::read_file(kept / "run.json"));
  const std::string program = other.at("program");
  other["program"] = "0.0.1";
  gdssm::write_file(kept / "run.json", other.dump());
  expect_error(resume({}), place + "program \"0.0.1\", expected \"" + program + "\" to resume it");
  other["program"] = program;
  gdssm::write_file(kept / "run.json", other.dump());
  gdssm::write_file(kept / "theory.result", theory.substr(0, theory.size() / 2));
  expect_error(resume({}), (kept / "theory.result").string() + ": ");

  // Without --resume everything starts over.
  expect_error(run("reproduce", chosen), (out / "summary.json").string() + ": cannot write");
  CHECK(gdssm::read_file(kept / "theory.result") != theory);
  std::filesystem::remove(out / "summary.json");
  CHECK(resume({}).status == 0);
  CHECK_FALSE(std::filesystem::exists(kept));
  const Files resumed_files = files(out);
  CHECK(run("reproduce", chosen).status == 0);
  CHECK(files(out) == resumed_files);
}

TEST_CASE("Two runs of reproduce do not write to one folder at a time", "[faults]") {
  const TemporaryFolder folder;
  const path kept = folder / "out" / ".checkpoints";
  const Strings chosen{"--experiment", "linear-online", "--quick", "--out", (folder / "out").string()};
  Process first("reproduce", chosen);
  for (int wait = 0; wait < 1000 && !std::filesystem::exists(kept / "run.json"); ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  expect_error(run("reproduce", chosen + Strings{"--resume"}), kept.string() + ": another process is writing there");
  first.signal(SIGINT);
  CHECK(first.end().status == 128 + SIGINT);
  CHECK(std::filesystem::exists(kept / "run.json"));
}

TEST_CASE("Weights and contexts are not overwritten by what is said of them", "[program][misuse]") {
  for (const Command& command : commands())
    for (const char* input : {"weights", "tokens"}) {
      const std::string name = inputs()(input, 0), before = gdssm::read_file(name);
      if (std::find(command.arguments.begin(), command.arguments.end(), name) == command.arguments.end()) continue;
      const Run result = run(command.program, command.with(name));
      CHECK(result.status == 2);
      CHECK(result.err.starts_with("error: " + command.to + ": names the same file as "));
      CHECK(gdssm::read_file(name) == before);
    }
}

TEST_CASE("Where a file cannot be written every program says which and why, and leaves nothing", "[faults][misuse]") {
  const TemporaryFolder folder;
  gdssm::write_file(folder / "file", "in the way");
  const auto refused = [&](const path& out, const std::string& reason) {
    for (const Command& command : commands()) {
      CAPTURE(command.program, command.to);
      if (command.to == "--state" && std::filesystem::exists(out)) continue;  // which is read first
      expect_error(run(command.program, command.with(out)), out.string() + ": cannot " + reason);
    }
  };
  refused(folder / "file/out", "write: Not a directory\n");
  refused(folder / "none/out", "create a file in folder '" + (folder / "none").string() + "': No such file");
  refused(folder.path(), "write: Is a directory\n");
  refused("/dev/full", "write: No space left on device\n");
  if (std::filesystem::exists("/proc/self"))  // where root may not write either
    for (const Command& command : commands())
      expect_error(run(command.program, command.with("/proc/out")),
                   "/proc/out: cannot create a file in folder '/proc'");
  for (const std::string& out :
       {(folder / "file").string(), (folder / "file/results").string(), std::string("/proc/x")})
    expect_error(run("reproduce", {"--quick", "--experiment", "theory", "--out", out}),
                 out + ": cannot create the folder");
  CHECK(gdssm::read_file(folder / "file") == "in the way");
  CHECK(folder.names() == std::set<std::string>{"file"});
}

TEST_CASE("A file that would outgrow the limit on sizes is refused, and no part of it stays", "[faults][misuse]") {
  const TemporaryFolder folder;
  const path out = folder / "out";
  gdssm::write_file(out, "old");
  for (const Command& command : commands()) {
    if (command.to != "--out" && command.to != "--json") continue;  // small ones
    CAPTURE(command.program);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit limit{256, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    Process process(command.program, command.with(out));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    expect_error(process.end(), out.string() + ": cannot write: File too large");
    CHECK(folder.names() == std::set<std::string>{"out"});
    CHECK(gdssm::read_file(out) == "old");
  }
}

TEST_CASE("Where standard output takes nothing every program says so and ends with status 1", "[faults][misuse]") {
  const TemporaryFolder folder;
  const std::string verdict = (folder / "verdict").string(), results = (folder / "results").string();
  const Strings theory{"--quick", "--experiment", "theory", "--out", results};
  REQUIRE(run("reproduce", theory).status == 0);
  const Files whole = files(results);
  for (const Output output : {Output::closed, Output::full, Output::unread}) {
    CAPTURE(static_cast<int>(output));
    const auto fails = [&](const std::string& program, const Strings& arguments) {
      CAPTURE(program);
      expect_error(run(program, arguments, output), "standard output: ");
    };
    fails("predict", {inputs()("table")});
    fails("evaluate", {"--version"});
    fails("explain", {inputs()("weights"), "--tasks", "100", "--json", verdict});
    fails("reproduce", theory);
    // No text for standard output has been written to a file.
    CHECK(json::parse(gdssm::read_file(verdict)).is_object());
    CHECK(files(results) == whole);
    std::filesystem::remove(verdict);
    std::filesystem::remove_all(results);
  }
}

TEST_CASE("A file never takes the place of a standard output that is closed", "[faults][regression]") {
  const TemporaryFolder folder;
  const std::string summary = (folder / "summary").string();
  expect_error(run("predict", {"-", "--summary", summary}, Output::closed, inputs()("table")), "standard output: ");
  CHECK(folder.names().empty());
}

TEST_CASE("An interrupted program ends by the signal and takes its temporary file along", "[faults]") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "rows").c_str(), 0600) == 0);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Process process("predict", {(folder / "rows").string(), "--out", (folder / "out").string()});
    const int rows = ::open((folder / "rows").c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(rows >= 0);
    const std::string table = "a,y\n1,2\n2,4\n";
    CHECK(::write(rows, table.data(), table.size()) == static_cast<ssize_t>(table.size()));
    for (int wait = 0; wait < 1000 && folder.names().size() == 1; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(folder.names().size() == 2);  // the file that is being written
    process.signal(signal);
    CHECK(process.end().status == 128 + signal);
    ::close(rows);
    CHECK(folder.names() == std::set<std::string>{"rows"});
  }
}
