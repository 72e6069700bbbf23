// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "reproduce/report/claims.hpp"
#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// One document that needs no other file: the paper's claims with verdicts, then the experiments' sections, figures as
/// inline SVG, for light and dark screens.
class Report {
 public:
  explicit Report(Options options) : options_(std::move(options)) {}

  /// `drawn` holds the SVG documents of the section's figures, in their order.
  void add(const Experiment& experiment, const Result& result, const std::vector<std::string>& drawn);

  /// The paper's claims, as far as the experiments tell.
  Table claims() const { return reproduce::claims(summaries_); }
  std::string html() const;

 private:
  Options options_;
  std::string contents_, body_;
  std::map<std::string, Record> summaries_;
};

}  // namespace gdssm::reproduce
