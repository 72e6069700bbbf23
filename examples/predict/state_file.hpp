// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gdssm/io/csv_rows.hpp"
#include "gdssm/io/safetensors.hpp"
#include "gdssm/io/table_encoder.hpp"
#include "gdssm/io/tensors.hpp"
#include "predict/learners.hpp"
#include "predict/target.hpp"

namespace gdssm::predict {

/// Which columns a learner has seen, and what it is.
struct Setting {
  std::vector<std::string> columns;  ///< that are not targets, in the order of their encoder
  std::vector<std::string> targets;
  LearnerOptions learner;
};

/// The state to begin with, if there is one: the two that are merged, or what the last run has left.
class Beginning {
 public:
  /// Reads the files that are there.
  /// Errors  std::invalid_argument naming the file: no state of predict, or one of version 0.1
  Beginning(const std::vector<std::string>& merged, const std::string& state);
  /// States that have been read, each with the name that it has in messages.
  /// Errors  as above
  explicit Beginning(std::vector<std::pair<std::string, Safetensors>> states);

  bool is_empty() const { return files_.empty(); }
  const std::string& name() const { return names_.front(); }  ///< of the first file
  const Setting& setting() const { return settings_.front(); }

  /// Sets the targets, made for this setting.
  /// Errors  a state of other columns, targets or learners, or one that does not fit
  void apply(std::vector<Target>& targets, const Setting& setting) const;

 private:
  void add(std::string name, Safetensors file);

  std::vector<std::string> names_;
  std::vector<Safetensors> files_;
  std::vector<Setting> settings_;
};

/// What is written at the end: all that later predictions depend on, under the names of columns and targets.
Safetensors state_file_of(std::vector<Target>& targets, const Setting& setting);

/// Refuses names that a state's file cannot hold.
void expect_utf8(const CsvRows& table, const std::string& where);

/// The learner that was given, as far as it was, with what the state says where nothing was.
/// Errors  std::invalid_argument: a learner other than the state's
LearnerOptions learner_with_state(const LearnerOptions& given, const Beginning& beginning);

}  // namespace gdssm::predict
