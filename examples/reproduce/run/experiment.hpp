// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "gdssm/core/view.hpp"
#include "reproduce/report/record.hpp"
#include "reproduce/report/table.hpp"
#include "reproduce/run/checkpoint.hpp"
#include "support/figure.hpp"

namespace gdssm::reproduce {

using programs::Axis, programs::Colour, programs::Figure, programs::HeatMap, programs::Mark, programs::Series;

/// "seed-7", in the names of runs and files.
inline std::string seed_name(std::uint64_t seed) { return "seed-" + std::to_string(seed); }

/// What the command line asks of every experiment.
struct Options {
  std::uint64_t seed = 1;
  Index seeds = 5;
  bool quick = false;
  int threads = 1;
  /// The place of a training run of the experiment, by a name that no other of its runs has and that is a file's.
  std::function<Checkpoint(const std::string& run)> checkpoint = [](const std::string&) { return Checkpoint(); };

  /// The seed of run k = 0..seeds-1.
  std::uint64_t seed_of(Index k) const { return seed + static_cast<std::uint64_t>(k); }
};

/// Plain text with the numbers in it.
struct Paragraph {
  std::string text;
};

/// A file of the results, beside the figures: its name and all of its bytes.
struct OutputFile {
  std::string name;
  std::string bytes;
};

/// What an experiment found. The same options give the same value, but for members of `summary` named "seconds".
struct Result {
  Record summary = Record::object();                                     ///< the experiment's object in summary.json
  Table overview;                                                        ///< printed, and first in the report
  std::vector<std::variant<Paragraph, Table, Figure, HeatMap>> section;  ///< the report's section, in order
  std::vector<OutputFile> files;  ///< CSV and weights, named after the experiment
};

/// Defined in a file of its own, as `extern const Experiment NAME{...}`, and listed in experiments.cpp.
struct Experiment {
  std::string name;   ///< on the command line, in summary.json and leading its files' names
  std::string title;  ///< its heading in the report
  Result (*run)(const Options&);
};

}  // namespace gdssm::reproduce
