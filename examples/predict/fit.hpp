// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "gdssm/core/processes.hpp"
#include "gdssm/io/dialect.hpp"
#include "predict/columns.hpp"
#include "predict/learners.hpp"

namespace gdssm::predict {

/// What --fit is to do.
struct FitOptions {
  std::vector<std::string> files;
  ColumnOptions columns;
  DialectOptions dialect;
  LearnerOptions learner;
  std::string state;
  int threads = 1;
};

/// Learns the rows of large files, without predictions, and leaves the state. Files are cut into pieces at line ends,
/// in a number that depends on the files alone; processes and threads learn pieces, and their states are merged in the
/// order of `fold_in_fours`. The state is the same bits for any number of processes and threads, and that of one pass
/// but for rounding. Intervals begin with the first prediction after it.
/// Errors  std::invalid_argument: a learner whose states do not merge exactly, columns of text, dates or with gaps,
///         options or files that differ between processes, files of other columns, a state that is there already; those
///         of reading
void fit(const FitOptions& options, Processes& processes);

}  // namespace gdssm::predict
