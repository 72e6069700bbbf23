// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

namespace gdssm {

/// Threads for pieces of work that take less time than starting a thread. Between calls they spin briefly, then sleep.
/// The caller works too, so a pool of one thread runs everything in place. Which thread runs which piece varies: if a
/// piece depends only on its number, results are the same for any number of threads.
class ThreadPool {
 public:
  /// Errors  std::invalid_argument: fewer than one thread; std::system_error: more than the system has
  explicit ThreadPool(int threads = 1) {
    if (threads < 1) refuse("ThreadPool", "the number of threads is ", threads, ", expected at least 1");
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      join();
      throw std::system_error(
          error.code(), "ThreadPool: thread " + std::to_string(workers_.size() + 2) + " of " + std::to_string(threads));
    } catch (...) {
      join();
      throw;
    }
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;  ///< deleted: threads belong to one pool

  ~ThreadPool() { join(); }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }  ///< including the caller's

  /// Calls piece(0), ..., piece(count - 1), each once, and returns when all are done. If pieces throw, the exception of
  /// the lowest number is rethrown after all others have run. One call at a time.
  template <class Piece>
  void run(Index count, Piece&& piece) {
    run_pieces(
        count, [](void* context, Index i) { (*static_cast<std::remove_reference_t<Piece>*>(context))(i); },
        const_cast<void*>(static_cast<const void*>(&piece)));
  }

 private:
  static constexpr int spins = 4000;

  using Call = void (*)(void* context, Index i);

  void run_pieces(Index count, Call call, void* context) {
    if (workers_.empty() || count <= 1) {
      std::exception_ptr error;
      for (Index i = 0; i < count; ++i) {
        try {
          call(context, i);
        } catch (...) {
          if (!error) error = std::current_exception();
        }
      }
      if (error) std::rethrow_exception(error);
      return;
    }
    call_ = call;
    context_ = context;
    count_ = count;
    failed_ = count;
    error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    announce();
    take_pieces();
    for (int left; (left = busy_.load(std::memory_order_acquire)) != 0;) wait(busy_, left);
    if (error_) std::rethrow_exception(error_);
  }

  void join() {
    stop_.store(true);
    announce();
    for (std::thread& worker : workers_) worker.join();
  }

  void announce() {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }

  void work() {
    for (std::uint32_t seen = 0;;) {
      wait(round_, seen);
      seen = round_.load(std::memory_order_acquire);
      if (stop_.load()) return;
      take_pieces();
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
    }
  }

  void take_pieces() {
    for (Index i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      try {
        call_(context_, i);
      } catch (...) {
        while (failing_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
        if (i < failed_) {
          failed_ = i;
          error_ = std::current_exception();
        }
        failing_.clear(std::memory_order_release);
      }
    }
  }

  // Returns when the value is no longer `old`.
  template <class T>
  static void wait(const std::atomic<T>& value, T old) {
    for (int i = 0; i < spins; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    value.wait(old, std::memory_order_acquire);
  }

  std::vector<std::thread> workers_;
  std::atomic<std::uint32_t> round_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> busy_{0};
  std::atomic<Index> next_{0};
  Index count_ = 0;
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::atomic_flag failing_;
  Index failed_ = 0;
  std::exception_ptr error_;
};

}  // namespace gdssm
