// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "gdssm/io/checkpoint.hpp"
#include "gdssm/models/augmented_ssm.hpp"
#include "gdssm/tasks/linear_regression.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm::test {

/// The files that a short run leaves: its checkpoint half way and at its end, and all losses. Of 11 groups of lanes,
/// the last not full.
inline std::vector<std::string> shared_run(Index parts, Processes* processes, int threads) {
  using S = Lanes<float>;
  const PaperLayer<> layer(3);
  const LinearRegression tasks{.features = 3, .outputs = 3, .context = 4};
  const AdamW optimizer = AdamW::reference();
  auto run = begin_run(optimizer, reference_initialization<float>(layer, 5));
  ThreadPool pool(threads);
  std::vector<std::string> files;
  std::string losses;
  const auto keep = [&](const auto& progress) {
    losses += std::to_string(progress.update) + " " + std::to_string(progress.loss * 1e9) + "\n";
    return progress.update == 3;
  };
  const TrainingOptions options{.updates = 6,
                                .batch = 10 * lane_count<S> + 1,
                                .updates_per_draw = 2,
                                .seed = 2,
                                .division = {.parts = parts, .processes = processes}};
  for (int half = 0; half < 2; ++half) {  // stopped after update 3, and continued
    const auto result = train<S>(layer, tasks, optimizer, ConstantRate{}, options, run, pool, keep);
    files.push_back(serialize(checkpoint_of(run, {{"seed", "2"}}), "run"));
    losses += result.message + "\n";
  }
  files.push_back(losses);
  return files;
}

}  // namespace gdssm::test
