// SPDX-License-Identifier: Apache-2.0
#include "gdssm/tasks/regular_languages.hpp"

#include "tasks/sequence_law.hpp"

namespace gdssm {
namespace {

using test::drawn, test::Mean, test::message_of, test::share_agrees;

/// An automaton with the given edges {state, letter, next}.
Automaton automaton_of(std::size_t states, std::initializer_list<std::array<int, 3>> edges) {
  Automaton automaton;
  automaton.states.resize(states);
  for (auto& to : automaton.states) to.fill(-1);
  for (const auto& [state, letter, next] : edges)
    automaton.states[static_cast<std::size_t>(state)][static_cast<std::size_t>(letter)] = next;
  return automaton;
}

/// Where a word from a state ends, -1 if it does not belong.
int end_of(const Automaton& automaton, std::span<const Index> word) {
  int state = 0;
  for (const Index letter : word) {
    if (state < 0) return -1;
    state = automaton.states[static_cast<std::size_t>(state)][static_cast<std::size_t>(letter)];
  }
  return state;
}

/// Of all edges, those with the letter 0.
double share_of_first_letter(const Automaton& automaton) {
  double first = 0, all = 0;
  for (const auto& to : automaton.states)
    for (const int next : to) all += next >= 0;
  for (const auto& to : automaton.states) first += to[0] >= 0;
  return first / all;
}

TEST_CASE("canonical automata: unreachable states go, equivalent ones merge, numbers follow letters", "[definition]") {
  // 0 -a-> 2, 0 -b-> 1; 1 and 2 go back by a; 3 is not reached.
  const Automaton plain = automaton_of(4, {{0, 0, 2}, {0, 1, 1}, {1, 0, 0}, {2, 0, 0}, {3, 5, 0}});
  CHECK(canonical(plain) == automaton_of(2, {{0, 0, 1}, {0, 1, 1}, {1, 0, 0}}));
  // The states 1 and 2 have the same letters, and differ one step later.
  const Automaton later = automaton_of(4, {{0, 3, 2}, {0, 1, 1}, {1, 0, 0}, {2, 0, 3}, {3, 7, 3}});
  CHECK(canonical(later) == automaton_of(4, {{0, 1, 1}, {0, 3, 2}, {1, 0, 0}, {2, 0, 3}, {3, 7, 3}}));
  // A loop that is unrolled twice.
  CHECK(canonical(automaton_of(2, {{0, 4, 1}, {1, 4, 0}})) == automaton_of(1, {{0, 4, 0}}));
}

TEST_CASE("canonical automata: the language is the same, and other numbers of the states change nothing", "[theorem]") {
  for (std::uint64_t i = 0; i < 100; ++i) {
    RandomStream<> stream(1, i);
    const Automaton automaton = draw_automaton(stream), smallest = canonical(automaton);
    CHECK(smallest.states.size() <= automaton.states.size());
    CHECK(canonical(smallest) == smallest);
    Automaton turned = automaton;  // the states but the start in the opposite order
    const auto count = static_cast<int>(automaton.states.size());
    const auto number = [&](int state) { return state <= 0 ? state : count - state; };
    for (int state = 0; state < count; ++state) {
      auto& to = turned.states[static_cast<std::size_t>(number(state))];
      to = automaton.states[static_cast<std::size_t>(state)];
      for (int& next : to) next = number(next);
    }
    CHECK(canonical(turned) == smallest);
    for (int w = 0; w < 20; ++w) {  // walks, whose last letter may be wrong
      std::vector<Index> word;
      int state = 0;
      for (int step = 0; step < 6 && state >= 0; ++step) {
        word.push_back(detail::draw_below(Automaton::letters, stream));
        while (step < 5 && automaton.states[static_cast<std::size_t>(state)][static_cast<std::size_t>(word.back())] < 0)
          word.back() = detail::draw_below(Automaton::letters, stream);
        state = end_of(automaton, word);
      }
      CHECK((end_of(automaton, word) < 0) == (end_of(smallest, word) < 0));
      if (state >= 0)
        CHECK(automaton.degree(state) == smallest.degree(end_of(smallest, word)));  // with which words go on
    }
  }
}

TEST_CASE("random automata: states, letters and edges have their laws", "[definition]") {
  double states[13] = {}, degrees[4] = {}, all = 0;
  Mean letters;
  constexpr int runs = 1500;
  for (std::uint64_t i = 0; i < runs; ++i) {
    RandomStream<> stream(2, i);
    const Automaton automaton = draw_automaton(stream);
    const auto count = static_cast<int>(automaton.states.size());
    REQUIRE((count >= 4 && count <= 12));
    ++states[count];
    for (int state = 0; state < count; ++state) {
      const auto& to = automaton.states[static_cast<std::size_t>(state)];
      std::set<int> targets(to.begin(), to.end());
      const Index degree = automaton.degree(state);
      REQUIRE((degree >= 1 && degree <= 3));
      CHECK(targets.size() == static_cast<std::size_t>(degree) + 1);  // and -1
      CHECK_FALSE(targets.contains(state));
      CHECK(*targets.rbegin() < count);
      ++degrees[degree];
      ++all;
    }
    letters.add(share_of_first_letter(automaton));
  }
  for (int count = 4; count <= 12; ++count) CHECK(share_agrees(states[count], runs, 1 / 9.0));
  for (int degree = 1; degree <= 3; ++degree) CHECK(share_agrees(degrees[degree], all, 1 / 3.0));
  CHECK(letters.agrees(1 / 18.0));
}

TEST_CASE("distinct automata: no two have one language, and a shorter list is the beginning of a longer",
          "[definition]") {
  const auto automata = distinct_automata(3, 300);
  CHECK(automata.size() == 300);
  CHECK(std::set<Automaton>(automata.begin(), automata.end()).size() == 300);
  for (const Automaton& automaton : automata) CHECK(canonical(automaton) == automaton);
  const auto shorter = distinct_automata(3, 20);
  CHECK(std::equal(shorter.begin(), shorter.end(), automata.begin()));
  CHECK(distinct_automata(4, 1) != distinct_automata(3, 1));
}

TEST_CASE("regular languages: words of one language, every next letter a target, 376 tokens on average",
          "[definition]") {
  const RegularLanguages tasks{distinct_automata(5, 40)};
  CHECK(tasks.length() == 949);
  Mean tokens, words, lengths;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const MarkedSequences one = drawn(tasks, 1, i);
    const auto ids = one.ids(0), targets = one.targets(0);
    const auto marked = one.marked(0);
    const auto count =
        static_cast<std::size_t>(std::find(ids.begin(), ids.end(), RegularLanguages::padding) - ids.begin());
    double separators = 0;
    for (std::size_t t = 0, begin = 0; t <= count; ++t) {
      if (t < ids.size()) {
        const bool letter_next = t + 1 < count && ids[t + 1] != RegularLanguages::separator;
        CHECK(bool(marked[t]) == letter_next);
        if (letter_next) CHECK(targets[t] == ids[t + 1]);
      }
      if (t < count && ids[t] != RegularLanguages::separator) continue;
      CHECK((t - begin >= 1 && t - begin <= 49));
      CHECK(end_of(tasks.language(i), ids.subspan(begin, t - begin)) >= 0);
      lengths.add(static_cast<double>(t - begin));
      separators += t < count;
      begin = t + 1;
    }
    CHECK((separators >= 9 && separators <= 18));
    CHECK(std::all_of(ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                      [](Index id) { return id == RegularLanguages::padding; }));
    tokens.add(static_cast<double>(count));
    words.add(separators + 1);
  }
  CHECK(tokens.agrees(376));
  CHECK(words.agrees(14.5));
  CHECK(lengths.agrees(25));
  CHECK(tasks.language(43) == tasks.languages[3]);
}

TEST_CASE("regular languages: a walk takes the edges of a state with equal probability", "[definition]") {
  const RegularLanguages tasks{{automaton_of(2, {{0, 1, 1}, {0, 5, 0}, {0, 17, 1}, {1, 2, 0}, {1, 4, 0}})}};
  double counts[18] = {}, of[2] = {};
  for (std::uint64_t i = 0; i < 20; ++i) {
    const MarkedSequences one = drawn(tasks, 2, i);
    for (const Index id : one.ids(0)) {
      if (id >= 18) continue;
      ++counts[id];
      ++of[id == 2 || id == 4];
    }
  }
  for (const Index id : {1, 5, 17}) CHECK(share_agrees(counts[id], of[0], 1 / 3.0));
  for (const Index id : {2, 4}) CHECK(share_agrees(counts[id], of[1], 1 / 2.0));
}

TEST_CASE("the score of a language: the law itself has every edge, distance 0 and the least loss, (59)", "[theorem]") {
  const RegularLanguages tasks{distinct_automata(6, 3)};
  for (std::uint64_t i = 0; i < 3; ++i) {
    const MarkedSequences one = drawn(tasks, 3, i);
    const auto ids = one.ids(0);
    Array<double> law(20, one.length()), none(20, one.length());
    double loss = 0, degrees = 0;
    int state = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const auto at = static_cast<Index>(t);
      if (ids[t] == RegularLanguages::padding) break;
      state = ids[t] == RegularLanguages::separator
                  ? 0
                  : tasks.language(i).states[static_cast<std::size_t>(state)][static_cast<std::size_t>(ids[t])];
      const auto& to = tasks.language(i).states[static_cast<std::size_t>(state)];
      for (Index id = 0; id < 20; ++id)
        law(id, at) = id < 18 && to[static_cast<std::size_t>(id)] >= 0 ? 2.5 : -1e3;  // any number for the edges
      if (one.marked(0)[t]) {
        loss += std::log(static_cast<double>(tasks.language(i).degree(state)));
        degrees += static_cast<double>(tasks.language(i).degree(state));
      }
    }
    LanguageScore best, guess;
    best.add(tasks.language(i), ids, one.marked(0), law.view().as_const());
    guess.add(tasks.language(i), ids, one.marked(0), none.view().as_const());
    CHECK(best.positions == one.count());
    CHECK(best.edges == one.count());
    CHECK(best.distance < 1e-12);
    CHECK(std::abs(best.entropy - loss) < 1e-10);
    CHECK(std::abs(guess.distance - (static_cast<double>(one.count()) - degrees / 20)) < 1e-10);  // all ids as likely
    CHECK(guess.edges < best.edges);
  }
}

TEST_CASE("regular languages: a task depends on seed and index alone", "[definition][misuse]") {
  test::check_keys(RegularLanguages{distinct_automata(7, 2)}, "RegularLanguages");
}

TEST_CASE("regular languages: no languages, other shapes and letters that cannot come are refused", "[misuse]") {
  MarkedSequences one(1, 949);
  CHECK(message_of([&] { RegularLanguages().draw(1, 0, one, 0); }) ==
        "RegularLanguages: there are no languages, expected at least one");
  const Automaton automaton = automaton_of(1, {{0, 4, 0}});
  const std::vector<Index> ids{4, 3};
  const std::vector<char> marked{1, 0};
  const Array<double> logits(20, 2), short_logits(19, 2);
  LanguageScore score;
  CHECK(message_of([&] { score.add(automaton, ids, marked, logits.view()); }) ==
        "LanguageScore: id 1 is 3, expected a letter that the language has there");
  CHECK(message_of([&] { score.add(automaton, ids, marked, short_logits.view()); }) ==
        "LanguageScore: the number of rows of the logits is 19, expected 20");
  CHECK(message_of([&] { score.add(automaton, std::span(ids).first(1), std::span(marked).first(1), logits.view()); }) ==
        "LanguageScore: the number of columns of the logits is 2, expected 1");
}

}  // namespace
}  // namespace gdssm
