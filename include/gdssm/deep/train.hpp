// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/deep/batch_gradient.hpp"
#include "gdssm/deep/model.hpp"
#include "gdssm/tasks/marked_sequences.hpp"
#include "gdssm/training/optimizer.hpp"
#include "gdssm/training/schedule.hpp"
#include "gdssm/training/train.hpp"

namespace gdssm {

/// Draws the batch of update n = 0, 1, ...: fills ids, targets and marks. It must depend on n alone, so that a run that
/// is taken up again is the run that was not interrupted.
using SequenceSource = std::function<void(Index n, MarkedSequences& batch)>;

/// Sees every update; true stops the run.
template <class T>
using UpdateCallback = std::function<bool(const TrainingProgress<NamedWeights<T>>&)>;

/// AdamW for deep models: `decay` for matrices, none for gains, biases, embeddings and what decays are made of.
inline AdamW deep_optimizer(double rate, double decay = 0.1) {
  return {.groups = {{{"embedding", "norm1", "norm2", "final_norm", "out_gain", "b_b", "b_a", "a_log", "lambda",
                       "log_step", "d"},
                      rate,
                      0,
                      true},
                     {{}, rate, decay}},
          .b2 = 0.95};
}

/// Trains a deep model: an update for every batch of `source`, until the run has made `updates` in all. The loss is the
/// mean cross-entropy over a batch's marked positions. Gives the same bits on any number of threads, and continues a
/// `run` that has made updates: it, the source and the settings determine the rest, bit for bit; io/checkpoint.hpp
/// saves it.
///     `batch`  the sizes of batches, which the source fills
/// Errors  std::invalid_argument: weights of another model, those of the source, of `DeepGradient` and of the
/// optimiser.
///         Divergence is a status, not an error.
template <class T, class Optimizer>
TrainingResult train_on_sequences(const DeepModel<T>& model, const SequenceSource& source, MarkedSequences batch,
                                  const Optimizer& optimizer, const std::function<double(Index)>& schedule,
                                  Index updates, TrainingRun<NamedWeights<T>, Optimizer>& run, ThreadPool& pool,
                                  const std::type_identity_t<UpdateCallback<T>>& stops = {}) {
  model.zeros().expect_like("train_on_sequences", run.parameters);
  DeepGradient<T> gradient(model, batch.batch(), batch.length(), pool);
  return detail::run_updates<T, Optimizer>(
      [&](const NamedWeights<T>& weights, NamedWeights<T>& slope) {
        source(run.updates(), batch);
        return gradient(weights, batch, slope);
      },
      optimizer, schedule, updates, run, stops);
}

/// Settings of the short form of `train_on_sequences`.
struct DeepTraining {
  double rate = 3e-3;         ///< learning rate of AdamW
  double weight_decay = 0.1;  ///< of matrices
  double longest = 1;         ///< gradients that are longer are shortened to this length
  Index updates = 1000;       ///< number of updates
  Index warm_up = 50;         ///< updates until the full rate, which then falls to a tenth along half a cosine
  Index batch = 8;            ///< sequences
  Index length = 256;         ///< tokens of each
  std::uint64_t seed = 1;     ///< of the initial weights
  int threads = 1;            ///< number of threads; it does not change the results
};

/// Trains a deep model from random weights.
///     auto run = train_on_sequences(model, source, {.updates = 2000});     // run.weights, run.message
/// Errors  as the long form
template <class T>
Trained<NamedWeights<T>> train_on_sequences(const DeepModel<T>& model, const SequenceSource& source,
                                            const DeepTraining& settings = {},
                                            const std::type_identity_t<UpdateCallback<T>>& stops = {}) {
  const ClippedGradient<AdamW> optimizer{deep_optimizer(settings.rate, settings.weight_decay), settings.longest};
  auto run = begin_run(optimizer, model.draw(settings.seed));
  ThreadPool pool(settings.threads);
  TrainingResult result =
      train_on_sequences(model, source, MarkedSequences(settings.batch, settings.length), optimizer,
                         WarmUpCosine{(std::min)(settings.warm_up, settings.updates - 1), settings.updates, 0.1},
                         settings.updates, run, pool, stops);
  return {std::move(result), std::move(run.parameters)};
}

}  // namespace gdssm
