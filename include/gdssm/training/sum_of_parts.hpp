// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/lanes.hpp"
#include "gdssm/training/division.hpp"

namespace gdssm::detail {

/// The sum over a part of a batch: where the arrays of its gradient are, and its loss.
template <class S>
struct PartOfSum {
  std::vector<std::span<S>> arrays;
  LaneScalar<S> loss = LaneScalar<S>(0);
};

/// Adds up parts that processes share, and then the lanes of each number. The number of parts alone determines the
/// order. Compiled once for all models.
template <class S>
class SumOfParts {
  using P = LaneScalar<S>;

 public:
  explicit SumOfParts(Processes* processes) : processes_(processes ? processes : &alone_) {
    if (processes && !std::is_trivially_copyable_v<S>)
      refuse("Division", "numbers of this type cannot be sent, expected one process");
  }
  SumOfParts(const SumOfParts&) = delete;
  SumOfParts& operator=(const SumOfParts&) = delete;  ///< deleted: refers to itself

  /// The parts, of n, that this process computes.
  ItemRange mine(Index n) const { return items_of(processes_->rank(), n, processes_->size()); }

  /// Writes the sums over n parts and all lanes to `sums`, on every process, and returns the loss. Adds to the parts.
  ///     part(i)  PartOfSum<S>& i, of this process's
  template <class Part>
  P operator()(Index n, const Part& part, std::span<const std::span<P>> sums) {
    constexpr Index at_once = 4;
    P loss(0);
    if (processes_->size() == 1 && n <= at_once) {  // as below, at once
      PartOfSum<S>* parts[at_once] = {};
      for (Index i = 0; i < n; ++i) {
        parts[i] = &part(i);
        loss += parts[i]->loss;
      }
      sum_over_lanes({parts, static_cast<std::size_t>(n)}, sums);
      return loss;
    }
    fold_in_fours(
        n, *processes_, [&](Index first, Index other) { add(part(other), part(first)); },
        [&](Index other, Index to) { send(part(other), to); },
        [&](Index first, Index from) { receive(part(first), from); });
    if (processes_->rank() == 0) {
      PartOfSum<S>* const whole = &part(0);
      sum_over_lanes({&whole, 1}, sums);
      loss = whole->loss;
    }
    return processes_->size() == 1 ? loss : hand_out(loss, sums);
  }

 private:
  static void add(const PartOfSum<S>& from, PartOfSum<S>& to) {
    for (std::size_t a = 0; a < to.arrays.size(); ++a) add(from.arrays[a].data(), to.arrays[a]);
    to.loss += from.loss;
  }
  static void add(const S* from, std::span<S> to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = to[i] + from[i];
  }

  void send(const PartOfSum<S>& part, Index to) {
    message_.clear();
    for (const auto& array : part.arrays) message_.insert(message_.end(), array.begin(), array.end());
    message_.push_back(S(part.loss));
    processes_->send(std::as_bytes(std::span(message_)), to);
  }
  void receive(PartOfSum<S>& part, Index from) {
    std::size_t size = 1;
    for (const auto& array : part.arrays) size += array.size();
    message_.resize(size);
    processes_->receive(std::as_writable_bytes(std::span(message_)), from);
    const S* next = message_.data();
    for (const auto& array : part.arrays) {
      add(next, array);
      next += array.size();
    }
    part.loss += lane(*next, 0);
  }

  static void sum_over_lanes(std::span<PartOfSum<S>* const> parts, std::span<const std::span<P>> sums) {
    for (std::size_t a = 0; a < sums.size(); ++a) {
      const S* of_parts[4] = {};
      std::transform(parts.begin(), parts.end(), of_parts, [&](const auto* part) { return part->arrays[a].data(); });
      sum_lanes(of_parts, static_cast<Index>(parts.size()), static_cast<Index>(sums[a].size()), sums[a].data());
    }
  }

  // Gives all processes the sums and the loss of process 0.
  P hand_out(P loss, std::span<const std::span<P>> sums) {
    sums_.clear();
    for (const auto& sum : sums) sums_.insert(sums_.end(), sum.begin(), sum.end());
    sums_.push_back(loss);
    processes_->broadcast(std::as_writable_bytes(std::span(sums_)), 0);
    const P* next = sums_.data();
    for (const auto& sum : sums) {
      std::copy(next, next + sum.size(), sum.begin());
      next += sum.size();
    }
    return *next;
  }

  OneProcess alone_;
  Processes* processes_;
  std::vector<S> message_;
  std::vector<P> sums_;
};

}  // namespace gdssm::detail
