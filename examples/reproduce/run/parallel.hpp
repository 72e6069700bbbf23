// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "gdssm/core/thread_pool.hpp"
#include "gdssm/core/view.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {

/// Thrown by a part of the work that needs a training run which another process has taken.
struct TrainedElsewhere {
  bool to_be_awaited = false;  ///< false: this process needs what the part finds for nothing else, and leaves it
};

/// Calls part(i), i = 0..parts-1, each once, on that many threads. What a part finds it puts in a place of its own, to
/// be merged in order afterwards: then the result doesn't depend on the threads. The first exception passes through.
/// Parts that throw TrainedElsewhere are called again when the others are done, or left if they need not be awaited:
/// then it is thrown on in the end.
template <class Part>
void run_parts(Index parts, int threads, programs::Progress& progress, const Part& part) {
  std::mutex mutex;
  Index next = 0;
  std::vector<Index> again;
  bool left = false;
  std::exception_ptr error;
  const auto work = [&] {
    for (;;) {
      Index mine = 0;
      bool waits = false;
      {
        const std::scoped_lock lock(mutex);
        if (error || (next == parts && again.empty())) return;
        if (next < parts) {
          mine = next++;
        } else {
          mine = again.front();
          again.erase(again.begin());
          waits = true;
        }
      }
      if (waits) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      try {
        part(mine);
      } catch (const TrainedElsewhere& elsewhere) {
        const std::scoped_lock lock(mutex);
        if (elsewhere.to_be_awaited)
          again.push_back(mine);
        else
          left = true;
        continue;
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (!error) error = std::current_exception();
        return;
      }
      progress.advance();
    }
  };
  {
    std::vector<std::jthread> others;
    for (Index i = 1; i < std::min<Index>(threads, parts); ++i) others.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
  if (left) throw TrainedElsewhere{};
}

/// Calls job(i, pool), i = 0..jobs-1, each once: a job a thread where there are as many of them as threads, else one
/// after the other, each on all threads. What a job finds must not depend on its pool.
template <class Job>
void run_jobs(Index jobs, int threads, programs::Progress& progress, const Job& job) {
  if (jobs >= threads) {
    run_parts(jobs, threads, progress, [&](Index i) {
      ThreadPool alone;
      job(i, alone);
    });
    return;
  }
  ThreadPool pool(threads);
  run_parts(jobs, 1, progress, [&](Index i) { job(i, pool); });
}

}  // namespace gdssm::reproduce
