// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "gdssm/tasks/sequence_task.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm::test {

/// Task `index` of a seed, alone in a batch with room for `extra` tokens more.
template <SequenceTask Tasks>
MarkedSequences drawn(const Tasks& tasks, std::uint64_t seed, std::uint64_t index, Index extra = 0) {
  MarkedSequences batch(1, tasks.length() + extra);
  draw_batch(tasks, seed, index, batch);
  return batch;
}

/// The mean of what was counted, with its standard error.
class Mean {
 public:
  void add(double x) { sum_ += x, squares_ += x * x, ++count_; }
  double value() const { return sum_ / count_; }
  double error() const { return std::sqrt(std::max(squares_ / count_ - value() * value(), 0.0) / (count_ - 1)); }
  /// Whether the expected mean is within four standard errors.
  bool agrees(double expected) const { return std::abs(value() - expected) < 4 * error(); }
  double count() const { return count_; }

 private:
  double sum_ = 0, squares_ = 0, count_ = 0;
};

/// Whether a share of independent cases is within four standard errors of the expected one.
inline bool share_agrees(double found, double of, double expected) {
  return std::abs(found / of - expected) < 4 * std::sqrt(expected * (1 - expected) / of);
}

/// A task is the same alone and in a batch that is longer and in which it is not the first, other tasks and other
/// seeds' differ; ids are of the vocabulary; and a batch without room and a sequence that is not there are refused by
/// `name`.
template <SequenceTask Tasks>
void check_keys(const Tasks& tasks, const std::string& name) {
  const MarkedSequences alone = drawn(tasks, 7, 3), other = drawn(tasks, 7, 4), seed = drawn(tasks, 8, 3);
  MarkedSequences batch(3, tasks.length() + 2);
  batch.fill(1);  // what a batch held before is of no account
  for (char& mark : batch.marked(2)) mark = 1;
  draw_batch(tasks, 7, 1, batch);
  const auto begins_with = [](auto longer, auto shorter) {
    return std::equal(shorter.begin(), shorter.end(), longer.begin());
  };
  CHECK(begins_with(batch.ids(2), alone.ids(0)));
  CHECK(begins_with(batch.targets(2), alone.targets(0)));
  CHECK(begins_with(batch.marked(2), alone.marked(0)));
  CHECK(std::count(batch.marked(2).begin(), batch.marked(2).end(), 0) ==
        std::count(alone.marked(0).begin(), alone.marked(0).end(), 0) + 2);
  CHECK_FALSE(begins_with(other.ids(0), alone.ids(0)));
  CHECK_FALSE(begins_with(seed.ids(0), alone.ids(0)));
  for (const Index id : alone.ids(0)) CHECK((id >= 0 && id < tasks.vocabulary()));
  MarkedSequences little(1, tasks.length() - 1);
  CHECK(message_of([&] { tasks.draw(1, 0, little, 0); }) ==
        name + ": the batch has room for " + std::to_string(tasks.length() - 1) + " tokens, expected at least " +
            std::to_string(tasks.length()));
  CHECK(message_of([&] { tasks.draw(1, 0, batch, 3); }) == name + ": the sequence is 3, expected 0 to 2");
}

}  // namespace gdssm::test
