// SPDX-License-Identifier: Apache-2.0
#include "gdssm/blocks/recurrences/shared_sequence_pass.hpp"

#include <string>
#include <utility>
#include <vector>

#include "recurrences/exact_rules.hpp"
#include "support/message_of.hpp"
#include "support/processes.hpp"

#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_oja.hpp"
#include "gdssm/blocks/recurrences/mamba3.hpp"

namespace gdssm {
namespace {

using test::Engine;
using test::Q;

/// All inputs of a pass of one rule, and cotangents of all outputs.
template <class Rule, class S>
struct Inputs {
  using State = typename Rule::template State<S>;
  using Tokens = typename Rule::template Token<InSeries<S>>;
  using Constants = typename Rule::template Constants<InArrays<S>>;

  Rule rule{2};
  Constants c = rule.template constants<InArrays<S>>();
  Tokens tokens;
  Array<S> queries, outputs_bar;
  State first = rule.template initial_state<S>(), last_bar = first;

  explicit Inputs(Index length) : tokens(tokens_of<S>(rule, length)), queries(2, length), outputs_bar(2, length) {
    Engine engine(5);
    const auto draw = [&](const Name& name, auto& member) {
      for (Index i = 0; i < member.size(); ++i) {
        const bool vector = Rule::role(name.leaf()) == TokenRole::key || Rule::role(name.leaf()) == TokenRole::value;
        const Q x = vector || name.leaf() == "memory" ? test::random_fraction(engine) : test::random_share(engine);
        if constexpr (std::is_same_v<S, Q>)
          member.data()[i] = x;
        else
          member.data()[i] = static_cast<S>(static_cast<double>(x)) / 3;
      }
    };
    for (auto* array : {&queries, &outputs_bar}) draw(Name{"memory"}, *array);
    visit(draw, c);
    visit(draw, tokens);
    visit(draw, first);
    visit(draw, last_bar);
  }
};

/// What a pass gives, put together from all processes.
template <class S>
using Numbers = std::vector<S>;

template <class S, class... Arrays>
void put(Numbers<S>& numbers, const Arrays&... arrays) {
  (numbers.insert(numbers.end(), arrays.data(), arrays.data() + arrays.size()), ...);
}

template <class Rule, class S>
Numbers<S> whole_pass(Index length) {
  Inputs<Rule, S> in(length);
  SequencePass<Rule, S> pass(in.rule, length);
  auto state = in.first, bar = in.last_bar;
  auto c_bar = in.rule.template constants<InArrays<S>>();
  auto tokens_bar = tokens_of<S>(in.rule, length);
  Array<S> outputs(2, length), queries_bar(2, length);
  pass.forward(in.c, in.tokens, in.queries.view(), state, outputs.view());
  pass.vjp(in.c, in.tokens, in.queries.view(), in.first, in.outputs_bar.view(), bar, c_bar, tokens_bar,
           queries_bar.view());
  Numbers<S> numbers;
  const auto add = [&](const Name&, const auto& m) { put(numbers, m); };
  visit(add, state);
  visit(add, bar);
  visit(add, c_bar);
  put(numbers, outputs, queries_bar);
  visit(add, tokens_bar);
  return numbers;
}

/// The same by a shared pass, with zeros for what is another process's.
template <class Rule, class S>
Numbers<S> shared_pass(Index length, Index pieces, Processes& world) {
  Inputs<Rule, S> in(length);
  SharedSequencePass<Rule, S> pass(in.rule, length, pieces, world);
  const ItemRange mine = pass.range();
  auto state = in.first, bar = in.last_bar;
  auto c_bar = in.rule.template constants<InArrays<S>>();
  auto tokens = tokens_of<S>(in.rule, mine.count), tokens_bar = tokens, all_bar = tokens_of<S>(in.rule, length);
  visit([&](const Name&, const auto& from,
            auto& to) { std::copy_n(from.data() + mine.first * from.rows(), to.size(), to.data()); },
        in.tokens, tokens);
  Array<S> outputs(2, length), queries_bar(2, length);
  const auto of = [&](auto& array) { return array.view().columns(mine.first, mine.count); };
  pass.forward(in.c, tokens, View<const S>(of(in.queries)), state, of(outputs));
  pass.vjp(in.c, tokens, View<const S>(of(in.queries)), in.first, View<const S>(of(in.outputs_bar)), bar, c_bar,
           tokens_bar, of(queries_bar));
  visit([&](const Name&, const auto& from,
            auto& to) { std::copy_n(from.data(), from.size(), to.data() + mine.first * to.rows()); },
        tokens_bar, all_bar);
  Numbers<S> numbers;
  const auto add = [&](const Name&, const auto& m) { put(numbers, m); };
  visit(add, state);
  visit(add, bar);
  visit(add, c_bar);
  put(numbers, outputs, queries_bar);
  visit(add, all_bar);
  return numbers;
}

template <class Rule>
void expect_exact() {
  OneProcess alone;
  const auto whole = whole_pass<Rule, Q>(7);
  for (const Index pieces : {1, 2, 3, 7}) {
    CAPTURE(pieces);
    CHECK((shared_pass<Rule, Q>(7, pieces, alone) == whole));
  }
}

TEST_CASE("a rule along a sequence in pieces is the rule along the sequence, forward and back", "[theorem]") {
  expect_exact<recurrences::GatedDeltaRule<>>();
  expect_exact<recurrences::GatedOja<>>();
}

TEST_CASE("a rule along a shared sequence has the same bits on any number of processes", "[theorem]") {
  using Rule = recurrences::GatedDeltaRule<>;
  constexpr Index length = 23, pieces = 6;
  OneProcess alone;
  const auto expected = shared_pass<Rule, double>(length, pieces, alone);
  for (const Index size : {2, 3, 5, 8}) {
    std::vector<Numbers<double>> found(static_cast<std::size_t>(size));
    test::run_as_processes(size, [&](Processes& world) {
      found[static_cast<std::size_t>(world.rank())] = shared_pass<Rule, double>(length, pieces, world);
    });
    const std::size_t common = 8;  // both states, (2 x 2)
    auto sum = found[0];
    for (std::size_t r = 1; r < found.size(); ++r)
      for (std::size_t i = 0; i < sum.size(); ++i)
        if (i < common)
          CHECK(found[r][i] == sum[i]);
        else
          sum[i] += found[r][i];  // zeros but on one process
    CAPTURE(size);
    CHECK((sum == expected));
  }
}

TEST_CASE("the adjoint of what a stretch does takes cotangents back", "[theorem]") {
  const Array<Q> memory(2, 3);
  const auto check = [&]<class Factor>(Factor F, const auto& entries, auto... memories) {
    Engine engine(7);
    const auto fill = [&](auto& array) {
      for (Index i = 0; i < array.size(); ++i) array[i] = test::random_fraction(engine);
    };
    fill(entries(F));
    (fill(memories), ...);
    const auto product = [](const auto& a, const auto& b) {
      Q sum(0);
      for (Index i = 0; i < a.size(); ++i) sum += a[i] * b[i];
      return sum;
    };
    const std::vector<Array<Q>> at{memories...};
    std::vector<Array<Q>> out(at.size(), memory);
    for (auto& array : out) array.fill(Q(0));
    if constexpr (sizeof...(memories) == 2) {
      F.add(at[0], out[0]);
      F.adjoint().add(at[1], out[1]);
      CHECK(product(out[0], at[1]) == product(at[0], out[1]));
    } else {
      F.add(at[0], at[1], out[0], out[1]);
      F.adjoint().add(at[2], at[3], out[2], out[3]);
      CHECK(product(out[0], at[2]) + product(out[1], at[3]) == product(at[0], out[2]) + product(at[1], out[3]));
    }
  };
  const auto factor = [](auto& F) -> auto& { return F.factor; };
  const auto factors = [](auto& F) -> auto& { return F.factors; };
  check(ScalarFactor<Q>(2, 3), factor, memory, memory);
  check(KeyFactors<Q>(2, 3), factors, memory, memory);
  check(EntryFactors<Q>(2, 3), factors, memory, memory);
  check(RightFactor<Q>(2, 3), factor, memory, memory);
  check(LeftFactor<Q>(2, 3), factor, memory, memory);
  check(RowFactors<Q>(2, 3), factors, memory, memory);
  check(PairFactor<Q>(2, 3), factor, memory, memory, memory, memory);
}

TEST_CASE("more pieces than tokens, and rules with a past, are refused", "[misuse]") {
  OneProcess alone;
  CHECK(test::message_of([&] {
          SharedSequencePass<recurrences::GatedDeltaRule<>, double>(recurrences::GatedDeltaRule<>(2), 3, 4, alone);
        }) == "SharedSequencePass: 3 tokens in 4 pieces, expected at least one token in each");
  CHECK(test::message_of([&] {
          SharedSequencePass<recurrences::Mamba3<>, double>(recurrences::Mamba3<>(2), 3, 2, alone);
        }) == "SharedSequencePass: the rule's state holds more than its memory, expected a rule without a past");
}

}  // namespace
}  // namespace gdssm
