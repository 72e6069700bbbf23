// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gdssm/io/atomic_file.hpp"
#include "reproduce/run/checkpoint.hpp"
#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// One of the parts of a run that processes share: every `count`-th of its experiments, from the `index`-th on. 1/1 is
/// the whole.
struct Shard {
  Index index = 1, count = 1;

  std::string text() const { return std::to_string(index) + "/" + std::to_string(count); }
  bool has(std::size_t experiment) const { return static_cast<Index>(experiment) % count == index - 1; }
};

/// What a run is, whoever does it and wherever: program, options and experiments, by name.
std::vector<std::pair<std::string, std::string>> identity_in_words(const Options& options, const Shard& shard,
                                                                   const std::vector<std::string>& experiments);

/// What a run of `reproduce` has done so far, in the folder `.checkpoints` of its results, which is locked meanwhile:
///     run.json                      what was asked of which program; the rest is worth nothing without it
///     EXPERIMENT.result             of an experiment that is finished
///     EXPERIMENT/RUN.safetensors    of a training run, at its end or on its way
/// Each is whole or not there, so that a process may be killed at any moment.
class Checkpoints {
 public:
  /// Begins anew, or with `resume` goes on with what is there, if anything is.
  ///     `seconds`      from one checkpoint of a training run to the next
  ///     `experiments`  the names of all, those of other shards included
  /// Errors  std::invalid_argument naming the file: a run of another program, or with other options (`threads` apart),
  ///         another process that writes there; std::system_error: the folder cannot be made
  Checkpoints(const std::filesystem::path& results, const Options& options, const Shard& shard,
              const std::vector<std::string>& experiments, bool resume, double seconds);

  /// What an experiment has found, if it is finished.
  /// Errors  std::invalid_argument naming the file: not such a result
  std::optional<Result> result(const std::string& experiment) const;

  /// Keeps what an experiment has found, in place of its training runs.
  void keep(const std::string& experiment, const Result& result);

  /// The place of a training run. Thread-safe. Errors  std::invalid_argument: a name that was given out before
  Checkpoint of_run(const std::string& experiment, const std::string& run);

  /// Removes the folder: all is written that there was to write.
  void remove();

 private:
  std::filesystem::path result_file(const std::string& experiment) const { return folder_ / (experiment + ".result"); }

  std::filesystem::path folder_;
  double seconds_;
  gdssm::detail::Descriptor lock_;
  std::mutex mutex_;
  std::set<std::filesystem::path> given_;
};

/// What all shards of a run found.
struct JoinedRun {
  Options options;
  std::vector<std::string> experiments;   ///< in order
  std::map<std::string, Result> results;  ///< of each
};

/// Reads the shards that are in these folders of results.
/// Errors  std::invalid_argument naming the folder: no shard, one that is not finished, one that is there twice, one of
///         another run (program, seeds, --quick, experiments, number of shards); and the number of one that is missing
JoinedRun join_shards(const std::vector<std::filesystem::path>& folders);

}  // namespace gdssm::reproduce
