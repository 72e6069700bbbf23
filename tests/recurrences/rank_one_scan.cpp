// SPDX-License-Identifier: Apache-2.0
// The gated delta rule by its fast loops is the rule itself but for rounding, forward and back, and has the same bits
// wherever a sequence is cut.

#include "gdssm/blocks/recurrences/rank_one_scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <utility>

#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/sequence_pass.hpp"
#include "gdssm/core/random.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using recurrences::GatedDeltaRule;
using recurrences::GatedDeltaScan;

template <class T>
struct Numbers {
  Array<T> keys, values, queries, betas, alphas;

  Numbers(Index d_k, Index d_v, Index length)
      : keys(d_k, length), values(d_v, length), queries(d_k, length), betas(1, length), alphas(1, length) {}

  typename GatedDeltaScan<T>::template Sequence<const T> seen(Index first, Index count) const {
    return {keys.view().columns(first, count), values.view().columns(first, count),
            queries.view().columns(first, count), betas.view().columns(first, count),
            alphas.view().columns(first, count)};
  }
  typename GatedDeltaScan<T>::template Sequence<T> written() {
    return {keys.view(), values.view(), queries.view(), betas.view(), alphas.view()};
  }
};

template <class T>
void fill(Array<T>& array, RandomStream<>& stream) {
  for (Index i = 0; i < array.size(); ++i) array[i] = static_cast<T>(stream.normal());
}

/// Keys of mean square 1, shares from 0 to 1 and decays from 0 to 1, both ends included.
template <class T>
Numbers<T> random_numbers(Index d_k, Index d_v, Index length, std::uint64_t seed) {
  Numbers<T> x(d_k, d_v, length);
  RandomStream<> stream(seed);
  fill(x.keys, stream), fill(x.values, stream), fill(x.queries, stream);
  for (Index i = 0; i < x.keys.size(); ++i) x.keys[i] /= std::sqrt(static_cast<T>(d_k));
  for (Index t = 0; t < length; ++t) {
    x.betas[t] = static_cast<T>(t % 5 == 3 ? 0 : stream.uniform());
    x.alphas[t] = static_cast<T>(t % 7 == 2 ? 0 : t % 7 == 4 ? 1 : stream.uniform());
  }
  return x;
}

template <class T>
double apart(const Array<T>& a, const Array<T>& b) {
  double most = 0, largest = 1;
  for (Index i = 0; i < a.size(); ++i) {
    most = std::max(most, static_cast<double>(std::abs(a[i] - b[i])));
    largest = std::max(largest, static_cast<double>(std::abs(b[i])));
  }
  return most / largest;
}

TEST_CASE("The gated delta rule by its scan is the rule but for rounding, forward and back", "[vjp]") {
  for (const auto& [d_k, d_v, length] :
       {std::tuple{1, 1, 1}, {5, 4, 9}, {3, 70, 65}, {33, 7, 64}, {16, 16, 150}, {4, 4, 0}}) {
    CAPTURE(d_k, d_v, length);
    const Numbers<double> x = random_numbers<double>(d_k, d_v, length, 3);
    const GatedDeltaRule<> rule(d_k, d_v);
    using Pass = SequencePass<GatedDeltaRule<>, double>;
    Pass pass(rule, length);
    auto tokens = tokens_of<double>(rule, length), tokens_bar = tokens;
    std::copy_n(x.keys.data(), x.keys.size(), tokens.k.data());
    std::copy_n(x.values.data(), x.values.size(), tokens.v.data());
    std::copy_n(x.betas.data(), x.betas.size(), tokens.beta.data());
    std::copy_n(x.alphas.data(), x.alphas.size(), tokens.alpha.data());

    RandomStream<> stream(4);
    auto first = rule.initial_state<double>(), state_bar = first;
    Array<double> outputs_bar(d_v, length);
    fill(first.memory, stream), fill(state_bar.memory, stream), fill(outputs_bar, stream);

    auto state = first;
    Array<double> outputs(d_v, length), scanned(d_v, length), memory = first.memory;
    typename Pass::Constants none, none_bar;
    pass.forward(none, tokens, x.queries.view(), state, outputs.view());
    GatedDeltaScan<double> scan(d_k, d_v);
    scan.forward(x.seen(0, length), memory.view(), scanned.view());
    CHECK(apart(scanned, outputs) < 1e-14);
    CHECK(apart(memory, state.memory) < 1e-14);

    Array<double> memory_bar = state_bar.memory, queries_bar(d_k, length);
    pass.vjp(none, tokens, x.queries.view(), first, std::as_const(outputs_bar).view(), state_bar, none_bar, tokens_bar,
             queries_bar.view());
    Numbers<double> bar(d_k, d_v, length), expected(d_k, d_v, length);
    scan.vjp(x.seen(0, length), std::as_const(first.memory).view(), std::as_const(outputs_bar).view(),
             memory_bar.view(), bar.written());
    std::copy_n(tokens_bar.k.data(), expected.keys.size(), expected.keys.data());
    std::copy_n(tokens_bar.v.data(), expected.values.size(), expected.values.data());
    std::copy_n(tokens_bar.beta.data(), expected.betas.size(), expected.betas.data());
    std::copy_n(tokens_bar.alpha.data(), expected.alphas.size(), expected.alphas.data());
    CHECK(apart(bar.keys, expected.keys) < 1e-13);
    CHECK(apart(bar.values, expected.values) < 1e-13);
    CHECK(apart(bar.queries, queries_bar) < 1e-13);
    CHECK(apart(bar.betas, expected.betas) < 1e-13);
    CHECK(apart(bar.alphas, expected.alphas) < 1e-13);
    CHECK(apart(memory_bar, state_bar.memory) < 1e-13);
  }
}

TEST_CASE("A scan of the gated delta rule has the same bits wherever it is cut") {
  const Index d = 20, length = 140;
  const Numbers<float> x = random_numbers<float>(d, d, length, 5);
  GatedDeltaScan<float> scan(d, d);
  Array<float> memory(d, d), outputs(d, length);
  scan.forward(x.seen(0, length), memory.view(), outputs.view());
  for (const Index cut : {1, 63, 64, 65, 139}) {
    CAPTURE(cut);
    Array<float> parts(d, d), of_parts(d, length);
    scan.forward(x.seen(0, cut), parts.view(), of_parts.view().columns(0, cut));
    scan.forward(x.seen(cut, length - cut), parts.view(), of_parts.view().columns(cut, length - cut));
    CHECK(parts == memory);
    CHECK(of_parts == outputs);
  }
}

TEST_CASE("A scan stays finite and right for keys of length 0 and 1e4, and decays of 0 and 1") {
  const Index d = 8;
  Numbers<float> x = random_numbers<float>(d, d, 4, 6);
  for (Index i = 0; i < d; ++i) {
    x.keys(i, 0) = 0;
    x.keys(i, 2) *= 1e4f;
  }
  x.betas[2] = 1e-8f;  // beta |k|^2 = 1
  x.alphas[1] = 0;
  x.alphas[3] = 1;
  GatedDeltaScan<float> scan(d, d);
  Array<float> memory(d, d), outputs(d, 4);
  scan.forward(x.seen(0, 4), memory.view(), outputs.view());
  Numbers<float> bar(d, d, 4);
  Array<float> ones(d, 4), memory_bar(d, d);
  ones.fill(1);
  const Array<float> first(d, d);
  scan.vjp(x.seen(0, 4), first.view(), std::as_const(ones).view(), memory_bar.view(), bar.written());
  for (const auto* array :
       {&memory, &outputs, &memory_bar, &bar.keys, &bar.values, &bar.queries, &bar.betas, &bar.alphas})
    for (Index i = 0; i < array->size(); ++i) CHECK(std::isfinite((*array)[i]));
}

TEST_CASE("A scan refuses shapes that are not its own", "[misuse]") {
  using test::message_of;
  const Numbers<float> x = random_numbers<float>(3, 3, 4, 7);
  GatedDeltaScan<float> scan(3, 3);
  Array<float> memory(3, 3), outputs(3, 4), few(3, 3);
  CHECK(message_of([&] { scan.forward(x.seen(0, 4), memory.view(), outputs.view()); }) == "");
  CHECK(message_of([&] { scan.forward(x.seen(0, 4), memory.view(), few.view()); }) ==
        "RankOneScan: outputs are 3 x 3, expected 3 x 4");
  CHECK(message_of([&] { scan.forward(x.seen(0, 4), outputs.view(), outputs.view()); }) ==
        "RankOneScan: the state's entries are 3 x 4, expected 3 x 3");
  CHECK(message_of([&] { GatedDeltaScan<float>(0, 3); }) == "RankOneScan: the state is 3 x 0, expected at least 1 x 1");
}

}  // namespace
}  // namespace gdssm
