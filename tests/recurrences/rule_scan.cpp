// SPDX-License-Identifier: Apache-2.0
// The fast loops of rank-one rules are the rules' steps but for rounding, forward and back.
#include "gdssm/blocks/recurrences/rule_scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "recurrences/exact_rules.hpp"
#include "recurrences/rule_checks.hpp"
#include "support/catch.hpp"
#include "support/message_of.hpp"
#include "support/no_heap.hpp"

#include "gdssm/blocks/recurrences/head_scans.hpp"

using namespace gdssm;
using namespace gdssm::test;
namespace rules = gdssm::recurrences;

namespace {

template <class T, class Rule, class Inputs>
auto scanned_outputs(const Rule& rule, const Inputs& in) {
  const auto& [constants, tokens, queries, first] = in.parts;
  Array<T, Rule::values> o(rule.value_count(), queries.cols());
  auto state = first;
  RuleScan<Rule, T>(rule).forward(constants, tokens, queries.view(), state, o.view());
  return bundle({"outputs", "state"}, o, state);
}
template <class T, class Rule, class Inputs, class Outputs>
auto scanned_pull_back(const Rule& rule, const Inputs& in, const Outputs& out_bar) {
  const auto& [constants, tokens, queries, first] = in.parts;
  const auto& [o_bar, last_bar] = out_bar.parts;
  auto in_bar = rule_inputs<T>(rule, queries.cols());
  auto& [constants_bar, tokens_bar, queries_bar, state_bar] = in_bar.parts;
  state_bar = last_bar;
  RuleScan<Rule, T>(rule).vjp(constants, tokens, queries.view(), first, o_bar.view(), state_bar, constants_bar,
                              tokens_bar, queries_bar.view());
  return in_bar;
}

/// Within `bound` of the largest entry of each member.
template <class Got, class Expected>
void expect_near(const Got& got, const Expected& expected, double bound, double floor = 1) {
  visit(
      [&](const Name& name, const auto& a, const auto& b) {
        INFO(name.str());
        double apart = 0, largest = floor;
        for (Index i = 0; i < a.size(); ++i) {
          const auto wanted = static_cast<double>(b.data()[i]), value = static_cast<double>(a.data()[i]);
          largest = std::max(largest, std::abs(wanted));
          apart = std::isfinite(value) ? std::max(apart, std::abs(value - wanted)) : INFINITY;
        }
        CHECK(apart <= bound * largest);
      },
      got, expected);
}

/// Keys of mean square 1, decays and shares between 0 and 1, both ends included.
template <class T, class Rule>
auto random_inputs(const Rule& rule, Index length, std::uint64_t seed) {
  auto in = rule_inputs<T>(rule, length);
  Random random(seed);
  random.fill(in);
  auto& [constants, tokens, queries, state] = in.parts;
  const T scale = static_cast<T>(std::sqrt(12.0 / static_cast<double>(rule.key_count())));
  visit([](const Name&, auto& member) { member.fill(T(0.9)); }, constants);
  visit(
      [&](const Name& name, auto& member) {
        const TokenRole role = Rule::role(name.head);
        for (Index t = 0; t < member.cols(); ++t)
          for (Index i = 0; i < member.rows(); ++i) {
            T& x = member.data()[i + t * member.rows()];
            if (role == TokenRole::key) x *= scale;
            if (role == TokenRole::share) x = t % 5 == 3 ? T(0) : T(0.5) + x;
            if (role == TokenRole::decay) x = (t + i) % 7 == 2 ? T(0) : t % 7 == 4 ? T(1) : T(0.5) + x;
            if (role == TokenRole::step) x = T(0.5) + x;
          }
      },
      tokens);
  return in;
}

template <class Rule>
void expect_scan(const Rule& rule, Index length) {
  CAPTURE(rule.key_count(), rule.value_count(), length);
  const auto in = random_inputs<double>(rule, length, 3);
  const auto out = rule_outputs<double>(rule, in, 16);
  expect_near(scanned_outputs<double>(rule, in), out, 1e-13);
  auto out_bar = out;
  Random(4).fill(out_bar);
  expect_near(scanned_pull_back<double>(rule, in, out_bar), rule_pull_back<double>(rule, in, out_bar, 16), 1e-12);

  const auto single = random_inputs<float>(rule, length, 3);
  const auto single_out = rule_outputs<float>(rule, single, 16);
  expect_near(scanned_outputs<float>(rule, single), single_out, 1e-4);
  auto single_bar = single_out;
  Random(4).fill(single_bar);
  expect_near(scanned_pull_back<float>(rule, single, single_bar), rule_pull_back<float>(rule, single, single_bar, 16),
              1e-4);
}

template <class Make>
void expect_scans(const Make& make) {
  expect_scan(make(1, 1), 1);
  expect_scan(make(5, 4), 9);
  expect_scan(make(3, 70), 13);
  expect_scan(make(33, 7), 16);
  expect_scan(make(4, 4), 0);
}

/// Decays of exactly 0 and 1, keys of length 0 and 1e4, values of 0, against rationals.
template <class Rule>
void expect_extremes(const Rule& rule) {
  const Index length = 11;
  auto in = rule_inputs<double>(rule, length);
  Random random(7);
  random.fill(in);
  auto& [constants, tokens, queries, state] = in.parts;
  visit([](const Name&, auto& member) { member.fill(1.0); }, constants);
  visit(
      [&](const Name& name, auto& member) {
        const TokenRole role = Rule::role(name.head);
        for (Index t = 0; t < length; ++t)
          for (Index i = 0; i < member.rows(); ++i) {
            double& x = member.data()[i + t * member.rows()];
            if (role == TokenRole::key) x *= t == 1 ? 0 : t == 3 ? 1e4 : 1;
            if (role == TokenRole::decay) x = (i + t) % 2 == 0 ? 1 : 0;
            if (role == TokenRole::share || role == TokenRole::step) x = t == 4 ? 0 : std::abs(x);
            if (role == TokenRole::value && t == 5) x = 0;
          }
      },
      tokens);
  auto exact_in = rule_inputs<Q>(rule, length);
  const auto to_exact = [](const Name&, const auto& from, auto& to) {
    for (Index i = 0; i < to.size(); ++i) to.data()[i] = Q(from.data()[i]);
  };
  visit(to_exact, in, exact_in);
  const auto exact_out = rule_outputs<Q>(rule, exact_in, length);
  auto out = scanned_outputs<double>(rule, in);
  expect_near(out, exact_out, 1e-11, 0);
  random.fill(out);
  auto exact_bar = exact_out;
  visit(to_exact, out, exact_bar);
  expect_near(scanned_pull_back<double>(rule, in, out), rule_pull_back<Q>(rule, exact_in, exact_bar, length), 1e-11, 0);
}

}  // namespace

TEST_CASE("Delta rules by their scan are the rules but for rounding, forward and back", "[vjp]") {
  expect_scans([](Index k, Index v) { return rules::DeltaRule<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::GatedDeltaRule<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::Kda<>(k, v); });
  expect_scan(rules::GatedDeltaRule<>(6, 5), 600);
  expect_scan(rules::Kda<3, 2>(), 20);
}

TEST_CASE("Rules with keys and gates of their own by their scan are the rules but for rounding", "[vjp]") {
  expect_scans([](Index k, Index v) { return rules::GatedDeltaNet2<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::Comba<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::Rwkv7<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::DeltaProduct<>(k, v, 3); });
}

TEST_CASE("Additive rules by their scan are the rules but for rounding, forward and back", "[vjp]") {
  expect_scans([](Index k, Index v) { return rules::LinearAttention<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::RetNet<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::Mamba2<>(k, v); });
  expect_scans([](Index k, Index v) { return rules::GatedLinearAttention<>(k, v); });
}

TEST_CASE("Scans at decays of 0 and 1 and keys of length 0 and 1e4 are exact but for rounding", "[vjp]") {
  expect_extremes(rules::DeltaRule<>(3, 2));
  expect_extremes(rules::GatedDeltaRule<>(3, 2));
  expect_extremes(rules::Kda<>(3, 2));
  expect_extremes(rules::GatedDeltaNet2<>(3, 2));
  expect_extremes(rules::Comba<>(3, 2));
  expect_extremes(rules::Rwkv7<>(3, 2));
  expect_extremes(rules::DeltaProduct<>(3, 2, 2));
  expect_extremes(rules::GatedLinearAttention<>(3, 2));
  expect_extremes(rules::LinearAttention<>(3, 2));
}

TEST_CASE("A scan whose decays vanish within a chunk neither overflows nor loses what comes after") {
  const rules::Kda<> rule(4, 3);
  auto in = random_inputs<float>(rule, 40, 8);
  auto& [constants, tokens, queries, state] = in.parts;
  for (Index i = 0; i < tokens.alpha.size(); ++i)
    tokens.alpha.data()[i] = i % 3 == 0 ? 1.0f : static_cast<float>(std::exp(-20.0));
  expect_near(scanned_outputs<float>(rule, in), rule_outputs<float>(rule, in, 5), 1e-5);
  auto out_bar = rule_outputs<float>(rule, in, 5);
  Random(9).fill(out_bar);
  expect_near(scanned_pull_back<float>(rule, in, out_bar), rule_pull_back<float>(rule, in, out_bar, 5), 1e-5);
}

TEST_CASE("A scan has the same bits wherever it is cut after a multiple of eight steps") {
  const rules::GatedDeltaRule<> rule(20, 20);
  const Index length = 300;
  const auto in = random_inputs<float>(rule, length, 5);
  const auto out = scanned_outputs<float>(rule, in);
  auto out_bar = out;
  Random(6).fill(out_bar);
  const auto in_bar = scanned_pull_back<float>(rule, in, out_bar);
  for (const Index cut : {0, 8, 64, 256, 296}) {
    CAPTURE(cut);
    const auto front = piece_of<float>(rule, in, 0, cut);
    auto back = piece_of<float>(rule, in, cut, length);
    const auto front_out = scanned_outputs<float>(rule, front);
    std::get<3>(back.parts) = std::get<1>(front_out.parts);
    const auto back_out = scanned_outputs<float>(rule, back);
    CHECK(std::get<1>(back_out.parts) == std::get<1>(out.parts));
    auto front_bar = front_out, back_bar = back_out;
    auto &front_o = std::get<0>(front_bar.parts), &back_o = std::get<0>(back_bar.parts);
    const auto& o_bar = std::get<0>(out_bar.parts);
    for (Index i = 0; i < o_bar.size(); ++i) (i < front_o.size() ? front_o[i] : back_o[i - front_o.size()]) = o_bar[i];
    std::get<1>(back_bar.parts) = std::get<1>(out_bar.parts);
    const auto back_in_bar = scanned_pull_back<float>(rule, back, back_bar);
    std::get<1>(front_bar.parts) = std::get<3>(back_in_bar.parts);
    const auto front_in_bar = scanned_pull_back<float>(rule, front, front_bar);
    CHECK(identical(std::get<3>(front_in_bar.parts), std::get<3>(in_bar.parts)));
    CHECK(identical(std::get<1>(front_in_bar.parts), std::get<1>(piece_of<float>(rule, in_bar, 0, cut).parts)));
    CHECK(identical(std::get<1>(back_in_bar.parts), std::get<1>(piece_of<float>(rule, in_bar, cut, length).parts)));
  }
}

namespace {

/// The bytes that scans of a sequence, forward and back, allocate, and those that they do the second time.
std::pair<std::size_t, std::size_t> scan_bytes(Index d, Index length) {
  const rules::GatedDeltaRule<> rule(d, d);
  const auto in = random_inputs<float>(rule, length, 10);
  const auto& [constants, tokens, queries, first] = in.parts;
  auto in_bar = in;
  auto& [constants_bar, tokens_bar, queries_bar, state_bar] = in_bar.parts;
  Array<float> o(d, length);
  auto state = first;
  const std::size_t before = allocated_bytes();
  RuleScan<rules::GatedDeltaRule<>, float> scan(rule);
  const auto run = [&, &c = constants, &x = tokens, &q = queries, &s = first, &c_bar = constants_bar,
                    &x_bar = tokens_bar, &q_bar = queries_bar, &s_bar = state_bar] {
    scan.forward(c, x, q.view(), state, o.view());
    scan.vjp(c, x, q.view(), s, std::as_const(o).view(), s_bar, c_bar, x_bar, q_bar.view());
  };
  run();
  const std::size_t once = allocated_bytes();
  if (length < 1000) run();
  return {once - before, allocated_bytes() - once};
}

}  // namespace

TEST_CASE("A gradient over 65536 tokens takes less than a fiftieth of the memory of all states") {
  const Index d = 16, length = 65536;
  CHECK(scan_bytes(d, length).first < sizeof(float) * d * d * length / 50);
  CHECK(scan_bytes(5, 40).second == 0);
}

TEST_CASE("Heads have the same bits on any number of threads, and each is run once") {
  const rules::GatedDeltaRule<> rule(6, 5);
  const Index heads = 7, length = 20;
  std::vector<decltype(random_inputs<float>(rule, length, 0))> in;
  for (Index h = 0; h < heads; ++h) in.push_back(random_inputs<float>(rule, length, static_cast<std::uint64_t>(h)));
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    HeadScans<rules::GatedDeltaRule<>, float> scans(rule, pool);
    std::vector<Array<float>> outputs(static_cast<std::size_t>(heads), Array<float>(5, length));
    auto moved = in;
    std::vector<int> calls(static_cast<std::size_t>(heads));
    scans.run(heads, [&](Index head, auto& scan) {
      const auto h = static_cast<std::size_t>(head);
      auto& [constants, tokens, queries, state] = moved[h].parts;
      ++calls[h];
      scan.forward(constants, tokens, std::as_const(queries).view(), state, outputs[h].view());
    });
    for (std::size_t h = 0; h < in.size(); ++h) {
      const auto alone = scanned_outputs<float>(rule, in[h]);
      CHECK(calls[h] == 1);
      CHECK(outputs[h] == std::get<0>(alone.parts));
      CHECK(std::get<3>(moved[h].parts) == std::get<1>(alone.parts));
    }
    CHECK(message_of([&] {
            scans.run(heads, [&](Index head, auto&) {
              if (head >= 3) refuse("head", "is ", head, ", expected less than 3");
            });
          }) == "head: is 3, expected less than 3");
  }
}

TEST_CASE("A scan refuses shapes that are not its own", "[misuse]") {
  const rules::DeltaRule<> rule(3, 2);
  RuleScan<rules::DeltaRule<>, float> scan(rule);
  const auto none = rule.constants<InArrays<float>>();
  const auto tokens = tokens_of<float>(rule, 4), few = tokens_of<float>(rule, 3);
  auto state = rule.initial_state<float>(), other = rules::DeltaRule<>(4, 2).initial_state<float>();
  const Array<float> q(3, 4), wrong(2, 4);
  Array<float> o(2, 4), o3(2, 3);
  CHECK(message_of([&] { scan.forward(none, tokens, q.view(), state, o.view()); }) == "");
  CHECK(message_of([&] { scan.forward(none, few, q.view(), state, o.view()); }) ==
        "RuleScan::forward: k is 3 x 3, expected 3 x 4");
  CHECK(message_of([&] { scan.forward(none, tokens, wrong.view(), state, o.view()); }) ==
        "RuleScan::forward: the size of queries is 2, expected 3");
  CHECK(message_of([&] { scan.forward(none, tokens, q.view(), state, o3.view()); }) ==
        "RuleScan::forward: the number of outputs is 3, expected 4");
  CHECK(message_of([&] { scan.forward(none, tokens, q.view(), other, o.view()); }) ==
        "RankOneScan: the state is 2 x 4, expected 2 x 3");
  CHECK(message_of([&] { rules::RankOneScan<float>(0, 3); }) ==
        "RankOneScan: the state is 3 x 0, expected at least 1 x 1");
}
