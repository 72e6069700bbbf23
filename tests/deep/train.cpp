// SPDX-License-Identifier: Apache-2.0
#include "gdssm/deep/train.hpp"

#include "support/catch.hpp"

#include "gdssm/io/checkpoint_tensors.hpp"

namespace gdssm {
namespace {

/// Sequences that count up from a random start, every next token a target but the first's.
void counting(Index n, MarkedSequences& batch) {
  for (Index b = 0; b < batch.batch(); ++b) {
    const auto start =
        static_cast<Index>(RandomStream<>(5, static_cast<std::uint64_t>(n * batch.batch() + b)).uniform() * 6);
    for (Index t = 0; t < batch.length(); ++t) {
      const auto at = static_cast<std::size_t>(t);
      batch.ids(b)[at] = (start + t) % 6;
      batch.targets(b)[at] = (start + t + 1) % 6;
      batch.marked(b)[at] = 1;
    }
  }
}

const DeepSizes sizes{6, 8, 2, 2, 4, 8};

TEST_CASE("a deep model learns to count", "[theorem]") {
  const auto run = train_on_sequences(DeepModel<float>(sizes), counting,
                                      {.rate = 1e-2, .updates = 60, .warm_up = 5, .batch = 4, .length = 8});
  CHECK(run.status == TrainingStatus::finished);
  CHECK(run.loss < 0.1);  // log 6 = 1.79 before
}

TEST_CASE("a run of a deep model that is taken up again has the bits of the whole, on any number of threads",
          "[theorem]") {
  const DeepModel<float> model(sizes);
  const ClippedGradient<AdamW> optimizer{deep_optimizer(1e-2), 0.5};
  const WarmUpCosine schedule{2, 9, 0.1};
  const MarkedSequences batch(3, 520);
  const auto begun = begin_run(optimizer, model.draw(2));
  ThreadPool one(1), two(2);
  auto whole = begun, parts = begun;
  train_on_sequences(model, counting, batch, optimizer, schedule, 5, whole, one);
  train_on_sequences(model, counting, batch, optimizer, schedule, 2, parts, two);
  CHECK_FALSE(identical(whole, parts));
  auto taken_up = begun;
  take_checkpoint(checkpoint_of(parts, {}, "run"), "run", {}, taken_up);
  train_on_sequences(model, counting, batch, optimizer, schedule, 5, taken_up, two);
  CHECK(taken_up.updates() == 5);
  CHECK(identical(whole, taken_up));
}

TEST_CASE("training of a deep model ends where a callback stops it, and tells of a loss that is not finite",
          "[theorem]") {
  const DeepModel<float> model(sizes);
  const GradientDescent optimizer{0.1};
  ThreadPool pool;
  auto run = begin_run(optimizer, model.draw(2));
  const auto stopped = train_on_sequences(model, counting, MarkedSequences(1, 4), optimizer, ConstantRate(), 5, run,
                                          pool, [](const auto& progress) { return progress.update == 2; });
  CHECK(stopped.status == TrainingStatus::stopped);
  CHECK(run.updates() == 2);
  run.parameters.matrix("output")(0, 0) = std::nanf("");
  CHECK(train_on_sequences(model, counting, MarkedSequences(1, 4), optimizer, ConstantRate(), 5, run, pool).status ==
        TrainingStatus::diverged);
}

}  // namespace
}  // namespace gdssm
