// SPDX-License-Identifier: Apache-2.0
#include "gdssm/baselines/n_grams.hpp"

#include "support/catch.hpp"
#include "support/message_of.hpp"

namespace gdssm {
namespace {

using Ids = std::vector<Index>;

TEST_CASE("n-grams: probabilities are interpolated counts", "[definition]") {
  NGrams pairs(2, 4);
  const Ids none;
  CHECK(pairs.probability(none, 2) == 0.25);
  pairs.learn(Ids{0, 1, 0, 1, 0, 2});
  // 0 came 3 times, 1 twice, 2 once: three different of six. Behind 0 came 1, 1, 2.
  const auto single = [](double count) { return (count + 3 * 0.25) / 9; };
  CHECK(pairs.probability(none, 0) == single(3));
  CHECK(pairs.probability(none, 3) == single(0));
  const Ids zero{0}, longer{1, 1, 0}, two{2};
  CHECK(pairs.probability(zero, 1) == (2 + 2 * single(2)) / 5);
  CHECK(pairs.probability(zero, 3) == 2 * single(0) / 5);
  CHECK(pairs.probability(longer, 1) == pairs.probability(zero, 1));
  CHECK(pairs.probability(two, 1) == single(2));  // nothing came behind 2
  const Ids text{0, 1, 3};
  CHECK(std::abs(pairs.bits(text) + std::log2(pairs.probability(zero, 1) * pairs.probability(Ids{1}, 3)) / 2) < 1e-14);
}

TEST_CASE("n-grams: probabilities of all tokens add up to 1, behind any tokens and for any n", "[theorem]") {
  for (const Index n : {1, 2, 5, 7}) {
    NGrams grams(n, 3);
    Ids ids;
    for (Index t = 0; t < 200; ++t) ids.push_back(t * t * t % 7 % 3);
    grams.learn(ids);
    NGrams grown(n, 3);
    for (std::size_t t = 0; t < ids.size(); ++t) grown.learn(std::span(ids).first(t + 1), t);
    for (std::size_t t = 0; t < 9; ++t) {
      double sum = 0;
      for (Index id = 0; id < 3; ++id) {
        sum += grams.probability(std::span(ids).first(t), id);
        CHECK(grown.probability(std::span(ids).first(t), id) == grams.probability(std::span(ids).first(t), id));
      }
      CHECK(std::abs(sum - 1) < 1e-14);
    }
  }
}

TEST_CASE("n-grams: of a sequence that they determine, long ones know nearly all, short ones only frequencies",
          "[theorem]") {
  Ids ids;
  for (Index t = 0; t < 3000; ++t) ids.push_back(t % 6 < 3 ? 0 : t % 6 - 2);  // 0 0 0 1 2 3
  const auto bits = [&](Index n) {
    NGrams grams(n, 4);
    grams.learn(ids);
    return grams.bits(ids);
  };
  const double entropy = 0.5 + 0.5 * std::log2(6.0);  // of shares 1/2, 1/6, 1/6, 1/6
  CHECK(std::abs(bits(1) - entropy) < 0.01);
  CHECK(bits(2) < 0.5);
  CHECK(bits(4) < 0.03);
}

TEST_CASE("n-grams: lengths and ids that there are not are refused", "[misuse]") {
  using test::message_of;
  CHECK(message_of([] { NGrams(0, 5); }) == "NGrams: n and the vocabulary are 0 and 5, expected 1 to 7 and 1 to 256");
  CHECK(message_of([] { NGrams(8, 5); }) != "");
  CHECK(message_of([] { NGrams(2, 257); }) != "");
  CHECK(message_of([] { NGrams(2, 5).learn(Ids{1, 5}); }) == "NGrams: id 1 is 5, expected 0 to 4");
  CHECK(message_of([] { NGrams(2, 5).learn(Ids{-1}); }) != "");
}

}  // namespace
}  // namespace gdssm
