// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reproduce/run/experiment.hpp"

namespace gdssm::reproduce {

/// One document that needs no other file: the experiments' sections, figures as inline SVG, for light and dark screens.
class Report {
 public:
  explicit Report(Options options) : options_(std::move(options)) {}

  /// `drawn` holds the SVG documents of the section's figures, in their order.
  void add(const Experiment& experiment, const Result& result, const std::vector<std::string>& drawn);

  std::string html() const;

 private:
  Options options_;
  std::string contents_, body_;
};

}  // namespace gdssm::reproduce
