// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/list_operations.hpp"

#include <sstream>

#include "tasks/sequence_law.hpp"

namespace gdssm {
namespace {

using test::drawn, test::message_of, test::share_agrees;

/// Ids of an expression as it is written.
std::vector<Index> ids_of(const std::string& text) {
  std::istringstream words(text);
  std::vector<Index> ids;
  for (std::string word; words >> word;)
    ids.push_back(word == "[MIN"   ? 10
                  : word == "[MAX" ? 11
                  : word == "[MED" ? 12
                  : word == "[SM"  ? 13
                  : word == "]"    ? 14
                                   : std::stol(word));
  return ids;
}
Index value_of(const std::string& text) { return evaluate_list_operations(ids_of(text)); }

TEST_CASE("list operations have their values", "[definition]") {
  CHECK(value_of("[MAX 2 9 [MIN 4 7 ] 0 ]") == 9);
  CHECK(value_of("[MED 1 4 7 9 ]") == 5);
  CHECK(value_of("[MED 9 1 6 4 ]") == 5);
  CHECK(value_of("[MED 9 1 6 ]") == 6);
  CHECK(value_of("[MED 3 4 ]") == 3);
  CHECK(value_of("[SM 7 8 ]") == 5);
  CHECK(value_of("[SM 1 [SM 9 9 9 ] [MIN 3 [MAX 8 2 ] ] ]") == 1);
  CHECK(value_of("[MIN 5 ]") == 5);
  CHECK(value_of("3") == 3);
}

TEST_CASE("list operations: what is no expression is refused, with the place", "[misuse]") {
  const auto said = [](const std::string& text) { return message_of([&] { value_of(text); }); };
  CHECK(said("") == "evaluate_list_operations: the ids end after 0, expected a whole expression");
  CHECK(said("[MAX 2 9") == "evaluate_list_operations: the ids end after 3, expected a whole expression");
  CHECK(said("2 3") == "evaluate_list_operations: id 1 is 3, expected the end, as the expression is complete");
  CHECK(said("[SM ]") == "evaluate_list_operations: id 1 closes a list, expected one that is open and has an argument");
  CHECK(said("]") == "evaluate_list_operations: id 0 closes a list, expected one that is open and has an argument");
  CHECK(said("15") == "evaluate_list_operations: id 0 is 15, expected 0 to 14");
}

/// The mean length of roots of this depth with up to 10 arguments, (58).
double mean_length(Index depth) { return 3.5 * std::pow(1.5, static_cast<double>(depth - 1)) - 2.5; }

TEST_CASE("list operations: roots have the mean length of (58), and one in 12.3 is kept", "[definition]") {
  CHECK(std::abs(mean_length(10) - 132.05) < 0.005);
  RandomStream<> stream(1);
  for (const Index depth : {1, 2, 5}) {
    test::Mean length;
    for (int i = 0; i < 4000; ++i)
      length.add(static_cast<double>(ListOperations{.depth = depth}.expression(stream, 1000000).size()));
    CAPTURE(depth, length.value(), length.error());
    CHECK((depth == 1 ? length.value() == 1 : length.agrees(mean_length(depth))));
  }
  test::Mean length;
  double kept = 0;
  for (int i = 0; i < 2500; ++i) {
    const auto count = static_cast<double>(ListOperations().expression(stream, 1000000).size());
    length.add(count);
    kept += count > 500 && count < 2000;
  }
  CAPTURE(length.value(), length.error(), kept);
  CHECK(length.agrees(132.05));
  CHECK(share_agrees(kept, length.count(), 0.081));
}

TEST_CASE("list operations: of a root's operators, digits and numbers of arguments each is as likely", "[definition]") {
  RandomStream<> stream(2);
  double counts[14] = {}, arguments[11] = {}, operators = 0, digits = 0;
  constexpr int runs = 8000;
  for (int i = 0; i < runs; ++i) {
    const auto ids = ListOperations{.depth = 2}.expression(stream, 100);
    ++counts[ids[0]];
    (ids[0] < 10 ? digits : operators) += 1;
    if (ids[0] >= 10) ++arguments[ids.size() - 2];
  }
  CHECK(share_agrees(operators, runs, 0.25));
  for (Index id = 0; id < 14; ++id)
    CHECK((id < 10 ? share_agrees(counts[id], digits, 0.1) : share_agrees(counts[id], operators, 0.25)));
  for (Index count = 0; count <= 10; ++count)
    CHECK((count < 2 ? arguments[count] == 0 : share_agrees(arguments[count], operators, 1 / 9.0)));
}

TEST_CASE("list operations: the last token is marked, its target is the value, and 0 and 9 are 17 % each",
          "[definition]") {
  const ListOperations tasks;
  double zeros = 0, nines = 0;
  constexpr int runs = 200;
  MarkedSequences one(1, tasks.length());
  for (std::uint64_t i = 0; i < runs; ++i) {
    tasks.draw(3, i, one, 0);
    const auto ids = one.ids(0);
    const auto end = std::find(ids.begin(), ids.end(), ListOperations::padding);
    const std::size_t count = static_cast<std::size_t>(end - ids.begin());
    CHECK((count > 500 && count < 2000));
    CHECK(std::all_of(end, ids.end(), [](Index id) { return id == ListOperations::padding; }));
    CHECK(one.count() == 1);
    CHECK(one.marked(0)[count - 1]);
    const Index value = one.targets(0)[count - 1];
    CHECK(value == evaluate_list_operations(ids.first(count)));
    zeros += value == 0;
    nines += value == 9;
  }
  CHECK(share_agrees(zeros, runs, 0.17));
  CHECK(share_agrees(nines, runs, 0.17));
}

TEST_CASE("list operations: a task depends on seed and index alone", "[definition][misuse]") {
  test::check_keys(ListOperations{.depth = 4, .arguments = 5, .shortest = 5, .longest = 60}, "ListOperations");
}

TEST_CASE("list operations: sizes that no expression has are refused", "[misuse]") {
  const auto said = [](ListOperations tasks) { return message_of([&] { drawn(tasks, 0, 0); }); };
  CHECK(
      said({.shortest = 10, .longest = 11}) ==
      "ListOperations: depth, arguments, shortest and longest are 10, 10, 10 and 11, expected at least 1 and 2, and a "
      "length in between");
  CHECK(said({.arguments = 1}).find("ListOperations: depth, arguments") == 0);
  CHECK(
      said({.depth = 1, .shortest = 3, .longest = 9}) ==
      "ListOperations: none of 100,000 expressions of depth 1 with up to 10 arguments has more than 3 and fewer than 9 "
      "tokens, expected one");
}

}  // namespace
}  // namespace gdssm
