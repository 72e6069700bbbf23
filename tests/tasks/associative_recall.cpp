// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/associative_recall.hpp"

#include <map>
#include <set>

#include "tasks/sequence_law.hpp"

namespace gdssm {
namespace {

using test::drawn, test::message_of, test::share_agrees;

TEST_CASE("associative recall: distinct pairs, then each key once at a place, its value the target", "[definition]") {
  for (const Filler filler : {Filler::uniform, Filler::zero})
    for (std::uint64_t i = 0; i < 20; ++i) {
      const AssociativeRecall tasks{.ids = 70, .tokens = 64, .pairs = 10, .filler = filler};
      const MarkedSequences one = drawn(tasks, 1, i);
      const auto ids = one.ids(0), targets = one.targets(0);
      const auto marked = one.marked(0);
      std::map<Index, Index> value_of;
      std::set<Index> values;
      for (std::size_t t = 0; t < 20; t += 2) {
        CHECK((ids[t] >= 1 && ids[t] <= 34));
        CHECK((ids[t + 1] >= 35 && ids[t + 1] <= 69));
        CHECK_FALSE((marked[t] || marked[t + 1]));
        value_of[ids[t]] = ids[t + 1];
        values.insert(ids[t + 1]);
      }
      CHECK(value_of.size() == 10);
      CHECK(values.size() == 10);
      std::set<Index> asked;
      for (std::size_t t = 20; t < 64; ++t) {
        if (marked[t]) {
          CHECK(t % 2 == 0);
          CHECK(targets[t] == value_of.at(ids[t]));
          asked.insert(ids[t]);
        } else if (filler == Filler::zero) {
          CHECK(ids[t] == 0);
        }
      }
      CHECK(asked.size() == 10);
      CHECK(one.count() == 10);
    }
}

TEST_CASE("associative recall: pairs of places have the law of weighted draws one after another", "[definition]") {
  for (const double a : {0.01, 1.0, 0.5}) {
    const AssociativeRecall tasks{.ids = 20, .tokens = 16, .pairs = 2, .exponent = a, .filler = Filler::zero};
    constexpr Index places = 6;
    constexpr int runs = 6000;
    double found[places][places] = {}, weights[places], total = 0;
    MarkedSequences one(1, 16);
    for (std::uint64_t i = 0; i < runs; ++i) {
      tasks.draw(2, i, one, 0);
      Index at[2] = {0, 0};
      for (std::size_t t = 4; t < 16; ++t)
        if (one.marked(0)[t]) at[one.ids(0)[t] == one.ids(0)[0] ? 0 : 1] = (static_cast<Index>(t) - 4) / 2;
      ++found[at[0]][at[1]];
    }
    for (Index g = 0; g < places; ++g) total += weights[g] = std::pow(static_cast<double>(g + 1), a - 1);
    for (Index g = 0; g < places; ++g)
      for (Index h = 0; h < places; ++h) {
        CAPTURE(a, g, h);
        if (g == h)
          CHECK(found[g][h] == 0);
        else
          CHECK(share_agrees(found[g][h], runs, weights[g] / total * weights[h] / (total - weights[g])));
      }
  }
}

TEST_CASE("associative recall: keys, values and filler are uniform", "[definition]") {
  const AssociativeRecall tasks{.ids = 11, .tokens = 10, .pairs = 2};
  constexpr int runs = 3000;
  double keys[11] = {}, values[11] = {}, fillers[11] = {}, all = 0;
  MarkedSequences one(1, 10);
  for (std::uint64_t i = 0; i < runs; ++i) {
    tasks.draw(3, i, one, 0);
    ++keys[one.ids(0)[0]];
    ++values[one.ids(0)[3]];
    for (std::size_t t = 4; t < 10; ++t)
      if (!one.marked(0)[t]) ++fillers[one.ids(0)[t]], ++all;
  }
  CHECK(all == 4.0 * runs);
  for (Index id = 0; id < 11; ++id) {
    CAPTURE(id);
    CHECK(share_agrees(fillers[id], all, 1 / 11.0));
    CHECK((id >= 1 && id <= 4 ? share_agrees(keys[id], runs, 1 / 4.0) : keys[id] == 0));
    CHECK((id >= 5 ? share_agrees(values[id], runs, 1 / 6.0) : values[id] == 0));
  }
}

TEST_CASE("associative recall: a task depends on seed and index alone", "[definition][misuse]") {
  test::check_keys(AssociativeRecall{.ids = 40, .tokens = 32, .pairs = 4}, "AssociativeRecall");
}

TEST_CASE("associative recall: sizes without such sequences are refused", "[misuse]") {
  const auto said = [](AssociativeRecall tasks) { return message_of([&] { drawn(tasks, 0, 0); }); };
  const auto sizes = [](const std::string& found) {
    return "AssociativeRecall: there are " + found +
           ", expected at least one pair, an even number of tokens of at least 4 times the pairs, and more ids than "
           "tokens";
  };
  CHECK(said({.ids = 64, .tokens = 64}) == sizes("8 pairs, 64 tokens and 64 ids"));
  CHECK(said({.tokens = 30}) == sizes("8 pairs, 30 tokens and 256 ids"));
  CHECK(said({.tokens = 33}) == sizes("8 pairs, 33 tokens and 256 ids"));
  CHECK(said({.pairs = 0}) == sizes("0 pairs, 64 tokens and 256 ids"));
  CHECK(said({.exponent = std::nan("")}) == "AssociativeRecall: the exponent is nan, expected a number");
  CHECK(said({.ids = 33, .tokens = 32}) == "");
}

}  // namespace
}  // namespace gdssm
