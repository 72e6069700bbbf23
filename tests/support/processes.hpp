// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gdssm/core/processes.hpp"

namespace gdssm::test {

/// Threads of one process that take themselves for processes: what is written for ranks, without MPI.
class Mailboxes {
 public:
  explicit Mailboxes(Index size) : boxes_(static_cast<std::size_t>(size * size)), size_(size) {}

  class Process final : public Processes {
   public:
    Process(Mailboxes& all, Index rank) : all_(all), rank_(rank) {}
    Index rank() const override { return rank_; }
    Index size() const override { return all_.size_; }
    void send(std::span<const std::byte> bytes, Index to) override {
      const std::scoped_lock lock(all_.mutex_);
      all_.box(rank_, to).emplace_back(bytes.begin(), bytes.end());
      all_.changed_.notify_all();
    }
    void receive(std::span<std::byte> bytes, Index from) override {
      std::unique_lock lock(all_.mutex_);
      auto& box = all_.box(from, rank_);
      all_.changed_.wait(lock, [&] { return !box.empty() || all_.broken_; });
      if (box.empty()) throw std::runtime_error("another process has failed");
      if (box.front().size() != bytes.size()) throw std::runtime_error("bytes of another number");
      std::copy(box.front().begin(), box.front().end(), bytes.begin());
      box.pop_front();
    }
    void broadcast(std::span<std::byte> bytes, Index from) override {
      if (rank_ != from) return receive(bytes, from);
      for (Index r = 0; r < size(); ++r)
        if (r != from) send(bytes, r);
    }
    std::optional<Index> waiting() override {
      const std::scoped_lock lock(all_.mutex_);
      for (Index r = 0; r < size(); ++r)
        if (!all_.box(r, rank_).empty()) return r;
      return std::nullopt;
    }
    [[noreturn]] void fail(const std::string& reason) override { throw std::runtime_error(reason); }

   private:
    Mailboxes& all_;
    Index rank_;
  };

  /// Calls body(process) on as many threads as there are processes; rethrows the first exception.
  template <class Body>
  void run(const Body& body) {
    std::exception_ptr first;
    {
      std::vector<std::jthread> threads;
      for (Index r = 0; r < size_; ++r)
        threads.emplace_back([&, r] {
          Process process(*this, r);
          try {
            body(process);
          } catch (...) {
            const std::scoped_lock lock(mutex_);
            if (!broken_) first = std::current_exception();
            broken_ = true;
            changed_.notify_all();
          }
        });
    }
    if (first) std::rethrow_exception(first);
  }

 private:
  std::deque<std::vector<std::byte>>& box(Index from, Index to) {
    return boxes_[static_cast<std::size_t>(from * size_ + to)];
  }

  std::vector<std::deque<std::vector<std::byte>>> boxes_;
  Index size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool broken_ = false;
};

template <class Body>
void run_as_processes(Index size, const Body& body) {
  Mailboxes(size).run(body);
}

}  // namespace gdssm::test
