// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include "gdssm/core/view.hpp"

namespace gdssm::programs {

/// A progress bar on standard error: "label [#####     ]  50 %". Drawn when standard error is a terminal and the work
/// has taken a second, removed at the end. Not drawn when it is not `wanted` or the total is 0, which is unknown.
/// Threads may share one.
class Progress {
  using Clock = std::chrono::steady_clock;

 public:
  /// False where another process of the same job draws them. Set before the first is made.
  static inline bool drawn_here = true;

  Progress(std::string label, Index total, bool wanted = true)
      : label_(std::move(label)),
        total_(std::max<Index>(total, 1)),
        draws_(drawn_here && wanted && total > 0 && ::isatty(STDERR_FILENO) == 1) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  /// So much more of the total is done.
  void advance(Index by = 1) {
    if (!draws_) return;
    const std::scoped_lock lock(mutex_);
    done_ += by;
    if (is_due()) draw();
  }

  /// done() of the total is done; it is called only when the bar is to be drawn.
  template <class Done>
  void advance_to(Done&& done) {
    if (!draws_) return;
    const std::scoped_lock lock(mutex_);
    if (!is_due()) return;
    done_ = done();
    draw();
  }

 private:
  bool is_due() const { return Clock::now() >= next_; }

  void draw() {
    next_ = Clock::now() + std::chrono::milliseconds(100);
    const Index done = std::clamp<Index>(done_, 0, total_);
    const auto percent = static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total_));
    const std::string bar(static_cast<std::size_t>(percent / 4), '#');
    std::fprintf(stderr, "\r%s [%-25s] %3d %%", label_.c_str(), bar.c_str(), percent);
    std::fflush(stderr);
    drawn_ = true;
  }

  std::string label_;
  Index total_, done_ = 0;
  Clock::time_point next_ = Clock::now() + std::chrono::seconds(1);
  const bool draws_;
  bool drawn_ = false;
  std::mutex mutex_;
};

}  // namespace gdssm::programs
