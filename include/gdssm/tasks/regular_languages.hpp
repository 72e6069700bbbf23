// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"
#include "gdssm/core/random.hpp"
#include "gdssm/tasks/discrete_draws.hpp"
#include "gdssm/tasks/sequence_task.hpp"

namespace gdssm {

/// A deterministic automaton over 18 letters whose states all accept: a word belongs to its language if and only if no
/// edge is missing on the way. State 0 is the start.
struct Automaton {
  static constexpr Index letters = 18;     ///< of the alphabet
  using Edges = std::array<int, letters>;  ///< a letter's next state, -1 where there is no edge
  std::vector<Edges> states;               ///< the edges of each

  /// The number of edges of a state.
  Index degree(Index state) const {
    const Edges& edges = states[static_cast<std::size_t>(state)];
    return letters - std::count(edges.begin(), edges.end(), -1);
  }

  /// Lexicographic; no order with a meaning.
  friend auto operator<=>(const Automaton&, const Automaton&) = default;
};

/// The smallest automaton of the same language, with states numbered in the order in which they are found from the
/// start, letter by letter: two languages are equal if and only if these are.
inline Automaton canonical(const Automaton& automaton) {
  // Classes of states, refined until equivalent states, and no others, are together (Moore).
  std::vector<int> classes(automaton.states.size(), 0);
  for (std::size_t count = 1;;) {
    std::map<std::pair<int, Automaton::Edges>, int> found;
    std::vector<int> refined;
    for (std::size_t state = 0; state < classes.size(); ++state) {
      Automaton::Edges to = automaton.states[state];
      for (int& next : to) next = next < 0 ? -1 : classes[static_cast<std::size_t>(next)];
      refined.push_back(found.try_emplace({classes[state], to}, static_cast<int>(found.size())).first->second);
    }
    classes = refined;
    if (found.size() == count) break;
    count = found.size();
  }
  Automaton smallest;
  std::vector<std::size_t> members{0};  // a state of each class, as found
  std::map<int, int> numbers{{classes[0], 0}};
  for (std::size_t i = 0; i < members.size(); ++i) {
    Automaton::Edges to = automaton.states[members[i]];
    for (int& next : to) {
      if (next < 0) continue;
      const auto at = static_cast<std::size_t>(next);
      const auto [number, is_new] = numbers.try_emplace(classes[at], static_cast<int>(members.size()));
      if (is_new) members.push_back(at);
      next = number->second;
    }
    smallest.states.push_back(to);
  }
  return smallest;
}

/// A random automaton: 4 to 12 states; an alphabet of 4 to 18 of the letters; from each state 1 to 3 edges with
/// distinct letters of the alphabet to distinct states other than itself; all uniform.
/// Source  Akyürek et al., arXiv:2401.12973, github.com/berlino/seq_icl, src/dataloaders/dfa.py
inline Automaton draw_automaton(RandomStream<>& stream) {
  const Index states = detail::draw_between(4, 12, stream), size = detail::draw_between(4, Automaton::letters, stream);
  std::vector<Index> alphabet = detail::draw_distinct(0, Automaton::letters - 1, size, stream);
  Automaton automaton;
  for (Index state = 0; state < states; ++state) {
    const Index edges = detail::draw_between(1, 3, stream);
    detail::draw_to_front(std::span(alphabet), edges, stream);
    const std::vector<Index> targets = detail::draw_distinct(0, states - 2, edges, stream);  // past itself
    Automaton::Edges& to = automaton.states.emplace_back();
    to.fill(-1);
    for (std::size_t i = 0; i < targets.size(); ++i)
      to[static_cast<std::size_t>(alphabet[i])] = static_cast<int>(targets[i] + (targets[i] >= state ? 1 : 0));
  }
  return automaton;
}

/// `count` automata of a seed, `canonical`, of which no two are equal. The first of a longer list are a shorter one.
inline std::vector<Automaton> distinct_automata(std::uint64_t seed, Index count) {
  std::set<Automaton> seen;
  std::vector<Automaton> automata;
  for (std::uint64_t i = 0; static_cast<Index>(automata.size()) < count; ++i) {
    RandomStream<> stream(seed, i, 1);  // sequences have part 0
    Automaton automaton = canonical(draw_automaton(stream));
    if (seen.insert(automaton).second) automata.push_back(std::move(automaton));
  }
  return automata;
}

/// Regular languages in context: 10 to 19 words of 1 to 49 letters, both uniform, of one language, joined by a
/// separator. A word is a walk from the start that takes each of a state's edges with the same probability. A position
/// is marked if a letter comes next, which is its target. Task i is of language i modulo their number, so as many tasks
/// as there are languages have one each. For training and testing take automata from one list of `distinct_automata`.
///     ids  0-17 letters, 18 separator, 19 padding
/// Errors  std::invalid_argument: no languages
/// Source  as `draw_automaton`
struct RegularLanguages {
  std::vector<Automaton> languages;  ///< of the tasks

  static constexpr Index separator = Automaton::letters;  ///< the id between words
  static constexpr Index padding = separator + 1;         ///< the id after the last word
  static constexpr Index most_words = 19;                 ///< of a sequence
  static constexpr Index longest_word = 49;               ///< in letters

  Index vocabulary() const { return padding + 1; }
  Index length() const { return most_words * (longest_word + 1) - 1; }

  /// The language of task `index`.        Errors  as `RegularLanguages`
  const Automaton& language(std::uint64_t index) const {
    if (languages.empty()) refuse("RegularLanguages", "there are no languages, expected at least one");
    return languages[static_cast<std::size_t>(index % languages.size())];
  }

  /// Task `index` of a seed as sequence b of a batch.
  /// Errors  as `RegularLanguages`; a batch without room, no such sequence
  void draw(std::uint64_t seed, std::uint64_t index, MarkedSequences& batch, Index b) const {
    const Automaton& automaton = language(index);
    detail::begin_sequence("RegularLanguages", length(), padding, batch, b);
    RandomStream<> stream(seed, index);
    const auto ids = batch.ids(b);
    std::size_t t = 0;
    const Index words = detail::draw_between(10, most_words, stream);
    for (Index word = 0; word < words; ++word) {
      if (word > 0) ids[t++] = separator;
      Index state = 0;
      for (Index left = detail::draw_between(1, longest_word, stream); left > 0; --left) {
        const Automaton::Edges& edges = automaton.states[static_cast<std::size_t>(state)];
        Index letter = 0;
        for (Index nth = detail::draw_below(automaton.degree(state), stream); nth >= 0; ++letter)
          if (edges[static_cast<std::size_t>(letter)] >= 0) --nth;
        --letter;
        if (t > 0) detail::mark(batch, b, t - 1, letter);
        ids[t++] = letter;
        state = edges[static_cast<std::size_t>(letter)];
      }
    }
  }
};

/// How well a model knows the languages of its tasks: sums over marked positions.
struct LanguageScore {
  Index positions = 0;  ///< marked
  Index edges = 0;      ///< where the largest logit is a letter that may come next
  double distance = 0;  ///< total variation between softmax and the law of the next letter, 1/2 sum |softmax - p|
  double entropy = 0;   ///< log of the number of edges: over `positions`, a lower bound of every mean loss     (59)

  /// Adds those of one sequence of a language; the walk is followed from every separator on.
  /// Shapes  ids, marked (T), logits (20 x T)
  /// Errors  std::invalid_argument: other shapes; a letter that the language hasn't there, with its position
  template <class T>
  void add(const Automaton& automaton, std::span<const Index> ids, std::span<const char> marked, View<const T> logits) {
    constexpr const char* where = "LanguageScore";
    expect_equal(where, "the number of marks", marked.size(), ids.size());
    expect_equal(where, "the number of rows of the logits", logits.rows(), RegularLanguages::padding + 1);
    expect_equal(where, "the number of columns of the logits", logits.cols(), static_cast<Index>(ids.size()));
    std::size_t state = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] == RegularLanguages::padding) break;
      if (ids[t] == RegularLanguages::separator) {
        state = 0;
      } else {
        const int next =
            ids[t] >= 0 && ids[t] < Automaton::letters ? automaton.states[state][static_cast<std::size_t>(ids[t])] : -1;
        if (next < 0) refuse(where, "id ", t, " is ", ids[t], ", expected a letter that the language has there");
        state = static_cast<std::size_t>(next);
      }
      if (marked[t]) add_position(automaton, static_cast<Index>(state), logits.column(static_cast<Index>(t)));
    }
  }

 private:
  template <class T>
  void add_position(const Automaton& automaton, Index state, View<const T, Dynamic, 1> logits) {
    const Automaton::Edges& to = automaton.states[static_cast<std::size_t>(state)];
    const auto is_edge = [&](Index id) { return id < Automaton::letters && to[static_cast<std::size_t>(id)] >= 0; };
    const auto degree = static_cast<double>(automaton.degree(state));
    Index largest = 0;
    for (Index id = 1; id < logits.size(); ++id)
      if (logits[id] > logits[largest]) largest = id;
    double sum = 0;
    for (Index id = 0; id < logits.size(); ++id) sum += std::exp(static_cast<double>(logits[id] - logits[largest]));
    for (Index id = 0; id < logits.size(); ++id)
      distance += 0.5 * std::abs(std::exp(static_cast<double>(logits[id] - logits[largest])) / sum -
                                 (is_edge(id) ? 1 / degree : 0));
    ++positions;
    edges += is_edge(largest) ? 1 : 0;
    entropy += std::log(degree);
  }
};

}  // namespace gdssm
