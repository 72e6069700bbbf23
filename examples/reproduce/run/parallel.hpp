// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "gdssm/core/thread_pool.hpp"
#include "gdssm/core/view.hpp"
#include "support/progress.hpp"

namespace gdssm::reproduce {

/// Calls part(i), i = 0..parts-1, each once, on that many threads. What a part finds it puts in a place of its own, to
/// be merged in order afterwards: then the result doesn't depend on the threads. The first exception passes through.
template <class Part>
void run_parts(Index parts, int threads, programs::Progress& progress, const Part& part) {
  std::mutex mutex;
  Index next = 0;
  std::exception_ptr error;
  const auto work = [&] {
    for (;;) {
      Index mine = 0;
      {
        const std::scoped_lock lock(mutex);
        if (error || next == parts) return;
        mine = next++;
      }
      try {
        part(mine);
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
  for (Index i = 0; i < jobs; ++i) {
    job(i, pool);
    progress.advance();
  }
}

}  // namespace gdssm::reproduce
