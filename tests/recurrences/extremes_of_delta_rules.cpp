// SPDX-License-Identifier: Apache-2.0
#include "recurrences/extremes.hpp"

#include "gdssm/blocks/recurrences/comba.hpp"
#include "gdssm/blocks/recurrences/delta_product.hpp"
#include "gdssm/blocks/recurrences/delta_rule.hpp"
#include "gdssm/blocks/recurrences/gated_delta_net2.hpp"
#include "gdssm/blocks/recurrences/gated_delta_rule.hpp"
#include "gdssm/blocks/recurrences/kda.hpp"
#include "gdssm/blocks/recurrences/rwkv7.hpp"

using namespace gdssm;
using namespace gdssm::test;
using namespace gdssm::recurrences;

TEST_CASE("Delta rules: decays of 0 and 1 and keys of length 0 and 1e4 are nothing special", "[theorem]") {
  expect_exact_at_extremes(DeltaRule<>(3, 2));
  expect_exact_at_extremes(GatedDeltaRule<>(3, 2));
  expect_exact_at_extremes(Kda<>(3, 2));
  expect_exact_at_extremes(GatedDeltaNet2<>(3, 2));
  expect_exact_at_extremes(DeltaProduct<>(3, 2, 2));
  expect_exact_at_extremes(Comba<>(3, 2));
  expect_exact_at_extremes(Rwkv7<>(3, 2));
}

TEST_CASE("Delta rules: a neutral token leaves the state alone, bit for bit") {
  expect_neutral(DeltaRule<>(3, 2), [](auto& x) { set_all(x.beta, 0); });
  expect_neutral(GatedDeltaRule<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.beta, 0); });
  expect_neutral(Kda<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.beta, 0); });
  expect_neutral(GatedDeltaNet2<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.b, 0), set_all(x.w, 0); });
  expect_neutral(DeltaProduct<>(3, 2, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.beta, 0); });
  expect_neutral(Comba<>(3, 2), [](auto& x) { set_all(x.alpha, 1), set_all(x.beta, 0); });
  expect_neutral(Rwkv7<>(3, 2), [](auto& x) { set_all(x.w, 1), set_all(x.a, 0), set_all(x.k, 0); });
}
