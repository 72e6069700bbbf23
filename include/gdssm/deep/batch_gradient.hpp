// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/named_weights.hpp"
#include "gdssm/core/thread_pool.hpp"
#include "gdssm/deep/model.hpp"
#include "gdssm/tasks/marked_sequences.hpp"

namespace gdssm {

/// Loss and gradient of a deep model over batches of marked sequences, on the threads of a pool: the mean cross-entropy
/// over all marked positions of the batch together. A batch is cut into pieces of some thousand tokens; each is added
/// up by one thread, and pieces in order, so results are the same bits on any number of threads.
template <class T>
class DeepGradient {
  static constexpr Index tokens_of_a_piece = 1024;

 public:
  /// For batches of up to `batch` sequences of up to `length` tokens.
  DeepGradient(const DeepModel<T>& model, Index batch, Index length, ThreadPool& pool)
      : batch_(batch), length_(length), pool_(pool) {
    if (batch < 1 || length < 1)
      refuse("DeepGradient", "batch and length are ", batch, " and ", length, ", expected at least 1 each");
    for (int i = 0; i < pool.threads(); ++i) places_.push_back(std::make_unique<Place>(model, length));
    gradients_.assign(static_cast<std::size_t>(pieces(batch, length)), model.zeros());
    losses_.resize(gradients_.size());
  }

  /// Writes the gradient of the mean loss, and returns the loss.
  /// Errors  std::invalid_argument: a batch with more or longer sequences, nothing marked, those of `DeepPass`
  double operator()(const NamedWeights<T>& weights, const MarkedSequences& batch, NamedWeights<T>& gradient) {
    if (batch.batch() > batch_ || batch.length() > length_)
      refuse("DeepGradient", "the batch is ", batch.batch(), " x ", batch.length(), ", expected at most ", batch_,
             " x ", length_);
    const auto count = static_cast<double>(batch.count());
    if (count == 0) refuse("DeepGradient", "no position is marked, expected at least 1");
    const Index all = pieces(batch.batch(), batch.length()), size = sequences(batch.length());
    pool_.run(all, [&](Index piece) {
      Place& place = take();
      const Release release{place};
      NamedWeights<T>& sum = gradients_[static_cast<std::size_t>(piece)];
      double& loss = losses_[static_cast<std::size_t>(piece)];
      fill(sum, T(0));
      loss = 0;
      for (Index b = piece * size; b < (std::min)((piece + 1) * size, batch.batch()); ++b)
        loss += place.pass.loss_and_gradient(weights, batch.ids(b), batch.targets(b), batch.marked(b), 1 / count, sum);
    });
    double loss = losses_[0];
    gradient = gradients_[0];
    for (std::size_t piece = 1; piece < static_cast<std::size_t>(all); ++piece) {
      loss += losses_[piece];
      visit([](const Name&, auto& to, const auto& from) { to += from; }, gradient, gradients_[piece]);
    }
    return loss / count;
  }

 private:
  /// A pass, and whether a thread has it.
  struct Place {
    Place(const DeepModel<T>& model, Index length) : pass(model, length) {}
    DeepPass<T> pass;
    std::atomic_flag taken;
  };
  struct Release {
    Place& place;
    ~Release() { place.taken.clear(std::memory_order_release); }
  };

  static Index sequences(Index length) { return (std::max)(Index(1), tokens_of_a_piece / length); }
  static Index pieces(Index batch, Index length) {
    const Index size = sequences(length);
    return (batch + size - 1) / size;
  }
  /// One that is free: there is always one, as no thread has two.
  Place& take() {
    for (std::size_t i = 0;; i = (i + 1) % places_.size())
      if (!places_[i]->taken.test_and_set(std::memory_order_acquire)) return *places_[i];
  }

  Index batch_, length_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<Place>> places_;
  std::vector<NamedWeights<T>> gradients_;
  std::vector<double> losses_;
};

}  // namespace gdssm
