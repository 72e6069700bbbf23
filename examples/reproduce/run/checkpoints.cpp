// SPDX-License-Identifier: Apache-2.0
#include "reproduce/run/checkpoints.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "gdssm/core/error.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/version.hpp"
#include "reproduce/report/result_file.hpp"

namespace gdssm::reproduce {
namespace {

using std::filesystem::path;
using Json = nlohmann::ordered_json;

/// Other bits may come out of another program, be it the same version.
std::string program() {
  const path executable = "/proc/self/exe";
  std::error_code none;
  if (!std::filesystem::exists(executable, none)) return std::string(version);
  return std::string(version) + ", " + std::to_string(std::hash<std::string_view>{}(read_file(executable)));
}

Json identity_of(const Options& options, const Shard& shard, const std::vector<std::string>& experiments) {
  return {{"program", program()},     {"--seed", options.seed},  {"--seeds", options.seeds},
          {"--quick", options.quick}, {"--shard", shard.text()}, {"experiments", experiments}};
}

/// A file of the folder of checkpoints.
class CheckpointFile : public CheckpointPlace {
 public:
  explicit CheckpointFile(path file) : file_(std::move(file)) {}
  std::string where() const override { return file_.string(); }
  std::optional<Safetensors> read() override {
    if (!std::filesystem::exists(file_)) return std::nullopt;
    return read_safetensors(file_);
  }
  void write(const Safetensors& file) override { write_safetensors(file_, file); }
  void finish(bool) override {}

 private:
  path file_;
};

Json parse_run(const path& file) { return Json::parse(read_file(file), nullptr, false); }

/// Refuses a run that was asked for otherwise; `purpose` ends the message.
void expect_same_run(const path& file, const Json& found, const Json& expected, const char* purpose) {
  for (const auto& [name, value] : expected.items()) {
    const Json other = found.is_object() && found.contains(name) ? found.at(name) : Json();
    if (other != value)
      refuse(file.string(), "this run has ", name, " ", other.dump(), ", expected ", value.dump(), purpose);
  }
}

path result_file_in(const path& folder, const std::string& experiment) { return folder / (experiment + ".result"); }

[[noreturn]] void fail(const path& folder, const char* what, int reason) {
  throw std::system_error(reason, std::generic_category(), folder.string() + ": cannot " + what);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> identity_in_words(const Options& options, const Shard& shard,
                                                                   const std::vector<std::string>& experiments) {
  const Json identity = identity_of(options, shard, experiments);
  std::vector<std::pair<std::string, std::string>> words;
  for (const auto& [name, value] : identity.items()) words.emplace_back(name, value.dump());
  return words;
}

Checkpoints::Checkpoints(const path& results, const Options& options, const Shard& shard,
                         const std::vector<std::string>& experiments, bool resume, double seconds)
    : folder_(results / ".checkpoints"), seconds_(seconds) {
  std::error_code error;
  std::filesystem::create_directory(folder_, error);
  if (error) fail(folder_, "create the folder", error.value());
  lock_ = gdssm::detail::Descriptor(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock_.number() < 0) fail(folder_, "open the folder", errno);
  if (!gdssm::detail::try_lock(lock_.number()))
    refuse(folder_.string(), "another process is writing there, expected to be alone");

  const path run = folder_ / "run.json";
  const Json identity = identity_of(options, shard, experiments);
  if (resume && std::filesystem::exists(run)) {
    expect_same_run(run, parse_run(run), identity, " to resume it (without --resume a new run begins)");
    return;
  }
  std::filesystem::remove(run);  // first: what it speaks of is going
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) std::filesystem::remove_all(entry.path());
  write_file(run, identity.dump(2) + "\n");
}

std::optional<Result> Checkpoints::result(const std::string& experiment) const {
  const path file = result_file(experiment);
  if (!std::filesystem::exists(file)) return std::nullopt;
  return parse_result(read_file(file), file.string());
}

void Checkpoints::keep(const std::string& experiment, const Result& result) {
  write_file(result_file(experiment), serialize(result));
  std::filesystem::remove_all(folder_ / experiment);
}

Checkpoint Checkpoints::of_run(const std::string& experiment, const std::string& run) {
  const path folder = folder_ / experiment, file = folder / (run + ".safetensors");
  const std::scoped_lock lock(mutex_);
  if (!given_.insert(file).second) refuse(file.string(), "two training runs of one name");
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error) fail(folder, "create the folder", error.value());
  return {std::make_shared<CheckpointFile>(file), std::chrono::duration<double>(seconds_)};
}

void Checkpoints::remove() { std::filesystem::remove_all(folder_); }

JoinedRun join_shards(const std::vector<path>& folders) {
  JoinedRun joined;
  Json first;
  std::map<Index, path> found;
  Index count = 0;
  for (const path& results : folders) {
    const path folder = results / ".checkpoints", file = folder / "run.json";
    if (!std::filesystem::exists(file)) refuse(results.string(), "holds no shard, expected one left by --shard I/N");
    Json run = parse_run(file);
    if (!run.is_object() || !run.contains("--shard")) refuse(file.string(), "is not what --shard left");
    Shard shard;
    const std::string text = run.at("--shard").get<std::string>();
    const std::size_t slash = text.find('/');
    shard.index = std::stol(text.substr(0, slash));
    shard.count = std::stol(text.substr(slash + 1));
    run["--shard"] = "of " + std::to_string(shard.count);
    if (first.is_null()) {
      first = run;
      count = shard.count;
      joined.options.seed = run.at("--seed").get<std::uint64_t>();
      joined.options.seeds = run.at("--seeds").get<Index>();
      joined.options.quick = run.at("--quick").get<bool>();
      joined.experiments = run.at("experiments").get<std::vector<std::string>>();
      // What another program left may hold experiments that this one does not know.
      expect_same_run(file, run, {{"program", program()}}, ", the program that joins");
    }
    expect_same_run(file, run, first, (", as in " + folders.front().string()).c_str());
    if (const auto [other, is_new] = found.emplace(shard.index, results); !is_new)
      refuse(results.string(), "holds shard ", text, ", which ", other->second.string(), " holds too");
    for (std::size_t i = 0; i < joined.experiments.size(); ++i) {
      if (!shard.has(i)) continue;
      const std::string& name = joined.experiments[i];
      const path result = result_file_in(folder, name);
      if (!std::filesystem::exists(result))
        refuse(results.string(), "shard ", text, " has not finished ", name, ", expected it to (--resume goes on)");
      joined.results.emplace(name, parse_result(read_file(result), result.string()));
    }
  }
  for (Index i = 1; i <= count; ++i)
    if (!found.contains(i)) refuse("--join", "shard ", i, "/", count, " is missing, expected all of them");
  return joined;
}

}  // namespace gdssm::reproduce
