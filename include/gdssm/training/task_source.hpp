// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gdssm/tasks/targets.hpp"
#include "gdssm/tasks/token_sequence.hpp"
#include "gdssm/training/batch.hpp"

namespace gdssm {

/// A distribution of tasks. Satisfied by a type with
///     Index length() const                                       tokens in a sequence
///     TokenSequence sequence(seed, index, losses) const          task `index` of a seed, with targets for its last
///                                                                `losses` windows; the same at every call
/// or, instead of `sequence`,
///     workspace<S>(), sequence(seed, index, tokens, targets, workspace)
///                                                                draws as many tasks as S has lanes, those of index,
///                                                                index + 1, ..., into memory of the caller
/// and optionally
///     Targets targets() const                                    which coordinates of a target count; by default all
///     static constexpr bool ragged = true                        sequences may be shorter than length()
template <class T>
concept TaskDistribution = requires(const T& tasks) {
  { tasks.length() } -> std::convertible_to<Index>;
}
&&(
    requires(const T& tasks, std::uint64_t seed, Index losses) {
      { tasks.sequence(seed, seed, losses) } -> std::convertible_to<TokenSequence>;
    } ||
    requires(const T& tasks) { tasks.template workspace<double>(); });

namespace detail {

/// Refuses a type that is not a `TaskDistribution`, in one sentence.
template <class Tasks>
constexpr bool expect_tasks() {
  static_assert(
      TaskDistribution<Tasks>,
      "tasks must be a TaskDistribution: length(), which returns an Index, and sequence(seed, index, losses), "
      "which returns a TokenSequence, or workspace<S>() and sequence(seed, index, tokens, targets, "
      "workspace)");
  return TaskDistribution<Tasks>;
}

template <class Tasks>
inline constexpr bool is_ragged = false;
template <class Tasks>
requires requires { Tasks::ragged; }
inline constexpr bool is_ragged<Tasks> = Tasks::ragged;

}  // namespace detail

/// Draws tasks of a distribution into the lane groups of batches. Threads may draw different groups at the same time.
/// The distribution's type is erased, so that code which reads batches is compiled once. Keeps the tasks by reference;
/// copies do not share scratch.
/// Errors  std::invalid_argument: no groups; from `draw`: tasks of other sizes than the batch's, tokens that do not end
///         with a window, no such group
template <class S>
class TaskSource {
 public:
  /// For batches of up to `groups` groups and windows of the sizes `window`.
  template <class Tasks>
  TaskSource(const Tasks& tasks, const WindowSizes& window, Index groups)
      : length_(tasks.length()),
        groups_(groups),
        targets_(targets_of(tasks)),
        ragged_(detail::is_ragged<Tasks>),
        start_([&tasks, window](Index count) { return drawer(tasks, window, count); }) {
    if (groups < 1) refuse("TaskSource", "there are ", groups, " groups, expected at least 1");
    draw_ = start_(groups);
  }
  TaskSource(const TaskSource& other) : TaskSource(other, other.groups_) {}
  /// The same tasks for another number of groups.
  TaskSource(const TaskSource& other, Index groups)
      : length_(other.length_),
        groups_(groups),
        targets_(other.targets_),
        ragged_(other.ragged_),
        start_(other.start_),
        draw_(start_(groups)) {}
  TaskSource& operator=(const TaskSource&) = delete;

  Index length() const { return length_; }             ///< tokens in a sequence, at most
  const Targets& targets() const { return targets_; }  ///< what of a target counts
  bool ragged() const { return ragged_; }              ///< whether sequences differ in length

  /// Draws group g of a batch whose contexts are tasks first, first + 1, ... of a seed.
  void draw(std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) const {
    if (g < 0 || g >= groups_) refuse("TaskSource", "the group is ", g, ", expected 0 to ", groups_ - 1);
    draw_(seed, first + static_cast<std::uint64_t>(g * lane_count<S>), g, batch);
  }

 private:
  using Draw = std::function<void(std::uint64_t, std::uint64_t, Index, Batch<S>&)>;

  template <class Tasks>
  static Draw drawer(const Tasks& tasks, const WindowSizes& window, Index groups) {
    if constexpr (!detail::expect_tasks<Tasks>()) {
      return {};
    } else if constexpr (requires { tasks.template workspace<S>(); }) {
      using Scratch = std::vector<decltype(tasks.template workspace<S>())>;
      auto scratch = std::make_shared<Scratch>(static_cast<std::size_t>(groups), tasks.template workspace<S>());
      return [&tasks, scratch](std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) {
        // Draws tasks for unused lanes too; these have no loss.
        auto& [tokens, mask, targets, present] = batch.lane_group(g);
        tasks.sequence(seed, first, tokens.view(), targets.view(), (*scratch)[static_cast<std::size_t>(g)]);
      };
    } else {
      return [&tasks, window](std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) {
        const Index begin = g * lane_count<S>, end = (std::min)(begin + lane_count<S>, batch.count());
        for (Index b = begin; b < end; ++b)
          put(tasks.sequence(seed, first + static_cast<std::uint64_t>(b - begin), batch.losses()), b, window,
              detail::is_ragged<Tasks>, batch);
      };
    }
  }

  static void put(const TokenSequence& drawn, Index b, const WindowSizes& window, bool ragged, Batch<S>& batch) {
    expect_equal("TaskSource", "the number of targets of a task", drawn.targets.cols(), batch.losses());
    if (ragged) return batch.replace(b, window, drawn.tokens, drawn.targets);
    expect_equal("TaskSource", "the number of tokens of a task", drawn.tokens.cols(),
                 batch.groups().front().tokens.cols());
    batch.set(b, drawn.tokens, drawn.targets);
  }

  Index length_, groups_;
  Targets targets_;
  bool ragged_;
  std::function<Draw(Index)> start_;
  Draw draw_;
};

}  // namespace gdssm
