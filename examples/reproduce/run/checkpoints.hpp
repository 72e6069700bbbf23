// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "gdssm/io/atomic_file.hpp"
#include "reproduce/run/checkpoint.hpp"
#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// What a run of `reproduce` has done so far, in the folder `.checkpoints` of its results, which is locked meanwhile:
///     run.json                      what was asked of which program; the rest is worth nothing without it
///     EXPERIMENT.result             of an experiment that is finished
///     EXPERIMENT/RUN.safetensors    of a training run, at its end or on its way
/// Each is whole or not there, so that a process may be killed at any moment.
class Checkpoints {
 public:
  /// Begins anew, or with `resume` goes on with what is there, if anything is.
  ///     `seconds`  from one checkpoint of a training run to the next
  /// Errors  std::invalid_argument naming the file: a run of another program, or with other options (`threads` apart),
  ///         another process that writes there; std::system_error: the folder cannot be made
  Checkpoints(const std::filesystem::path& results, const Options& options, bool resume, double seconds);

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

}  // namespace gdssm::reproduce
