// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/view.hpp"

// Processes that share work, on one machine or on many. What is written for them needs no MPI: distributed/world.hpp
// makes MPI's ranks of them, and `OneProcess` is a program on its own.
//
// Results are the same bits for any number of processes if three things hold. Work is divided into parts whose number
// does not depend on the processes; each part is computed by one process; and what the parts give is put together in an
// order that their number alone determines.

namespace gdssm {

/// Processes that run the same program and exchange bytes. Each has a rank, 0 to size - 1. Bytes from one process to
/// another arrive in the order in which they were sent. One thread may use it at a time.
/// Errors  those of the implementation, naming the rank
class Processes {
 public:
  virtual ~Processes() = default;

  virtual Index rank() const = 0;  ///< of this process
  virtual Index size() const = 0;  ///< number of processes

  /// Sends bytes. May wait until process `to` receives them.
  virtual void send(std::span<const std::byte> bytes, Index to) = 0;
  /// Waits for as many bytes from process `from`, sent by one call.
  virtual void receive(std::span<std::byte> bytes, Index from) = 0;
  /// Gives every process the bytes of process `from`. All must call it.
  virtual void broadcast(std::span<std::byte> bytes, Index from) = 0;
  /// The rank of a process whose bytes have arrived and were not received yet, if there is one. Does not wait.
  virtual std::optional<Index> waiting() = 0;
  /// Says why on standard error and ends all processes, whatever they are doing. Where there is nobody to end, throws
  /// std::runtime_error.
  [[noreturn]] virtual void fail(const std::string& reason) = 0;

 protected:
  Processes() = default;
  Processes(const Processes&) = default;             ///< for implementations
  Processes& operator=(const Processes&) = default;  ///< for implementations
};

/// A program on its own.
class OneProcess final : public Processes {
 public:
  Index rank() const override { return 0; }
  Index size() const override { return 1; }
  void send(std::span<const std::byte>, Index to) override { refuse_other(to); }
  void receive(std::span<std::byte>, Index from) override { refuse_other(from); }
  void broadcast(std::span<std::byte>, Index from) override {
    if (from != 0) refuse_other(from);
  }
  std::optional<Index> waiting() override { return std::nullopt; }
  [[noreturn]] void fail(const std::string& reason) override { throw std::runtime_error(reason); }

 private:
  [[noreturn]] static void refuse_other(Index other) {
    refuse("OneProcess", "process ", other, " is asked for, expected none: this process is alone");
  }
};

/// Items first, ..., first + count - 1.
struct ItemRange {
  Index first;  ///< the first
  Index count;  ///< how many

  Index end() const { return first + count; }  ///< one past the last
  friend bool operator==(const ItemRange&, const ItemRange&) = default;
};

/// The process that item i of n belongs to: each has the same number of neighbours, or one more. Process 0 has item 0.
constexpr Index owner_of(Index i, Index n, Index processes) { return i * processes / n; }

/// The items of n that belong to a process.
constexpr ItemRange items_of(Index rank, Index n, Index processes) {
  const auto begin = [&](Index r) { return (r * n + processes - 1) / processes; };
  return {begin(rank), begin(rank + 1) - begin(rank)};
}

/// Sends a text of any length, for `receive_text`.
inline void send_text(Processes& processes, std::string_view text, Index to) {
  const std::uint64_t size = text.size();
  processes.send(std::as_bytes(std::span(&size, 1)), to);
  if (size > 0) processes.send(std::as_bytes(std::span(text)), to);
}

/// Waits for a text of `send_text`.
inline std::string receive_text(Processes& processes, Index from) {
  std::uint64_t size = 0;
  processes.receive(std::as_writable_bytes(std::span(&size, 1)), from);
  std::string text(size, '\0');
  if (size > 0) processes.receive(std::as_writable_bytes(std::span(text)), from);
  return text;
}

/// Gives every process the text of process `from`. All must call it.
inline void broadcast_text(Processes& processes, std::string& text, Index from) {
  std::uint64_t size = text.size();
  processes.broadcast(std::as_writable_bytes(std::span(&size, 1)), from);
  text.resize(size);
  if (size > 0) processes.broadcast(std::as_writable_bytes(std::span(text)), from);
}

/// Refuses, on every process, what is not the same on all of them, such as an option: "rank 2: --seed is 4, expected 3
/// as on rank 0". All must call it, with the same names in the same order. It is meant for the time before the work.
/// Errors  std::invalid_argument
inline void expect_same(Processes& processes, const std::vector<std::pair<std::string, std::string>>& values) {
  std::string complaint;
  for (const auto& [name, value] : values) {
    if (processes.rank() != 0) {
      send_text(processes, value, 0);
      continue;
    }
    for (Index r = 1; r < processes.size(); ++r)
      if (const std::string other = receive_text(processes, r); other != value && complaint.empty())
        complaint =
            "rank " + std::to_string(r) + ": " + name + " is " + other + ", expected " + value + " as on rank 0";
  }
  broadcast_text(processes, complaint, 0);
  if (!complaint.empty()) throw std::invalid_argument(complaint);
}

/// Puts n parts together in an order that n alone determines: in fours, then the sums of fours in fours, and so on.
/// Part i belongs to process `owner_of(i, n, size)`. The whole is then in part 0, of process 0. With p processes it
/// takes up to 3 log4(p) messages, one after the other.
///     add(first, other)     part `first` takes part `other` behind it; both are this process's
///     send(other, to)       sends part `other` to a process, which takes it behind part `first` of its own by
///     receive(first, from)
template <class Add, class Send, class Receive>
void fold_in_fours(Index n, const Processes& processes, Add&& add, Send&& send, Receive&& receive) {
  const Index rank = processes.rank(), size = processes.size();
  for (Index width = 1; width < n; width *= 4)
    for (Index first = 0; first < n; first += 4 * width)
      for (Index other = first + width; other < n && other < first + 4 * width; other += width) {
        const Index taker = owner_of(first, n, size), giver = owner_of(other, n, size);
        if (giver == rank && taker == rank)
          add(first, other);
        else if (giver == rank)
          send(other, taker);
        else if (taker == rank)
          receive(first, giver);
      }
}

}  // namespace gdssm
