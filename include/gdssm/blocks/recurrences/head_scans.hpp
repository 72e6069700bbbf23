// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "gdssm/blocks/recurrences/rule_scan.hpp"
#include "gdssm/core/thread_pool.hpp"

namespace gdssm {

/// Heads of a layer, or sequences, side by side on the threads of a pool, each by a `RuleScan`:
///     ThreadPool pool(2);
///     HeadScans<GatedDeltaRule<>, float> scans(rule, pool);
///     scans.run(heads, [&](Index h, auto& scan) { scan.forward(c, tokens[h], queries[h], states[h], outputs[h]); });
/// There are as many scans as threads. Which one a head gets varies, its results do not: they are the same bits on any
/// number of threads.
template <class Rule, class T>
class HeadScans {
 public:
  HeadScans(const Rule& rule, ThreadPool& pool) : pool_(pool) {
    for (int i = 0; i < pool.threads(); ++i) places_.push_back(std::make_unique<Place>(rule));
  }

  /// Calls work(h, scan) for h = 0, ..., heads - 1, each once, and returns when all are done. If some throw, the
  /// exception of the lowest number is rethrown.
  template <class Work>
  void run(Index heads, Work&& work) {
    pool_.run(heads, [&](Index h) {
      Place& place = take();
      const Release release{place};
      work(h, place.scan);
    });
  }

 private:
  /// A scan, and whether a thread has it.
  struct Place {
    explicit Place(const Rule& rule) : scan(rule) {}
    RuleScan<Rule, T> scan;
    std::atomic_flag taken;
  };
  struct Release {
    Place& place;
    ~Release() { place.taken.clear(std::memory_order_release); }
  };

  /// One that is free: there is always one, as no thread has two.
  Place& take() {
    for (std::size_t i = 0;; i = (i + 1) % places_.size())
      if (!places_[i]->taken.test_and_set(std::memory_order_acquire)) return *places_[i];
  }

  ThreadPool& pool_;
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace gdssm
