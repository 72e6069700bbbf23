// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/character_text.hpp"

#include <limits>

#include "tasks/sequence_law.hpp"

namespace gdssm {
namespace {

using test::drawn, test::message_of, test::share_agrees;

TEST_CASE("characters are numbered in ascending order of their bytes, and a text is cut in two", "[definition]") {
  const CharacterText text("b\xC3\xA4 a\nbb ab", 3, 0.2);
  CHECK(text.characters() == "\n ab\xA4\xC3");
  CHECK(text.vocabulary() == 6);
  CHECK(std::vector<Index>(text.training().begin(), text.training().end()) ==
        std::vector<Index>{3, 5, 4, 1, 2, 0, 3, 3});
  CHECK(std::vector<Index>(text.held_out().begin(), text.held_out().end()) == std::vector<Index>{1, 2, 3});
}

TEST_CASE("excerpts are from anywhere in the first part, and every next character is a target", "[definition]") {
  const CharacterText text("abcdefghijklmnopqrstuvwxyz", 5, 0.5);
  double begins[26] = {};
  constexpr int runs = 2000;
  MarkedSequences one(1, 7);
  for (std::uint64_t i = 0; i < runs; ++i) {
    text.draw(1, i, one, 0);
    for (std::size_t t = 0; t < 5; ++t) {
      CHECK(one.ids(0)[t] == one.ids(0)[0] + static_cast<Index>(t));
      CHECK(one.targets(0)[t] == one.ids(0)[t] + 1);
    }
    CHECK(one.count() == 5);
    ++begins[one.ids(0)[0]];
  }
  for (Index id = 0; id < 26; ++id) CHECK((id < 8 ? share_agrees(begins[id], runs, 1 / 8.0) : begins[id] == 0));
}

TEST_CASE("characters: a task depends on seed and index alone", "[definition][misuse]") {
  test::check_keys(CharacterText("the quick brown fox jumps over the lazy dog", 8), "CharacterText");
}

TEST_CASE("characters: a text without an excerpt and shares that are none are refused", "[misuse]") {
  CHECK(message_of([] { CharacterText("abc", 3); }) ==
        "CharacterText: the text's first part has 2 characters and an excerpt 3 targets, expected at least 1 of these, "
        "and more characters");
  CHECK(message_of([] { CharacterText("", 3); }) != "");
  CHECK(message_of([] { CharacterText("abc", 0); }) != "");
  CHECK(message_of([] { CharacterText("abc", 1, 1); }) ==
        "CharacterText: the held-out share is 1, expected at least 0 and below 1");
  CHECK(message_of([] { CharacterText("abc", 1, std::numeric_limits<double>::quiet_NaN()); }) != "");
}

}  // namespace
}  // namespace gdssm
