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
///     TokenSequence sequence(seed, index, losses) const          task `index` of a seed, the same whoever draws it,
///     with
///                                                                targets for its last `losses` windows
/// or, in place of the latter,
///     workspace<S>(), sequence(seed, index, tokens, targets, workspace)
///                                                                draws as many tasks as S has lanes, those of index,
///                                                                index + 1, ..., into memory of the caller
/// and, if it likes,
///     Targets targets() const                                    what of a target counts; all of it otherwise
///     static constexpr bool ragged = true                        sequences have up to length() tokens
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

template <class Tasks>
inline constexpr bool is_ragged = false;
template <class Tasks>
requires requires { Tasks::ragged; }
inline constexpr bool is_ragged<Tasks> = Tasks::ragged;

}  // namespace detail

/// Puts tasks of a distribution into batches, a group of lanes at a time, on any thread, groups apart from one another.
/// The distribution's type is erased: what reads batches is compiled once for all. Keeps the tasks by reference.
/// Errors  std::invalid_argument: no groups; from `draw`: tasks of other sizes than the batch's, tokens that don't end
///         with a window, a group beyond those that there is room for
template <class S>
class TaskSource {
 public:
  /// For batches of up to so many groups, whose windows are `window`.
  template <TaskDistribution Tasks, class Window>
  TaskSource(const Tasks& tasks, const Window& window, Index groups)
      : length_(tasks.length()), groups_(groups), targets_(targets_of(tasks)), ragged_(detail::is_ragged<Tasks>) {
    if (groups < 1) refuse("TaskSource", "there are ", groups, " groups, expected at least 1");
    if constexpr (requires { tasks.template workspace<S>(); }) {
      using Scratch = std::vector<decltype(tasks.template workspace<S>())>;
      auto scratch = std::make_shared<Scratch>(static_cast<std::size_t>(groups), tasks.template workspace<S>());
      draw_ = [&tasks, scratch](std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) {
        // Lanes beyond the batch's count are drawn too; they bear no loss.
        auto& [tokens, mask, targets, present] = batch.lane_group(g);
        tasks.sequence(seed, first, tokens.view(), targets.view(), (*scratch)[static_cast<std::size_t>(g)]);
      };
    } else {
      draw_ = [&tasks, window](std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) {
        const Index begin = g * lane_count<S>, end = (std::min)(begin + lane_count<S>, batch.count());
        for (Index b = begin; b < end; ++b) {
          const TokenSequence drawn =
              tasks.sequence(seed, first + static_cast<std::uint64_t>(b - begin), batch.losses());
          expect_equal("TaskSource", "the number of targets of a task", drawn.targets.cols(), batch.losses());
          if (detail::is_ragged<Tasks>) {
            batch.replace(b, window, drawn.tokens, drawn.targets);
            continue;
          }
          expect_equal("TaskSource", "the number of tokens of a task", drawn.tokens.cols(),
                       batch.lane_group(g).tokens.cols());
          batch.set(b, drawn.tokens, drawn.targets);
        }
      };
    }
  }

  Index length() const { return length_; }             ///< tokens in a sequence, at most
  const Targets& targets() const { return targets_; }  ///< what of a target counts
  bool ragged() const { return ragged_; }              ///< whether sequences differ in length

  /// Tasks first, first + 1, ... of a seed become the batch's contexts; this draws those of group g.
  void draw(std::uint64_t seed, std::uint64_t first, Index g, Batch<S>& batch) const {
    if (g < 0 || g >= groups_) refuse("TaskSource", "the group is ", g, ", expected 0 to ", groups_ - 1);
    draw_(seed, first + static_cast<std::uint64_t>(g * lane_count<S>), g, batch);
  }

 private:
  Index length_, groups_;
  Targets targets_;
  bool ragged_;
  std::function<void(std::uint64_t, std::uint64_t, Index, Batch<S>&)> draw_;
};

}  // namespace gdssm
