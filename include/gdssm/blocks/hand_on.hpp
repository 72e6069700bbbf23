// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/parameters.hpp"
#include "gdssm/core/processes.hpp"

// One long sequence on several processes: it is cut into pieces, of which each process has neighbouring ones. The
// number of pieces decides the results' bits, the number of processes does not.
namespace gdssm {

/// Calls visitor(bytes) for all matrices of a value, and for its counters.
template <class Value, class Visitor>
void visit_bytes(Value& value, Visitor&& visitor) {
  visit(
      [&](const Name&, auto& member) {
        using Number = std::remove_cvref_t<decltype(*member.data())>;
        if constexpr (std::is_trivially_copyable_v<Number>)
          visitor(std::span(member.data(), static_cast<std::size_t>(member.size())));
        else
          refuse("processes", "numbers of this type cannot be sent, expected one process");
      },
      value);
  visit_counters([&](const Name&, auto& counter) { visitor(std::span(&counter, 1)); }, value);
}

/// Sends a value, such as a state, to a process that has one of the same shape.
template <class Value>
void send_value(Processes& processes, const Value& value, Index to) {
  std::vector<std::byte> bytes;
  visit_bytes(value, [&](auto numbers) {
    const auto part = std::as_bytes(numbers);
    bytes.insert(bytes.end(), part.begin(), part.end());
  });
  processes.send(bytes, to);
}

namespace detail {

template <class Value, class Fetch>
void fetch_value(Value& value, const Fetch& fetch) {
  std::vector<std::byte> bytes;
  visit_bytes(value, [&](auto numbers) { bytes.resize(bytes.size() + numbers.size_bytes()); });
  fetch(bytes);
  std::size_t next = 0;
  visit_bytes(value, [&](auto numbers) {
    const auto to = std::as_writable_bytes(numbers);
    for (std::byte& byte : to) byte = bytes[next++];
  });
}

}  // namespace detail

/// Takes over a value of `send_value`.
template <class Value>
void receive_value(Processes& processes, Value& value, Index from) {
  detail::fetch_value(value, [&](std::vector<std::byte>& bytes) { processes.receive(bytes, from); });
}

/// Gives every process the value of process `from`. All must call it.
template <class Value>
void broadcast_value(Processes& processes, Value& value, Index from) {
  if (processes.size() == 1) return;
  std::vector<std::byte> mine;
  if (processes.rank() == from)
    visit_bytes(std::as_const(value), [&](auto numbers) {
      const auto part = std::as_bytes(numbers);
      mine.insert(mine.end(), part.begin(), part.end());
    });
  detail::fetch_value(value, [&](std::vector<std::byte>& bytes) {
    if (processes.rank() == from) bytes = mine;
    processes.broadcast(bytes, from);
  });
}

/// Takes a value through pieces 0, ..., n - 1 in order: step(p, value), on the process that has piece p, turns what the
/// value is before the piece into what it is after it. All processes have the last value afterwards.
template <class Value, class Step>
void hand_on(Index n, Processes& processes, Value& value, Step&& step) {
  const ItemRange mine = items_of(processes.rank(), n, processes.size());
  if (mine.count > 0 && mine.first > 0) receive_value(processes, value, owner_of(mine.first - 1, n, processes.size()));
  for (Index p = mine.first; p < mine.end(); ++p) step(p, value);
  if (mine.count > 0 && mine.end() < n) send_value(processes, value, owner_of(mine.end(), n, processes.size()));
  broadcast_value(processes, value, owner_of(n - 1, n, processes.size()));
}

/// The same through pieces n - 1, ..., 0.
template <class Value, class Step>
void hand_back(Index n, Processes& processes, Value& value, Step&& step) {
  const ItemRange mine = items_of(processes.rank(), n, processes.size());
  if (mine.count > 0 && mine.end() < n) receive_value(processes, value, owner_of(mine.end(), n, processes.size()));
  for (Index p = mine.end(); p-- > mine.first;) step(p, value);
  if (mine.count > 0 && mine.first > 0) send_value(processes, value, owner_of(mine.first - 1, n, processes.size()));
  broadcast_value(processes, value, 0);
}

/// Adds up values of n pieces in the order of `fold_in_fours`; `values` are this process's, and all processes get the
/// sum. Changes the values.
template <class Value>
Value sum_of_pieces(Index n, Processes& processes, std::vector<Value>& values, const Value& zero) {
  const Index first_mine = items_of(processes.rank(), n, processes.size()).first;
  const auto mine = [&](Index p) -> Value& { return values[static_cast<std::size_t>(p - first_mine)]; };
  const auto add = [](Value& to, const Value& from) {
    visit(
        [](const Name&, auto& sum, const auto& part) {
          for (Index i = 0; i < sum.size(); ++i) sum.data()[i] = sum.data()[i] + part.data()[i];
        },
        to, from);
  };
  fold_in_fours(
      n, processes, [&](Index first, Index other) { add(mine(first), mine(other)); },
      [&](Index other, Index to) { send_value(processes, mine(other), to); },
      [&](Index first, Index from) {
        Value part = zero;
        receive_value(processes, part, from);
        add(mine(first), part);
      });
  Value sum = processes.rank() == 0 ? values.front() : zero;
  broadcast_value(processes, sum, 0);
  return sum;
}

}  // namespace gdssm
